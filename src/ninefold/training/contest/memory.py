"""How much memory a contestant takes at most, each in a process of its own.

    python -m ninefold.training.contest.memory NETWORK CONTESTANT THREADS BATCH FOLDER

prints the bytes. What counts is what a process takes beyond the network of torch, which every contestant is given:
from then on, until a network is ready and was called twice, the largest resident memory less that of the beginning.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import torch

from ninefold.errors import NinefoldError, Unsupported
from ninefold.training import benchmark_networks
from ninefold.training.contest.networks import OURS
from ninefold.training.contest.peers import PEERS, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.training.contest.networks import Rules
    from ninefold.training.contest.peers import Call

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")
_LARGEST: Final = "5"  # written there, the largest resident memory is counted anew
_EXPORT: Final = "onnx"  # no contestant: writes the file that some of them read
_READ_IT: Final = frozenset({"openvino", "onnxruntime", "opencv"})


def peaks(name: str, batch: int, rules: Rules) -> dict[str, float | str]:
    """Measure ours and all peers.

    Args:
        name: of a benchmark network.
        batch: pictures per call.
        rules: name the peers and the threads.

    Returns:
        MiB for each contestant, or why there are none.

    Raises:
        Unsupported: where the system does not count the largest resident memory.
    """
    if not _STATUS.is_file():
        raise Unsupported("--memory reads /proc, which this system has not; leave it out")
    with TemporaryDirectory() as folder:
        fixed = (str(rules.threads), str(batch), folder)
        if _READ_IT & set(rules.against):
            in_own_process(__name__, (name, _EXPORT, *fixed))  # by a process of its own: exporting takes memory too
        return {who: in_own_process(__name__, (name, who, *fixed)) for who in (OURS, *rules.against)}


def in_own_process(module: str, arguments: Sequence[str]) -> float | str:
    """Run a module that prints bytes.

    Args:
        module: its name.
        arguments: of its command line.

    Returns:
        MiB, or why there are none.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ourselves
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return done.stderr.strip().rpartition("\n")[2] or f"it ended with code {done.returncode}"
    return int(lines[-1]) / 2**20


def _main(name: str, who: str, threads: str, batch: str, folder: str) -> int:
    torch.set_num_threads(int(threads))
    task = Task(benchmark_networks.create(name), benchmark_networks.picture(int(batch)), int(threads), Path(folder))

    def use() -> None:
        with torch.no_grad():
            call = _prepared(who, task)
            call()
            call()

    return largest_growth(use)


def largest_growth(use: Callable[[], None]) -> int:
    """Give the bytes of resident memory that a call takes at most, beyond those of before."""
    _RESET.write_text(_LARGEST, "utf-8")
    before = _kibibytes("VmRSS")
    use()
    return (_kibibytes("VmHWM") - before) * 2**10


def _prepared(who: str, task: Task) -> Call:
    if who == _EXPORT:
        return lambda: task.onnx
    if who != OURS:
        return PEERS[who].prepare(task)
    from ninefold import compiler

    fast = compiler.compile(task.model, task.x, threads=task.threads)
    if fast.plan.reason:
        raise Unsupported(fast.plan.reason)
    return lambda: fast(task.x)


def _kibibytes(field: str) -> int:
    (line,) = (line for line in _STATUS.read_text("utf-8").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    try:
        print(_main(*sys.argv[1:]))  # noqa: T201  # what the parent reads
    except NinefoldError as error:
        sys.exit(str(error))
