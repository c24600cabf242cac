"""Measure the rounding errors of the Winograd kernels against float64, beside those of the direct kernel.

One layer of 128 to 128 channels on maps of 28x28 pixels, drawn a few times: inputs are half a normal distribution (what
ReLU leaves of it), weights normal with variance 2 / (9 * 128). Printed are the root mean square of the errors relative
to that of the outputs, and the largest error relative to the largest output. Run it with:
python examples/winograd_errors.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold import reference
from ninefold.kernels.llvm.direct import Direct, border_read
from ninefold.kernels.llvm.direct import default_tile as direct_tile
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.memory import buffer, copied
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.winograd import WinogradConv, default_tile
from ninefold.kernels.llvm.winograd_tile import FORMS
from ninefold.spec import ConvSpec, Winograd

if TYPE_CHECKING:
    from ninefold.kernels.llvm.kernel import Kernel

DRAWS = 5
SPEC = ConvSpec.of((1, 128, 28, 28), (128, 128, 3, 3), padding=1)


def maps_of(flat: np.ndarray, layout: Blocked) -> np.ndarray:
    """Give a view of the pixels that are no border, (C, H, W)."""
    above, below, left, right = layout.border
    rows, columns = layout.height + above + below, layout.width + left + right
    inner = flat.reshape(-1, rows, columns, layout.lanes)[:, above : rows - below, left : columns - right]
    return inner.transpose(0, 3, 1, 2)


def run(kernel: Kernel, x: np.ndarray, weight: np.ndarray, input: Blocked, output: Blocked) -> np.ndarray:  # noqa: A002
    """Compute one picture, (C, H, W) to (O, H, W)."""
    library = build([kernel], host())  # kept while the kernel runs: it owns the code
    flat_x, flat_y = buffer(input.size), buffer(output.size)
    packed, scratch = copied(kernel.pack(weight)), buffer(kernel.scratch)
    maps_of(flat_x, input)[...] = x.reshape(input.blocks, -1, *x.shape[1:])
    first_x, first_y = flat_x.ctypes.data + 4 * input.first, flat_y.ctypes.data + 4 * output.first
    a, b = kernel.grid
    library.kernel(kernel.name)(
        first_x, packed.ctypes.data, None, first_y, None, scratch.ctypes.data, 0, a, 0, b
    )  # fmt: skip
    return maps_of(flat_y, output).reshape(-1, output.height, output.width)


def kernels() -> dict[int, Kernel]:
    """Give the kernels by their m; 0 is the direct one."""
    input, output = (Blocked(128, 28, 28, host().lanes, border) for border in (border_read(SPEC), (0,) * 4))  # noqa: A001
    direct = Direct(SPEC, input, output, Epilogue(), direct_tile(SPEC, host()))
    tiles = {m: default_tile(SPEC, host(), m) for m in FORMS}
    return {0: direct} | {m: WinogradConv(SPEC, input, output, Epilogue(), tile) for m, tile in tiles.items()}


def errors(seed: int) -> dict[int, tuple[float, float]]:
    """Give (rms, largest) per kernel for one draw."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal(SPEC.input_shape[1:]), 0).astype(np.float32)
    weight = (rng.standard_normal(SPEC.weight_shape) * (2 / (9 * 128)) ** 0.5).astype(np.float32)
    truth = reference.run(x[None].astype(np.float64), weight.astype(np.float64), None, SPEC)[0]
    found = {m: run(kernel, x, weight, kernel.input, kernel.output) - truth for m, kernel in kernels().items()}
    size, most = np.sqrt(np.mean(truth**2)), np.abs(truth).max()
    return {m: (np.sqrt(np.mean(error**2)) / size, np.abs(error).max() / most) for m, error in found.items()}


def main() -> None:
    """Print a line per algorithm: the mean of the draws' root mean squares, and the largest error of all."""
    drawn = [errors(seed) for seed in range(DRAWS)]
    means = {m: float(np.mean([each[m][0] for each in drawn])) for m in drawn[0]}
    for m, rms in means.items():
        largest = max(each[m][1] for each in drawn)
        name, growth = (f"F({m}, 3)", Winograd.of(m, 3).growth(2)) if m else ("direct", 1)
        print(
            f"{name:8s} rms {rms:.1e}  largest {largest:.1e}  times direct {rms / means[0]:4.1f}  growth {growth:4.1f}"
        )


if __name__ == "__main__":
    main()
