"""Sums over pairs of rows: what a sparse convolution computes once it is known which rows meet.

Rows are features, (N, C) with nothing between them. For every kernel offset there is a list of pairs (input row, output
row), increasing in both; nothing in a kernel depends on how many rows, offsets or pairs there are. Output rows are cut
into bins, and a few bins at a time go through all offsets while they stay in a near cache. Every number of a result is
summed up by one thread, pair by pair in the order of the lists, however the work is cut.

The lists come as a table in place of the residual: see `pair_table`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import Kernel
from ninefold.kernels.llvm.pair_table import BIN
from ninefold.kernels.llvm.text import INT, POINTER, Function
from ninefold.kernels.llvm.tile import most_pixels, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

_MOST_PAIRS: Final = 8
_MOST_VECTORS: Final = 4
_HELD_PAIRS: Final = 4  # at once, where the weights stay in registers
_UNROLLED: Final = 4  # channels per round
_MANY: Final = 32  # registers from which on four vectors of sums pay
_MOST_CHANNELS: Final = 16
_CHUNK: Final = 64  # pairs whose products are summed up in registers
_BINS: Final = 4  # at a time: enough pairs per offset to be worth its weights, and few enough rows to stay near
_HEAD: Final = 2  # numbers of a table before its first offset
_LISTS = ("in_rows", "out_rows", "bounds")


@dataclass(frozen=True)
class Pairs(Kernel):
    """What all kernels over pairs have: channels, and a walk over bins of rows and offsets.

    Args:
        in_channels: C, numbers in an input row.
        out_channels: O, numbers in an output row: a multiple of the lanes.
        lanes: of the vectors.

    Raises:
        InvalidSpec: when output rows are no whole vectors.
    """

    in_channels: int
    out_channels: int
    lanes: int

    def __post_init__(self) -> None:
        if self.out_channels % self.lanes:
            raise InvalidSpec(
                f"rows of {self.out_channels} output channels came for vectors of {self.lanes}; fill them up with zeros"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Refuse to answer: the grid is one of bins or offsets, and follows from the rows."""
        raise TypeError(f"the grid of {type(self).__name__} follows from the table, not from the kernel")

    def _check(self, target: Target) -> None:
        if self.lanes != target.lanes:
            raise InvalidSpec(f"rows in blocks of {self.lanes} lanes came for vectors of {target.lanes}")

    @property
    def macs(self) -> int:
        """Count the multiply-accumulates of a pair."""
        return self.in_channels * self.out_channels

    @property
    def _vectors(self) -> int:
        return self.out_channels // self.lanes

    @property
    @abstractmethod
    def _some(self) -> str:
        """Name the function that a run of pairs is handed to."""

    def _walk(self, f: Function, bins: tuple[Number, Number], visit: Callable[[tuple[Value, Number]], None]) -> None:
        """Visit some bins at a time, as (first, the one behind the last)."""
        f.loop(*bins, lambda b, _: visit((b, f.minimum(f.add(b, _BINS), bins[1]))), step=_BINS)

    def _run(self, f: Function, offset: Number, bins: tuple[Number, Number], others: Sequence[Value]) -> None:
        """Hand the pairs of an offset in some bins to `_some`, with what else it takes."""
        lists = f.at(f["residual"], f.add(f.mul(offset, 2 * len(_LISTS)), 2 * _HEAD))
        in_rows, out_rows, bounds = (f.address(lists, i) for i in range(len(_LISTS)))
        first = f.index(bounds, bins[0])
        count = f.sub(f.index(bounds, bins[1]), first)
        f.call(self._some, [*others, f.at(in_rows, first), f.at(out_rows, first), count])


