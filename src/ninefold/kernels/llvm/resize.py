"""Maps of another size: the nearest pixel, or the four around a place, weighted by how near they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, final

import numpy as np

from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_lanes, check_layout
from ninefold.kernels.llvm.text import FLOAT, POINTER, Function, Value, literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number

_LONGEST: Final = 8  # outputs after which the weights may come again
_SAME: Final = 1e-6  # between weights that count as equal


class Tap(NamedTuple):
    """What one output along an axis is made of: input `first`, and `weight` times the way from there to `second`."""

    first: int
    second: int
    weight: float


class _Run(NamedTuple):
    """Outputs start, start + 1, ... whose taps come again `count` times, each time `step` inputs further."""

    start: int
    taps: tuple[Tap, ...]
    count: int
    step: int


def taps(kind: str, size: int, out: int, *, align_corners: bool) -> list[Tap]:
    """Give what every output along an axis is made of, as torch does.

    nearest     input floor(i * size / out), where the quotient is a float32 unless it is whole
    bilinear    the place (i + 1/2) * size / out - 1/2, or i * (size - 1) / (out - 1), rounded to float32, where the
                corners are aligned

    >>> taps("bilinear", 2, 4, align_corners=False)[1:3]
    [Tap(first=0, second=1, weight=0.25), Tap(first=0, second=1, weight=0.75)]
    """
    if kind == "nearest":
        quotient = np.float32(size) / np.float32(out)
        inputs = [i // (out // size) if out % size == 0 else floor(np.float32(i) * quotient) for i in range(out)]
        return [Tap(min(i, size - 1), min(i, size - 1), 0.0) for i in inputs]
    if align_corners:
        step = np.float32(size - 1) / np.float32(max(out - 1, 1))
        places = [float(np.float32(i) * step) for i in range(out)]
    else:
        places = [max((i + 0.5) * size / out - 0.5, 0.0) for i in range(out)]
    found = [Tap(floor(place), min(floor(place) + 1, size - 1), place - floor(place)) for place in places]
    return [tap if tap.first < tap.second and tap.weight > _SAME else Tap(tap.first, tap.first, 0.0) for tap in found]


@final
@dataclass(frozen=True)
class Resize(Kernel):
    """y[c, i, j] = x at the place in its maps that (i, j) has in y's; see `taps`. The grid is (blocks, rows of y).

    Args:
        kind: "nearest" or "bilinear".
        input: layout of x.
        output: layout of y.
        align_corners: bilinear only: whether the first and last pixels' middles are the ends, not their edges.

    Raises:
        InvalidSpec: when the channels differ.
    """

    kind: Literal["nearest", "bilinear"]
    input: Blocked
    output: Blocked
    align_corners: bool = False

    def __post_init__(self) -> None:
        check_layout(self.output, self.input.channels, (self.output.height, self.output.width), NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows of y)."""
        return self.output.blocks, self.output.height

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for a row between two of x and one for a row that is one of x."""
        check_lanes(target, self.input, self.output)
        kinds = {tap.weight > 0 for tap in self._taps(0)}
        return [*(self._row(target, is_between=kind) for kind in sorted(kinds)), self._entry(target)]

    def _taps(self, axis: int) -> list[Tap]:
        size, out = ((x.height, x.width)[axis] for x in (self.input, self.output))
        return taps(self.kind, size, out, align_corners=self.align_corners)

    def _symbol(self, *, is_between: bool) -> str:
        return f"{self.name}_{'between' if is_between else 'at'}"

    def _row(self, target: Target, *, is_between: bool) -> Function:
        arguments = [(POINTER, "x"), (POINTER, "below"), (POINTER, "y"), (FLOAT, "weight")]
        f = Function(self._symbol(is_between=is_between), arguments, target, internal=True)
        weight = f.splat(f["weight"])

        def read(at: Number) -> Value:
            value = f.load(f["x"], at)
            return _between(f, value, f.load(f["below"], at), weight) if is_between else value

        for run in _runs(self._taps(1)):
            _each(f, run, lambda i, run=run: self._pixels(f, run, i, read))
        return f

    def _pixels(self, f: Function, run: _Run, i: Number, read: Callable[[Number], Value]) -> None:
        start = f.mul(i, run.step * f.lanes)
        y = f.at(f["y"], f.mul(f.add(f.mul(i, len(run.taps)), run.start), f.lanes))
        inputs = sorted({column for tap in run.taps for column in tap[:2]})
        values = {column: read(f.add(start, column * f.lanes)) for column in inputs}
        for number, tap in enumerate(run.taps):
            first, second = values[tap.first], values[tap.second]
            value = _between(f, first, second, f.constant(tap.weight)) if tap.weight else first
            f.store(value, y, number * f.lanes)

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def row(x: Value, y: Value, b: Number, tap: Tap) -> None:
            first, second = tap.first * self.input.row, tap.second * self.input.row
            arguments = [f.at(x, first), f.at(x, second), f.at(y, f.mul(b, self.output.row))]
            f.call(self._symbol(is_between=tap.weight > 0), [*arguments, Value(FLOAT, literal(tap.weight))])

        def rows(x: Value, y: Value, run: _Run, number: int) -> None:
            first, period = run.start + number, len(run.taps)
            begin, end = (f.div(f.maximum(f.add(f[b], period - 1 - first), 0), period) for b in ("b0", "b1"))

            def one(i: Value, _: list[Value]) -> None:
                at = f.at(x, f.mul(i, run.step * self.input.row))
                row(at, y, f.add(f.mul(i, period), first), run.taps[number])

            f.loop(begin, f.minimum(end, run.count), one)

        def block(a: Value, _: list[Value]) -> None:
            x, y = f.at(f["x"], f.mul(a, self.input.block)), f.at(f["y"], f.mul(a, self.output.block))
            for run in _runs(self._taps(0)):
                for number in range(len(run.taps)):
                    rows(x, y, run, number)

        f.loop(f["a0"], f["a1"], block)
        return f


def _between(f: Function, a: Value, b: Value, weight: Value) -> Value:
    return f.fma(f.arithmetic("fsub", b, a), weight, a)


def _each(f: Function, run: _Run, write: Callable[[Number], None]) -> None:
    if run.count == 1:
        write(0)
    else:
        f.loop(0, run.count, lambda i, _: write(i))


def _runs(every: list[Tap]) -> list[_Run]:
    """Cut outputs into single ones and the longest run of taps that come again, if that is most of them."""
    found = (_run(every, start, period) for period in range(1, _LONGEST + 1) for start in range(period + 1))
    best = max((run for run in found if run), key=lambda run: (run.count * len(run.taps), -len(run.taps)), default=None)
    if best is None or 2 * best.count * len(best.taps) < len(every):
        return [_Run(i, (tap,), 1, 0) for i, tap in enumerate(every)]
    end = best.start + best.count * len(best.taps)
    single = [_Run(i, (tap,), 1, 0) for i, tap in enumerate(every) if not best.start <= i < end]
    return [*single, best]


def _run(every: list[Tap], start: int, period: int) -> _Run | None:
    first = every[start : start + period]
    if start + 2 * period > len(every):
        return None
    step, count = every[start + period].first - first[0].first, 1
    while all(_is_again(a, b, count * step) for a, b in zip(first, every[start + count * period :], strict=False)):
        if start + (count + 1) * period > len(every):
            break
        count += 1
    return _Run(start, tuple(first), count, step) if count > 1 else None


def _is_again(a: Tap, b: Tap, further: int) -> bool:
    return b[:2] == (a.first + further, a.second + further) and abs(a.weight - b.weight) < _SAME
