"""Pooling over blocked maps: the largest or the mean of each window, and the mean of each whole map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_lanes, check_layout
from ninefold.kernels.llvm.text import INT, POINTER, Function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value
    from ninefold.spec import ConvSpec

_UNROLLED: Final = 5  # kernels up to this size are written out, taller ones loop over their rows
_CHAINS: Final = 4  # sums that run side by side, so that no addition waits for the one before it


class _Run(NamedTuple):
    """Neighbouring outputs along one axis whose windows meet the input with the same kernel elements.

    Args:
        start: of the outputs.
        stop: of the outputs.
        first: kernel element that meets the input.
        last: kernel element that meets the input, and one.
        counted: kernel elements that the mean divides by.
    """

    start: int
    stop: int
    first: int
    last: int
    counted: int


class _Shape(NamedTuple):
    """What one function pools: windows of this width and height (0: given when it is called), divided by `counted`."""

    width: int
    counted: int
    height: int


@final
@dataclass(frozen=True)
class Pool(Kernel):
    """y[c, i] = largest, or mean, over k of x[c, stride * i + dilation * k - before].

    Padding never wins and is never read: no border is needed. The grid is (blocks, rows of y). The mean divides by the
    elements that lie in the padded input; a window that begins inside and ends behind the padding, as rounding sizes
    up gives, has fewer.

    Args:
        kind: "max" or "average".
        spec: the window, as a convolution of one channel per group; its batch does not count.
        input: layout of x.
        output: layout of y. It may have more rows and columns than `spec.out_size`, where their windows begin inside
            the padded input.
        count_include_pad: whether the mean counts padding.
        divisor: of the mean, instead of the count; 0 for none.

    Raises:
        InvalidSpec: when a layout does not fit, or a window meets padding only.
    """

    kind: Literal["max", "average"]
    spec: ConvSpec
    input: Blocked
    output: Blocked
    count_include_pad: bool = True
    divisor: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        check_layout(self.input, self.spec.in_channels, self.spec.in_size, NO_BORDER)
        check_layout(self.output, self.spec.in_channels, (self.output.height, self.output.width), NO_BORDER)
        if any(run.first >= run.last for axis in (0, 1) for run in self._runs(axis)):
            raise InvalidSpec(
                f"a window of {self.spec.kernel} meets only padding={self.spec.padding} around an input of "
                f"{self.spec.in_size}; use padding below the kernel's size"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows of y)."""
        return self.output.blocks, self.output.height

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for every shape of window."""
        check_lanes(target, self.input, self.output)
        shapes = {self._shape(down, across) for down in self._runs(0) for across in self._runs(1)}
        return [*(self._windows(shape, target) for shape in sorted(shapes)), self._entry(target)]

    def _runs(self, axis: int) -> list[_Run]:
        size, kernel, stride = self.spec.in_size[axis], self.spec.kernel[axis], self.spec.stride[axis]
        dilation, (before, after) = self.spec.dilation[axis], self.spec.padding[axis]

        def met(i: int) -> tuple[int, int, int]:
            places = [stride * i + dilation * k - before for k in range(kernel)]
            inside = [k for k, place in enumerate(places) if 0 <= place < size]
            padded = sum(place < size + after for place in places)
            counted = padded if self.count_include_pad else len(inside)
            return (inside[0], inside[-1] + 1, counted) if inside else (0, 0, 0)

        outputs = range((self.output.height, self.output.width)[axis])
        runs = [(kind, list(members)) for kind, members in groupby(outputs, met)]
        return [_Run(members[0], members[-1] + 1, *kind) for kind, members in runs]

    def _shape(self, down: _Run, across: _Run) -> _Shape:
        height = down.last - down.first if self.spec.kernel[0] <= _UNROLLED else 0
        counted = (self.divisor or down.counted * across.counted) if self.kind == "average" else 1
        return _Shape(across.last - across.first, counted, height)

    def _symbol(self, shape: _Shape) -> str:
        return f"{self.name}_" + "_".join(map(str, shape))

    def _windows(self, shape: _Shape, target: Target) -> Function:
        """Write the pooling of a run of windows; x points to the first element of the first one that is input."""
        arguments = [(POINTER, "x"), (POINTER, "y"), (INT, "count"), (INT, "height")]
        f = Function(self._symbol(shape), arguments, target, internal=True)
        stride = self.spec.stride[1] * f.lanes

        def window(column: Value, _: list[Value]) -> None:
            value = self._window(f, f.at(f["x"], f.mul(column, stride)), shape)
            if self.kind == "average":
                value = f.arithmetic("fmul", value, f.constant(1 / shape.counted))
            f.store(value, f["y"], f.mul(column, f.lanes))

        f.loop(0, f["count"], window)
        return f

    def _window(self, f: Function, x: Value, shape: _Shape) -> Value:
        step, below = self.spec.dilation[1] * f.lanes, self.spec.dilation[0] * self.input.row

        def row(r: Number, had: Sequence[Value]) -> list[Value]:
            start = f.at(x, f.mul(r, below))
            values = [*had, *(f.load(start, k * step) for k in range(shape.width))]
            return [reduce(lambda best, value: _joined(f, self.kind, best, value), values)]

        if not shape.height:
            identity = f.zero() if self.kind == "average" else f.constant(-inf)
            return f.loop(0, f["height"], row, [identity], nonempty=True)[0]
        had: list[Value] = []
        for r in range(shape.height):
            had = row(r, had)
        return had[0]

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def block(a: Value, _: list[Value]) -> None:
            x, y = f.at(f["x"], f.mul(a, self.input.block)), f.at(f["y"], f.mul(a, self.output.block))
            for down in self._runs(0):
                begin, end = f.maximum(f["b0"], down.start), f.minimum(f["b1"], down.stop)
                f.loop(begin, end, lambda b, _, down=down: self._row(f, x, y, down, b))

        f.loop(f["a0"], f["a1"], block)
        return f

    def _row(self, f: Function, x: Value, y: Value, down: _Run, b: Value) -> None:
        (high, wide), (below, beside) = self.spec.stride, self.spec.dilation
        top = down.first * below - self.spec.padding[0][0]
        x = f.at(x, f.mul(f.add(f.mul(b, high), top), self.input.row))
        y = f.at(y, f.mul(b, self.output.row))
        for across in self._runs(1):
            left = (across.first * beside - self.spec.padding[1][0]) * f.lanes
            start = f.at(x, across.start * wide * f.lanes + left)
            to = f.at(y, across.start * f.lanes)
            sizes = [across.stop - across.start, down.last - down.first]
            f.call(self._symbol(self._shape(down, across)), [start, to, *sizes])


@final
@dataclass(frozen=True)
class GlobalAverage(Kernel):
    """y[c] = mean over all pixels of x[c]. The grid is (blocks, 1).

    Args:
        input: layout of x.
        output: layout of y, of one pixel.

    Raises:
        InvalidSpec: when the output does not fit.
    """

    input: Blocked
    output: Blocked

    def __post_init__(self) -> None:
        check_layout(self.output, self.input.channels, (1, 1), NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, 1)."""
        return self.input.blocks, 1

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        check_lanes(target, self.input, self.output)
        f = Function.entry(self.name, target)
        f.loop(f["a0"], f["a1"], lambda a, _: self._block(f, a))
        return [f]

    def _block(self, f: Function, a: Value) -> None:
        x = f.at(f["x"], f.mul(a, self.input.block))
        chains = min(_CHAINS, self.input.width)
        whole = self.input.width // chains * chains

        def added(row: Value, column: Value | int, sums: list[Value]) -> list[Value]:
            pixels = [f.load(row, f.mul(f.add(column, i), f.lanes)) for i in range(len(sums))]
            return [f.arithmetic("fadd", s, pixel) for s, pixel in zip(sums, pixels, strict=True)]

        def row(r: Value, sums: list[Value]) -> list[Value]:
            start = f.at(x, f.mul(r, self.input.row))
            sums = f.loop(0, whole, lambda i, had: added(start, i, had), sums, step=chains)
            rest = self.input.width - whole
            return [*added(start, whole, sums[:rest]), *sums[rest:]]

        sums = f.loop(0, self.input.height, row, [f.zero()] * chains)
        while len(sums) > 1:
            sums = [f.arithmetic("fadd", sums[0], sums[1]), *sums[2:]]
        pixels = self.input.height * self.input.width
        f.store(f.arithmetic("fmul", sums[0], f.constant(1 / pixels)), f["y"], f.mul(a, self.output.block))


