"""Batches of feature maps in memory, and steps from one to another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from ninefold.kernels.llvm.kernel import NO_BORDER
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.memory import ALIGNMENT, Float32, buffer
from ninefold.kernels.llvm.plan import Step

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.kernel import Border, Kernel
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import Axes

_GROUP: Final = 2**20  # numbers of a group of pictures, in blocks: what a near cache holds
_KEPT: Final = 2**24  # numbers of memory to work in that a thread keeps for the next call
_MACS_PER_THREAD: Final = 500_000  # fewer are computed before another thread has begun


class Maps(NamedTuple):
    """A batch in memory."""

    first: int = 0  # address of the first pixel that is not border; 0 for no maps
    stride: int = 0  # bytes from one picture to the next

    @classmethod
    def planar(cls, tensor: Tensor) -> Maps:  # (N, C, *size), contiguous
        """Find the planes of a tensor."""
        return cls(tensor.data_ptr(), tensor[0].numel() * tensor.itemsize)

    @classmethod
    def within(cls, memory: int, layout: Blocked) -> Maps:
        """Find the blocks of a batch that begins at an address."""
        return cls(memory + 4 * layout.first, 4 * room(layout))


def blocked(channels: int, size: Axes, target: Target, border: Border = NO_BORDER) -> Blocked:
    """Lay out maps of two axes as a target's kernels want them."""
    height, width = size
    return Blocked(channels, height, width, target.lanes, border)


def room(layout: Blocked) -> int:
    """Give the numbers of a picture, up to the next multiple of `ALIGNMENT`."""
    line = ALIGNMENT // 4
    return -(-layout.size // line) * line


class Ready(NamedTuple):
    """A compiled kernel."""

    address: int
    grid: tuple[int, int]

    @classmethod
    def of(cls, kernel: Kernel, library: Library) -> Ready:
        """Find a kernel in its library."""
        return cls(library.addresses[kernel.name], kernel.grid)

    def step(self, x: Maps, y: Maps, pictures: int, *, waits: bool = True) -> Step:
        """Give the step of a plan that reads a batch and writes a batch."""
        strides = (x.stride, y.stride, 0)
        return Step(self.address, self.grid, x=x.first, y=y.first, pictures=pictures, strides=strides, waits=waits)


def group_size(pictures: int, numbers: int) -> int:
    """Say how many pictures to work on at a time, when each takes so many numbers."""
    return min(pictures, max(1, _GROUP // numbers))


def useful_threads(macs: int, threads: int) -> int:
    """Say how many of the threads have enough to do."""
    return min(threads, max(1, macs // _MACS_PER_THREAD))


def working_memory(numbers: int) -> Float32:
    """Give memory to work in, the same for all calls of a thread unless it is large."""
    if numbers > _KEPT:
        return buffer(numbers)
    if len(_own.memory) < numbers:
        _own.memory = buffer(numbers)
    return _own.memory


class _Own(threading.local):
    memory: Float32 = buffer(0)


_own = _Own()
