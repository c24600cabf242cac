"""A plan: kernels with their addresses, one after the other, computed by one call that does not hold Python's lock.

    Step(kernel, x, weight, bias, y, ...)     one kernel over all pictures
    Plan(steps, threads)                      the chunks of all steps, numbered through
    plan.run()

Every thread takes the next chunk when it is free. A chunk is a rectangle of a kernel's grid in one picture; how large
it is depends on the number of threads, what is computed in it does not, so results are the same bit for bit.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from dataclasses import dataclass
from struct import pack_into
from typing import TYPE_CHECKING, Final, final
from weakref import WeakValueDictionary

import numpy as np

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.interpreter import RUN, STEP
from ninefold.kernels.llvm.memory import ALIGNMENT, buffer
from ninefold.kernels.llvm.workers import team

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNKS_PER_THREAD: Final = 4  # fewer leave threads idle at the end of a step, more cost calls and repeated reading
_BEYOND: Final = 2**62  # more chunks than any plan has
# What is written before every run: through a memoryview, in a tenth of the time that a record of NumPy's takes.
_OF_RUN: Final = {name: where[1] // 8 for name, where in (RUN.fields or {}).items()}
_NEXT, _DONE, _THREADS = (_OF_RUN[name] for name in ("next", "done", "threads"))
_CHUNKS, _SCRATCH, _SCRATCH_BYTES = (_OF_RUN[name] for name in ("chunks", "scratch", "scratch_bytes"))
_STEP_FORMAT: Final = f"{len(STEP)}q"
_STOP: Final = (STEP.names or ()).index("stop")
_X, _X_BYTES = ((STEP.names or ()).index(name) for name in ("x", "x_bytes"))


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel over all pictures of a batch.

    Args:
        kernel: address of its function.
        grid: units along both axes, of one picture.
        x: address of the first picture's first pixel; 0 where the kernel reads none. So are the others.
        weight: packed by the kernel.
        bias: filled up with zeros to whole blocks.
        y: where the result goes, as x.
        residual: what is added, as x.
        pictures: >= 1.
        strides: bytes from one picture to the next, of x, y and residual.
        scratch: float32 numbers of memory that every thread needs for itself.
        waits: whether it reads what earlier steps write, or writes where they read: it starts when they are done.
        chunk: grid of a chunk; None leaves it to the plan.
    """

    kernel: int
    grid: tuple[int, int]
    x: int = 0
    weight: int = 0
    bias: int = 0
    y: int = 0
    residual: int = 0
    pictures: int = 1
    strides: tuple[int, int, int] = (0, 0, 0)
    scratch: int = 0
    waits: bool = True
    chunk: tuple[int, int] | None = None


