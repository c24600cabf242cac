"""What every kernel owes, whatever it computes: its text, how its work is cut, and its weights in execution order."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.module import module

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Function
    from ninefold.spec import ConvSpec

Border = tuple[int, int, int, int]
NO_BORDER: Border = (0, 0, 0, 0)


@dataclass(frozen=True)
class Kernel(ABC):
    """One computation over one picture, described by frozen fields: shape, layouts, epilogue, tile.

    It is called as `fn(x, weight, bias, y, residual, scratch, a0, a1, b0, b1)`: six addresses, then the part of the
    grid to do. x, y and residual are addresses of the first pixel that is not border. Every buffer begins at a
    multiple of 64 bytes; the bias is filled up with zeros to whole blocks; what a kernel does not use is null. It
    reads of x at most the border that it needs, and writes no border.
    """

    @property
    def name(self) -> str:
        """Give the symbol of its entry: the kind, and a hash of every field."""
        return f"{type(self).__name__.lower()}_{hashlib.sha256(repr(self).encode()).hexdigest()[:16]}"

    @property
    @abstractmethod
    def grid(self) -> tuple[int, int]:
        """Give the number of units along both axes; any thread may do any rectangle of them beside the others."""

    @property
    def needs_border(self) -> Border:
        """Give the zeros (above, below, left, right) that it reads around the input: its layout's must be as wide."""
        return NO_BORDER

    def chunk(self, pictures: int, threads: int) -> tuple[int, int] | None:  # noqa: ARG002  # for those that override
        """Give how much of the grid of a picture a thread takes at once; None leaves it to the plan."""
        return None

    @property
    def scratch(self) -> int:
        """Give the float32 numbers of memory that every thread needs for itself."""
        return 0

    @abstractmethod
    def functions(self, target: Target) -> list[Function]:
        """Write its entry, called `name`, and what the entry calls: names that begin with `name`, or other kernels."""

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """Give the weights in the order in which they are read, as flat float32; a kernel without has none."""
        raise TypeError(f"{type(self).__name__} has no weights, and an array of shape {weight.shape} came")


def build(kernels: Iterable[Kernel], target: Target, others: Sequence[Function | str] = ()) -> Library:
    """Compile kernels, each once, into one library that exports their names.

    Args:
        kernels: equal ones count once.
        target: the processor.
        others: functions that go into the same module and are not exported.
    """
    unique = list(dict.fromkeys(kernels))
    functions = {function.name: function for kernel in unique for function in kernel.functions(target)}
    return library(module([*functions.values(), *others], target), tuple(kernel.name for kernel in unique), target)


def blocks_of(array: np.ndarray, lanes: int) -> np.ndarray:
    """Fill the first axis up with zeros to whole blocks of `lanes`, as float32."""
    filled = np.zeros((-(-len(array) // lanes) * lanes, *array.shape[1:]), np.float32)
    filled[: len(array)] = array
    return filled


def check_layout(layout: Blocked, channels: int, size: tuple[int, ...], border: Border) -> None:
    """Refuse a layout that does not fit.

    Raises:
        InvalidSpec: naming both.
    """
    found = (layout.channels, layout.height, layout.width)
    if found != (channels, *size):
        raise InvalidSpec(f"a layout of (C, H, W) = {found} came where {(channels, *size)} was wanted")
    if any(have < need for have, need in zip(layout.border, border, strict=True) if need):
        raise InvalidSpec(
            f"a border (above, below, left, right) of {layout.border} came, and the kernel reads {border}; "
            "lay the maps out with at least that"
        )


def check_convolution(spec: ConvSpec, input: Blocked, outputs: Iterable[Blocked], border: Border) -> None:  # noqa: A002  # as the kernels' fields
    """Refuse layouts that do not fit a convolution.

    Args:
        spec: the convolution.
        input: layout of x.
        outputs: layouts of y and of what is added to it.
        border: zeros that are read around x.

    Raises:
        InvalidSpec: naming what came and what was wanted.
    """
    check_layout(input, spec.in_channels, spec.in_size, border)
    for layout in outputs:
        check_layout(layout, spec.out_channels, spec.out_size, NO_BORDER)


def check_lanes(target: Target, *layouts: Blocked) -> None:
    """Refuse layouts whose blocks are not as wide as the target's vectors.

    Raises:
        InvalidSpec: naming both.
    """
    found = {layout.lanes for layout in layouts}
    if found != {target.lanes}:
        raise InvalidSpec(
            f"blocks of {sorted(found)} lanes came for vectors of {target.lanes}; lay the maps out with "
            f"lanes={target.lanes}"
        )
