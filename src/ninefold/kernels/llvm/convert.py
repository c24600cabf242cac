"""From planes of channels, as torch lays pictures out, to blocks of channels and back; and blocks laid out anew."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import Kernel, check_lanes
from ninefold.kernels.llvm.text import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value


@dataclass(frozen=True)
class _Planar(Kernel):
    """A conversion between planes [channel][row][column] and blocks; planes begin where the channels do.

    The grid is (blocks, rows); without a border between rows, one long row. Squares of `lanes` channels times `lanes`
    pixels are turned over in registers; the last square of a row may overlap the one before it.
    """

    layout: Blocked

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows)."""
        return self.layout.blocks, self._rows

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and one function for a row of whole blocks and one for a row of the last block."""
        check_lanes(target, self.layout)
        last = self.layout.channels - (self.layout.blocks - 1) * target.lanes
        kinds = {target.lanes: "whole", last: "whole" if last == target.lanes else "last"}
        rows = [self._row(f"{self.name}_{kind}", channels, target) for channels, kind in kinds.items()]
        return [*rows, self._entry(kinds[last], target)]

    @property
    def _rows(self) -> int:
        left, right = self.layout.border[2:]
        return self.layout.height if left or right else 1

    @property
    def _columns(self) -> int:
        return self.layout.height * self.layout.width // self._rows

    @property
    def _plane(self) -> int:
        return self.layout.height * self.layout.width

    @abstractmethod
    def _ends(self, f: Function) -> tuple[Value, Value]:
        """Give the pointers (planar, blocked)."""

    @abstractmethod
    def _square(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        """Write the conversion of `lanes` pixels of a block's channels."""

    @abstractmethod
    def _pixel(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        """Write the conversion of one pixel of a block's channels."""

    def _entry(self, last: str, target: Target) -> Function:
        f = Function.entry(self.name, target)
        planar, blocked = self._ends(f)

        def unit(a: Value, b: Value, kind: str) -> None:
            plane = f.add(f.mul(a, f.lanes * self._plane), f.mul(b, self._columns))
            block = f.add(f.mul(a, self.layout.block), f.mul(b, self.layout.row))
            f.call(f"{self.name}_{kind}", [f.at(planar, plane), f.at(blocked, block)])

        def block(a: Value, _: list[Value]) -> None:
            is_last = f.compare("eq", a, self.layout.blocks - 1)
            f.loop(
                f["b0"],
                f["b1"],
                lambda b, _: f.branch(is_last, lambda: unit(a, b, last), lambda: unit(a, b, "whole")),
            )

        f.loop(f["a0"], f["a1"], block)
        return f

    def _row(self, name: str, channels: int, target: Target) -> Function:
        f = Function(name, [("ptr", "planar"), ("ptr", "blocked")], target, internal=True)

        def at(column: Number, write: Callable[[Function, Value, Value, int], None]) -> None:
            write(f, f.at(f["planar"], column), f.at(f["blocked"], f.mul(column, f.lanes)), channels)

        if self._columns < f.lanes:
            f.loop(0, self._columns, lambda column, _: at(column, self._pixel))
            return f
        whole = self._columns // f.lanes * f.lanes
        f.loop(0, whole, lambda column, _: at(column, self._square), step=f.lanes)
        if whole < self._columns:
            at(self._columns - f.lanes, self._square)
        return f


@final
@dataclass(frozen=True)
class ToBlocks(_Planar):
    """y[block][row][column][lane] = x[channel][row][column]; lanes behind the last channel become zeros.

    Args:
        layout: of y; its border is not written, see `ClearBorder`.
    """

    def _ends(self, f: Function) -> tuple[Value, Value]:
        return f["x"], f["y"]

    def _square(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        planes = [f.load(planar, c * self._plane, aligned=False) for c in range(channels)]
        planes += [f.zero()] * (f.lanes - channels)
        for pixel, vector in enumerate(_transposed(f, planes)):
            f.store(vector, blocked, pixel * f.lanes)

    def _pixel(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        f.store(f.zero(), blocked)
        for c in range(channels):
            f.store_scalar(f.load_scalar(planar, c * self._plane), blocked, c)


@final
@dataclass(frozen=True)
class FromBlocks(_Planar):
    """y[channel][row][column] = x[block][row][column][lane].

    Args:
        layout: of x.
    """

    def _ends(self, f: Function) -> tuple[Value, Value]:
        return f["y"], f["x"]

    def _square(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        pixels = [f.load(blocked, pixel * f.lanes) for pixel in range(f.lanes)]
        for c, vector in enumerate(_transposed(f, pixels)[:channels]):
            f.store(vector, planar, c * self._plane, aligned=False)

    def _pixel(self, f: Function, planar: Value, blocked: Value, channels: int) -> None:
        for c in range(channels):
            f.store_scalar(f.load_scalar(blocked, c), planar, c * self._plane)


@final
@dataclass(frozen=True)
class ClearBorder(Kernel):
    """Write zeros into the border of y, and nothing else: what no other kernel does.

    The grid is (blocks, 1).

    Args:
        layout: of y.
    """

    layout: Blocked

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, 1)."""
        return self.layout.blocks, 1

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        check_lanes(target, self.layout)
        f = Function.entry(self.name, target)
        above, below, left, right = self.layout.border
        width, row = self.layout.row // f.lanes, self.layout.row

        def zeros(start: Value, pixels: int) -> None:
            if pixels:
                f.loop(0, pixels, lambda i, _: f.store(f.zero(), start, f.mul(i, f.lanes)))

        def between(block: Value, r: Value) -> None:
            end = f.at(block, f.add(f.mul(r, row), self.layout.width * f.lanes))
            zeros(end, left + right)  # to the right of this row and to the left of the next one

        def block(a: Value, _: list[Value]) -> None:
            first = f.at(f["y"], f.mul(a, self.layout.block))
            zeros(f.at(first, -self.layout.first), above * width + left)
            if self.layout.height > 1:
                f.loop(0, self.layout.height - 1, lambda r, _: between(first, r))
            end = (self.layout.height - 1) * row + self.layout.width * f.lanes
            zeros(f.at(first, end), right + below * width)

        f.loop(f["a0"], f["a1"], block)
        return [f]


@final
@dataclass(frozen=True)
class Spread(Kernel):
    """y[c, step * i] = x[c, i], and zeros between them: what a transposed convolution with a stride slides over.

    With a step of one this copies maps from one layout to another. The grid is (blocks, rows of y).

    Args:
        input: layout of x.
        output: layout of y, of step * (size - 1) + 1 rows and columns.
        step: (rows, columns), >= 1.

    Raises:
        InvalidSpec: when the layouts do not meet.
    """

    input: Blocked
    output: Blocked
    step: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        down, across = self.step
        wanted = (self.input.channels, down * (self.input.height - 1) + 1, across * (self.input.width - 1) + 1)
        found = (self.output.channels, self.output.height, self.output.width)
        if found != wanted:
            raise InvalidSpec(f"an output of (C, H, W) = {found} came where {wanted} was wanted for step={self.step}")

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows of y)."""
        return self.output.blocks, self.output.height

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        check_lanes(target, self.input, self.output)
        f = Function.entry(self.name, target)
        down, _ = self.step

        def row(a: Value, b: Value) -> None:
            y = f.at(f["y"], f.add(f.mul(a, self.output.block), f.mul(b, self.output.row)))
            x = f.at(f["x"], f.add(f.mul(a, self.input.block), f.mul(f.div(b, down), self.input.row)))
            if down == 1:
                self._copied(f, x, y)
                return
            f.branch(f.compare("eq", f.mod(b, down), 0), lambda: self._copied(f, x, y), lambda: self._cleared(f, y))

        def block(a: Value, _: list[Value]) -> None:
            f.loop(f["b0"], f["b1"], lambda b, _: row(a, b))

        f.loop(f["a0"], f["a1"], block)
        return [f]

    def _copied(self, f: Function, x: Value, y: Value) -> None:
        across = self.step[1] * f.lanes
        if self.step[1] > 1:
            self._cleared(f, y)
        f.loop(0, self.input.width, lambda i, _: f.store(f.load(x, f.mul(i, f.lanes)), y, f.mul(i, across)))

    def _cleared(self, f: Function, y: Value) -> None:
        f.loop(0, self.output.width, lambda i, _: f.store(f.zero(), y, f.mul(i, f.lanes)))


def _transposed(f: Function, rows: Sequence[Value]) -> list[Value]:
    """Turn a square of `lanes` vectors over: lane j of vector i becomes lane i of vector j.

    For every power of two d, neighbouring squares of d lanes exchange those off the diagonal.
    """
    square, lanes = list(rows), f.lanes
    distance = 1
    while distance < lanes:
        for i in (i for i in range(lanes) if not i & distance):
            a, b = square[i], square[i + distance]
            upper = [k if not k & distance else lanes + k - distance for k in range(lanes)]
            lower = [k + distance if not k & distance else lanes + k for k in range(lanes)]
            square[i], square[i + distance] = f.picked(a, b, upper), f.picked(a, b, lower)
        distance *= 2
    return square