@final
@dataclass(frozen=True)
class ChannelPool(Kernel):
    """y[0, i] = the largest, or the mean, over all channels c of x[c, i]. The grid is (1, rows).

    Args:
        kind: "max" or "average".
        input: layout of x.
        output: layout of y, of one channel.

    Raises:
        InvalidSpec: when the output does not fit.
    """

    kind: Literal["max", "average"]
    input: Blocked
    output: Blocked

    def __post_init__(self) -> None:
        check_layout(self.output, 1, (self.input.height, self.input.width), NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (1, rows)."""
        return 1, self.output.height

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        check_lanes(target, self.input, self.output)
        f = Function.entry(self.name, target)
        width = self.input.width
        whole = width // _CHAINS * _CHAINS

        def row(b: Value, _: list[Value]) -> None:
            if whole:
                f.loop(0, whole, lambda column, _: self._pixels(f, b, column, _CHAINS), step=_CHAINS)
            if whole < width:
                self._pixels(f, b, whole, width - whole)

        f.loop(f["b0"], f["b1"], row)
        return [f]

    def _pixels(self, f: Function, row: Value, column: Number, count: int) -> None:
        at = f.mul(column, f.lanes)
        x, y = f.at(f["x"], f.add(f.mul(row, self.input.row), at)), f.at(f["y"], f.add(f.mul(row, self.output.row), at))
        last = (self.input.blocks - 1) * self.input.block
        best = [self._last(f, f.load(x, last + i * f.lanes)) for i in range(count)]

        def block(a: Value, had: list[Value]) -> list[Value]:
            there = f.at(x, f.mul(a, self.input.block))
            return [_joined(f, self.kind, value, f.load(there, i * f.lanes)) for i, value in enumerate(had)]

        if self.input.blocks > 1:
            best = f.loop(0, self.input.blocks - 1, block, best)
        for i, value in enumerate(best):
            f.store(f.first_lanes(self._of_lanes(f, value), 1), y, i * f.lanes)

    def _last(self, f: Function, value: Value) -> Value:
        """Give the last block's vector with lanes that never win where there are no channels."""
        filled = self.input.channels % f.lanes
        if self.kind == "average" or not filled:
            return value
        return f.picked(value, f.constant(-inf), [i if i < filled else f.lanes for i in range(f.lanes)])

    def _of_lanes(self, f: Function, value: Value) -> Value:
        distance = f.lanes // 2
        while distance:
            other = f.picked(value, value, [(i + distance) % f.lanes for i in range(f.lanes)])
            value, distance = _joined(f, self.kind, value, other), distance // 2
        return f.arithmetic("fmul", value, f.constant(1 / self.input.channels)) if self.kind == "average" else value


def _joined(f: Function, kind: Literal["max", "average"], best: Value, value: Value) -> Value:
    return f.arithmetic("fadd", best, value) if kind == "average" else f.largest_or_nan(best, value)