@final
@dataclass(frozen=True)
class PairSum(Pairs):
    """y[o] = epilogue(sum over offsets k and pairs (i, o) of k of  x[i] @ w[k]).

    The grid is (bins of output rows, 1).

    Args:
        epilogue: without a residual; a bias is what every sum begins with.
        scaled: whether sums are multiplied by a number per output channel before the bias is added to them: the bias is
            (bias, factors) then.

    Raises:
        InvalidSpec: when sums are scaled and there is no bias.
    """

    epilogue: Epilogue
    scaled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaled and not self.epilogue.bias:
            raise InvalidSpec("scaled=True came without a bias in the epilogue; put one there, of zeros if need be")

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (K, C, O or less)
        """Give the weights as [offset][channel][lane of the output row], with zeros behind the last."""
        missing = self.out_channels - weight.shape[2]
        return np.pad(weight.astype(np.float32, copy=False), ((0, 0), (0, 0), (0, missing))).ravel()

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and what adds a run of pairs."""
        self._check(target)
        return [self._held(target) if self._weights_fit(target) else self._tiled(target), self._entry(target)]

    @property
    def _some(self) -> str:
        return f"{self.name}_pairs"

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        rows, offsets = f.integer(f["residual"], 0), f.integer(f["residual"], 1)

        def block(bins: tuple[Value, Number]) -> None:
            first, last = f.mul(bins[0], BIN), f.minimum(f.mul(bins[1], BIN), rows)
            self._each(f, first, last, lambda _, v: self._start(f, v * f.lanes))
            f.loop(0, offsets, lambda k, _: self._run(f, k, bins, [f["x"], self._weight(f, k), f["y"]]))
            if self.scaled or self.epilogue.activation != "none":
                self._each(f, first, last, lambda y, v: self._finished(f, f.load(y, v * f.lanes), v * f.lanes))

        self._walk(f, (f["a0"], f["a1"]), block)
        return f

    def _start(self, f: Function, column: int) -> Value:
        return f.zero() if self.scaled else self.epilogue.start(f, f["bias"], column)

    def _finished(self, f: Function, total: Value, column: int) -> Value:
        if self.scaled:
            bias, factor = f.load(f["bias"], column), f.load(f["bias"], self.out_channels + column)
            total = f.fma(total, factor, bias)
        return self.epilogue.apply(f, total, f["residual"])

    def _weight(self, f: Function, offset: Value) -> Value:
        return f.at(f["weight"], f.mul(offset, self.in_channels * self.out_channels))

    def _each(self, f: Function, first: Number, last: Number, value: Callable[[Value, int], Value]) -> None:
        """Write a vector to all places of some output rows."""

        def row(r: Value, _: list[Value]) -> None:
            y = f.at(f["y"], f.mul(r, self.out_channels))
            for v in range(self._vectors):
                f.store(value(y, v), y, v * f.lanes)

        f.loop(first, last, row)

    # A run of pairs: y[out_rows[j]] += x[in_rows[j]] @ weight for j = 0 ... count - 1; no output row comes twice.

    def _pairs_function(self, target: Target) -> Function:
        names = ("x", "weight", "y", "in_rows", "out_rows")
        return Function(self._some, [*((POINTER, n) for n in names), (INT, "count")], target, internal=True)

    def _weights_fit(self, target: Target) -> bool:
        return self._vectors == 1 and self.in_channels + _HELD_PAIRS + 2 <= target.registers and target.has_fma

    def _held(self, target: Target) -> Function:
        """Keep the whole weight in registers."""
        f = self._pairs_function(target)
        weights = [f.load(f["weight"], c * f.lanes) for c in range(self.in_channels)]

        def some(j: Number, count: int) -> None:
            xs, ys = self._rows(f, j, count)
            sums = [f.load(y) for y in ys]
            for c, weight in enumerate(weights):
                sums = [f.fma(f.broadcast(x, c), weight, total) for x, total in zip(xs, sums, strict=True)]
            for y, total in zip(ys, sums, strict=True):
                f.store(total, y)

        _by_halves(f, _HELD_PAIRS, some)
        return f

    def _tiled(self, target: Target) -> Function:
        """Keep the sums of some pairs times some vectors in registers."""
        f = self._pairs_function(target)
        vectors = min(self._vectors, _MOST_VECTORS)
        while vectors > 1 and most_pixels(vectors, target) < vectors:
            vectors -= 1

        def some(j: Number, count: int) -> None:
            xs, ys = self._rows(f, j, count)
            first = 0
            for width, times in pieces(self._vectors, vectors):
                for panel in range(times):
                    self._panel(f, xs, ys, (first + panel * width, width))
                first += times * width

        _by_halves(f, min(_MOST_PAIRS, most_pixels(vectors, target)), some)
        return f

    def _rows(self, f: Function, j: Number, count: int) -> tuple[list[Value], list[Value]]:
        sides = ("x", "in_rows", self.in_channels), ("y", "out_rows", self.out_channels)
        xs, ys = (
            [f.at(f[base], f.mul(f.index(f[rows], f.add(j, p)), width)) for p in range(count)]
            for base, rows, width in sides
        )
        return xs, ys

    def _panel(self, f: Function, xs: list[Value], ys: list[Value], panel: tuple[int, int]) -> None:
        first, width = panel
        columns = [(first + v) * f.lanes for v in range(width)]

        def channels(place: Number, carried: list[Value], count: int) -> list[Value]:
            sums = list(carried)
            weight = f.at(f["weight"], f.mul(place, self.out_channels))
            heads = [f.at(x, place) for x in xs]
            for c in range(count):
                weights = [f.load(weight, c * self.out_channels + column) for column in columns]
                for p, head in enumerate(heads):
                    number = f.broadcast(head, c)
                    for v in range(width):
                        sums[p * width + v] = f.fma(number, weights[v], sums[p * width + v])
            return sums

        sums = [f.load(y, column) for y in ys for column in columns]
        whole = self.in_channels // _UNROLLED * _UNROLLED
        if whole:
            sums = f.loop(0, whole, lambda c, carried: channels(c, carried, _UNROLLED), sums, step=_UNROLLED)
        if whole < self.in_channels:
            sums = channels(whole, sums, self.in_channels - whole)
        for p, y in enumerate(ys):
            for v, column in enumerate(columns):
                f.store(sums[p * width + v], y, column)


@final
@dataclass(frozen=True)
class PairGradient(Pairs):
    """dw[k, c] = sum over pairs (i, o) of k of  x[i, c] * dy[o].

    It is called with x, with dy as the weight, and with y for dw, [offset][channel][lane of the output row]. The grid
    is (offsets, `runs` of channels); the rows in the table are those of dy.
    """

    def runs(self, target: Target) -> int:
        """Count the runs that the channels of x are cut into: a run's sums stay in registers."""
        return -(-self.in_channels // self._channels(target))

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and what adds a run of pairs."""
        self._check(target)
        return [self._products(target), self._entry(target)]

    @property
    def _some(self) -> str:
        return f"{self.name}_products"

    def _panel(self, target: Target) -> int:
        return min(self._vectors, 2 if target.registers < _MANY else _MOST_VECTORS)

    def _channels(self, target: Target) -> int:
        most = min(self.in_channels, most_pixels(self._panel(target), target), _MOST_CHANNELS)
        return -(-self.in_channels // -(-self.in_channels // most))

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        bins = f.div(f.add(f.integer(f["residual"], 0), BIN - 1), BIN)
        size = self._channels(target)
        first, last = f.mul(f["b0"], size), f.minimum(f.mul(f["b1"], size), self.in_channels)

        def gradient(k: Value) -> Value:
            return f.at(f["y"], f.mul(k, self.in_channels * self.out_channels))

        def emptied(k: Value) -> None:
            start, stop = (f.mul(channel, self.out_channels) for channel in (first, last))
            f.loop(start, stop, lambda place, _: f.store(f.zero(), gradient(k), place), step=f.lanes)

        def added(k: Value, some: tuple[Value, Number]) -> None:
            self._run(f, k, some, [f["x"], f["weight"], gradient(k), f["b0"], f["b1"]])

        f.loop(f["a0"], f["a1"], lambda k, _: emptied(k))
        self._walk(f, (0, bins), lambda some: f.loop(f["a0"], f["a1"], lambda k, _: added(k, some)) and None)
        return f

    def _products(self, target: Target) -> Function:
        names, integers = ("x", "dy", "dw", "b0", "b1", "in_rows", "out_rows", "count"), ("b0", "b1", "count")
        arguments = [(INT if name in integers else POINTER, name) for name in names]
        f = Function(self._some, arguments, target, internal=True)
        vectors, channels = self._panel(target), self._channels(target)

        def chunk(start: Value, _: list[Value]) -> None:
            stop, first = f.minimum(f.add(start, _CHUNK), f["count"]), 0
            for width, times in pieces(self._vectors, vectors):
                for panel in range(times):
                    self._columns(f, (start, stop), (first + panel * width, width), channels)
                first += times * width

        f.loop(0, f["count"], chunk, step=_CHUNK)
        return f

    def _columns(self, f: Function, run: tuple[Value, Number], panel: tuple[int, int], channels: int) -> None:
        """Add the runs of channels b0 ... b1 - 1; the last one of all may be shorter."""
        whole, rest = divmod(self.in_channels, channels)

        def some(b: Number, count: int) -> None:
            self._block(f, run, panel, (f.mul(b, channels), count))

        if (whole, rest) == (1, 0):
            some(0, channels)
            return
        f.loop(f["b0"], f.minimum(f["b1"], whole), lambda b, _: some(b, channels))
        if rest:
            f.loop(f.maximum(f["b0"], whole), f["b1"], lambda b, _: some(b, rest))

    def _block(
        self, f: Function, run: tuple[Value, Number], panel: tuple[int, int], channels: tuple[Number, int]
    ) -> None:
        """Add one rectangle of dw over a run of pairs."""
        (first, width), (channel, count) = panel, channels
        places = [c * self.out_channels + (first + v) * f.lanes for c in range(count) for v in range(width)]
        dw, numbers = f.at(f["dw"], f.mul(channel, self.out_channels)), f.at(f["x"], channel)

        def pair(j: Value, carried: list[Value]) -> list[Value]:
            sums = list(carried)
            x = f.at(numbers, f.mul(f.index(f["in_rows"], j), self.in_channels))
            dy = f.at(f["dy"], f.mul(f.index(f["out_rows"], j), self.out_channels))
            grads = [f.load(dy, (first + v) * f.lanes) for v in range(width)]
            for c in range(count):
                number = f.broadcast(x, c)
                for v in range(width):
                    sums[c * width + v] = f.fma(number, grads[v], sums[c * width + v])
            return sums

        start, stop = run
        sums = f.loop(start, stop, pair, [f.load(dw, place) for place in places], nonempty=True)
        for place, total in zip(places, sums, strict=True):
            f.store(total, dw, place)


def _by_halves(f: Function, most: int, some: Callable[[Number, int], None]) -> None:
    """Write `some(first, how many)` for `count` pairs: `most` at a time, the rest by halving powers of two."""
    done: Number = 0
    for size in [most, *(n for n in (8, 4, 2, 1) if n < most)]:
        stop = f.add(done, f.mul(f.div(f.sub(f["count"], done), size), size))
        f.loop(done, stop, lambda j, _, size=size: some(j, size), step=size)
        done = stop