@final
class Plan:
    """Steps in their order, ready to run any number of times.

    What the addresses lie in must live as long as the plan. A plan works in the same memory every time, so of two
    Python threads that run it at once, one waits; several plans run beside each other.

    Args:
        steps: at least one.
        threads: how many threads may compute, >= 1.

    Raises:
        InvalidInput: when there is no step or no thread.
    """

    def __init__(self, steps: Sequence[Step], threads: int) -> None:
        if not steps or threads < 1:
            raise InvalidInput(f"a plan of {len(steps)} steps for {threads} threads came; wanted at least one of both")
        self.threads = threads
        self._steps = np.array(_cut(steps, threads), STEP)
        self.scratch = buffer(threads * _scratch(steps))
        self._memory = buffer(RUN.itemsize // 4)
        self._run = self._memory.view(RUN)[0]
        self._run["steps"] = self._steps.ctypes.data
        self._run["end"] = self._steps.ctypes.data + self._steps.nbytes
        self._run["chunks"] = self._steps["stop"][-1]
        self._run["scratch"] = self.scratch.ctypes.data
        self._run["scratch_bytes"] = 4 * _scratch(steps)
        self._address = self._memory.ctypes.data
        self._words, self._numbers = self._memory.view(np.int64).data, self._steps.view(np.int64).data
        self.renew_lock()
        _plans[id(self)] = self

    def run(self) -> None:
        """Compute all steps, with the workers of this process if they are free, else on this thread."""
        with self._lock:
            if self.threads == 1 or not self._run_with(self.threads):
                self._run_with(1)

    def read_from(self, step: int, x: int, stride: int) -> None:
        """Let a step read elsewhere, from the next run on.

        Args:
            step: its place among the steps.
            x: address of the first picture's first pixel.
            stride: bytes from one picture to the next.
        """
        first = step * len(STEP)
        self._numbers[first + _X], self._numbers[first + _X_BYTES] = x, stride

    def refill(self, steps: Sequence[Step]) -> None:
        """Let the plan be of other steps, from the next run on; only for the thread that runs it.

        Args:
            steps: as many as it has.
        """
        rows, scratch = _cut(steps, self.threads), _scratch(steps)
        if self.threads * scratch > len(self.scratch):
            self.scratch = buffer(self.threads * scratch)
            self._words[_SCRATCH] = self.scratch.ctypes.data
        self._words[_SCRATCH_BYTES], self._words[_CHUNKS] = 4 * scratch, rows[-1][_STOP]
        for step, row in enumerate(rows):
            pack_into(_STEP_FORMAT, self._numbers, step * STEP.itemsize, *row)

    def renew_lock(self) -> None:
        """Forget who held the plan: after a fork, it may have been a thread that does not exist any more."""
        self._lock = threading.Lock()

    def abandon(self) -> None:
        """End a run that is going on, after the chunks at hand, and let none begin: for the end of the process."""
        while not self._lock.acquire(timeout=0.01):
            self._run["next"] = self._run["done"] = _BEYOND

    def _run_with(self, threads: int) -> bool:
        self._words[_NEXT], self._words[_DONE], self._words[_THREADS] = 0, 0, threads
        if threads > 1:
            return team().run(self._address, threads)
        team().run_alone(self._address)
        return True


def _cut(steps: Sequence[Step], threads: int) -> list[tuple[int, ...]]:
    """Give the record of every step, with its chunks numbered through."""
    rows: list[tuple[int, ...]] = []
    start = needs = 0
    for step in steps:
        part = step.chunk or chunk(step.grid, step.pictures, threads)
        a, b = (-(-units // size) for units, size in zip(step.grid, part, strict=True))
        stop = start + step.pictures * a * b
        needs = start if step.waits else needs
        addresses = (step.kernel, step.x, step.weight, step.bias, step.y, step.residual)
        rows.append((*addresses, *step.strides, *step.grid, *part, b, a * b, start, stop, needs))
        start = stop
    return rows


def chunk(grid: tuple[int, int], pictures: int, threads: int) -> tuple[int, int]:
    """Cut a grid so that there is work for all threads: along the first axis, then along the second.

    Args:
        grid: units along both axes.
        pictures: how many such grids there are.
        threads: one takes every picture whole.

    >>> chunk((8, 56), pictures=1, threads=1), chunk((8, 56), 1, 2), chunk((2, 56), 1, 2), chunk((8, 56), 8, 2)
    ((8, 56), (1, 56), (1, 14), (8, 56))
    """
    if threads == 1:
        return grid
    parts = -(-CHUNKS_PER_THREAD * threads // pictures)
    a = -(-grid[0] // min(grid[0], parts))
    b_parts = -(-parts // -(-grid[0] // a))
    return a, -(-grid[1] // min(grid[1], b_parts))


def _scratch(steps: Sequence[Step]) -> int:
    line = ALIGNMENT // 4
    return -(-max(step.scratch for step in steps) // line) * line


def _alive() -> list[Plan]:
    return [plan for reference in _plans.valuerefs() if (plan := reference()) is not None]


def _renew_locks() -> None:
    for plan in _alive():
        plan.renew_lock()


def _abandon_all() -> None:
    for plan in _alive():
        plan.abandon()


_plans: WeakValueDictionary[int, Plan] = WeakValueDictionary()
atexit.register(_abandon_all)  # a thread may compute while Python ends and gives back the memory it computes in
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_locks)
