"""How long each engine takes, in parts of what PyTorch takes, measured in alternation inside one process.

Run as `OPENBLAS_NUM_THREADS=N python tests/bench/bench_conv.py N` for N threads; prints Markdown. Nothing is asserted.
With one thread its processor time is measured, so that what others compute does not count; else the time on the clock.
"""

import platform
import sys
from statistics import median
from time import perf_counter, thread_time

import torch

from ninefold.ops import ENGINES, conv
from ninefold.spec import ConvSpec

ROUNDS = 7
RIVALS = ("winograd", "direct", "depthwise", "im2col", "fft")
SPECS = {
    "LeNet-5, first layer": ConvSpec.of((64, 1, 28, 28), (6, 1, 5, 5), padding=2),
    "ResNet-20, 16 channels": ConvSpec.of((128, 16, 32, 32), (16, 16, 3, 3), padding=1),
    "ResNet-50, 3x3 of 64": ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), padding=1),
    "ResNet-50, 3x3 of 256": ConvSpec.of((8, 256, 14, 14), (256, 256, 3, 3), padding=1),
    "ResNet-50, 1x1": ConvSpec.of((8, 64, 56, 56), (256, 64, 1, 1)),
    "depthwise 3x3 of 32": ConvSpec.of((8, 32, 112, 112), (32, 1, 3, 3), padding=1, groups=32),
    "31x31 of 16": ConvSpec.of((1, 16, 128, 128), (16, 16, 31, 31), padding="same"),
    "one axis, kernel of 1001": ConvSpec.of((1, 1, 100_000), (1, 1, 1001)),
}


def seconds(name, x, weight, spec):
    clock = thread_time if torch.get_num_threads() == 1 else perf_counter  # what others compute does not count
    start = clock()
    conv(x, weight, None, spec, name)
    return clock() - start


def row(title, spec):
    x, weight = torch.randn(spec.input_shape), torch.randn(spec.weight_shape)
    able = [e.name for e in ENGINES if e.why_not(spec, x.device, x.dtype) is None and e.name != "reference"]
    times = {name: [] for name in able}
    for round_ in range(ROUNDS + 1):
        for name in able:
            taken = seconds(name, x, weight, spec)
            if round_ > 0:  # the first round warms up
                times[name].append(taken)
    torch_seconds = median(times["torch"])
    ratios = [f"{median(times[name]) / torch_seconds:.2f}" if name in times else "refused" for name in RIVALS]
    return f"| {title} | {torch_seconds * 1e3:.2f} | {' | '.join(ratios)} |"


def main():
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    machine = platform.processor() or platform.machine()
    say(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    say(f"| float32, forward, in parts of torch | torch, ms | {' | '.join(RIVALS)} |\n|---|---|{'---|' * len(RIVALS)}")
    for title, spec in SPECS.items():
        say(row(title, spec))


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
