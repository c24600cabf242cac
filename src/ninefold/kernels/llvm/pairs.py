"""Sums over pairs of rows: what a sparse convolution computes once it is known which rows meet.

Rows are features, (N, C) with nothing between them. For every kernel offset there is a list of pairs (input row, output
row), increasing in both; nothing in a kernel depends on how many rows, offsets or pairs there are. Output rows are cut
into bins, and a few bins at a time go through all offsets while they stay in a near cache. Every number of a result is
summed up by one thread, pair by pair in the order of the lists, however the work is cut.

The lists come as a table in place of the residual: see `pair_table`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
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
_BINS: Final = 4  # at a time: enough pairs per offset to be worth its weights, and few enough rows to stay near
_HEAD: Final = 2  # numbers of a table before its first offset
_LINE: Final = 16  # numbers in a line of the caches
_AHEAD: Final = 512  # numbers of the next rows that are on their way from a far cache
_LEAST_AHEAD: Final = 8  # rows of them
_NARROW: Final = 16  # channels of rows that are not worth asking for if they have fewer
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


@dataclass(frozen=True)
class MatrixPairs(Pairs):
    """What kernels share in which every input channel meets every output channel.

    Args:
        halves: whether rows and weights are bfloat16, for targets that multiply such numbers. They are summed up in
            float32; what is smaller than the normal numbers of float32 counts as zero.

    Raises:
        InvalidSpec: when an odd number of bfloat16 channels comes.
    """

    halves: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halves and self.in_channels % 2:
            raise InvalidSpec(f"{self.in_channels} channels came as bfloat16; wanted an even number, or float32")

    def _check(self, target: Target) -> None:
        super()._check(target)
        if self.halves and not target.has_bf16:
            raise InvalidSpec(f"bfloat16 rows came for {target.cpu}, which multiplies none; widen them")

    @property
    def _row(self) -> int:
        """Count the float32 numbers that have the place of an input row."""
        return self.in_channels // 2 if self.halves else self.in_channels

    def _product(self, f: Function, a: Value, b: Value, total: Value) -> Value:
        return f.dot(a, b, total) if self.halves else f.fma(a, b, total)

    @property
    def _fetches(self) -> bool:
        """Whether rows are asked for before they are read: for narrow ones that takes longer than it saves."""
        return self.in_channels >= _NARROW

    def _later(self, f: Function, rows: str, pair: Number, width: int) -> Number:
        """Give where the row begins that comes some pairs later, or that of the run's last pair."""
        ahead = max(_LEAST_AHEAD, _AHEAD // self._row)
        return f.mul(f.index(f[rows], f.minimum(f.add(pair, ahead), f.sub(f["count"], 1))), width)

    def _ask(self, f: Function, numbers: Value, length: int) -> None:
        """Ask for the lines of so many numbers that will be read."""
        for line in range(0, length, _LINE):
            f.prefetch(numbers, line)


@final
@dataclass(frozen=True)
class PairSum(MatrixPairs):
    """y[o] = epilogue(sum over offsets k and pairs (i, o) of k of  x[i] @ w[k]).

    The grid is (bins of output rows, 1).

    Args:
        epilogue: without a residual; a bias is what every sum begins with.
        scaled: whether sums are multiplied by a number per output channel before the bias is added to them: the bias is
            (bias, factors) then.
        halves: whether x, w and y are bfloat16; a bias is float32.

    Raises:
        InvalidSpec: when sums are scaled and there is no bias.
    """

    epilogue: Epilogue
    scaled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaled and not self.epilogue.bias:
            raise InvalidSpec("scaled=True came without a bias in the epilogue; put one there, of zeros if need be")

    @property
    def scratch(self) -> int:
        """Give the sums of some bins, where rows of the output have no place for them."""
        return _BINS * BIN * self.out_channels if self.halves else 0

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (K, C, O or less), of float32, or two bfloat16 in each's place
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
            some = f.mul(bins[0], BIN), f.minimum(f.mul(bins[1], BIN), rows)
            sums = f.at(f["scratch"], f.mul(some[0], -self.out_channels)) if self.halves else f["y"]
            self._begin(f, sums, some)
            f.loop(0, offsets, lambda k, _: self._run(f, k, bins, [f["x"], self._weight(f, k), sums]))
            if self.halves or self.scaled or self.epilogue.activation != "none":
                self._end(f, sums, some)

        self._walk(f, (f["a0"], f["a1"]), block)
        return f

    def _begin(self, f: Function, sums: Value, rows: tuple[Number, Number]) -> None:
        def row(r: Value, _: list[Value]) -> None:
            total = f.at(sums, f.mul(r, self.out_channels))
            for column in range(0, self.out_channels, f.lanes):
                f.store(f.zero() if self.scaled else self.epilogue.start(f, f["bias"], column), total, column)

        f.loop(*rows, row)

    def _end(self, f: Function, sums: Value, rows: tuple[Number, Number]) -> None:
        places = 2 if self.halves else 1  # a number of float32 has

        def row(r: Value, _: list[Value]) -> None:
            total, y = f.at(sums, f.mul(r, self.out_channels)), f.at(f["y"], f.mul(r, self.out_channels // places))
            for column in range(0, self.out_channels, f.lanes):
                value = self._finished(f, f.load(total, column), column)
                (f.store_rounded if self.halves else f.store)(value, y, column // places)

        f.loop(*rows, row)

    def _finished(self, f: Function, total: Value, column: int) -> Value:
        if self.scaled:
            bias, factor = f.load(f["bias"], column), f.load(f["bias"], self.out_channels + column)
            total = f.fma(total, factor, bias)
        return self.epilogue.apply(f, total, f["residual"])

    def _weight(self, f: Function, offset: Value) -> Value:
        return f.at(f["weight"], f.mul(offset, self._row * self.out_channels))

    # A run of pairs: y[out_rows[j]] += x[in_rows[j]] @ weight for j = 0 ... count - 1; no output row comes twice.

    def _pairs_function(self, target: Target) -> Function:
        names = ("x", "weight", "y", "in_rows", "out_rows")
        return Function(self._some, [*((POINTER, n) for n in names), (INT, "count")], target, internal=True)

    def _weights_fit(self, target: Target) -> bool:
        return self._vectors == 1 and self._row + _HELD_PAIRS + 2 <= target.registers and target.has_fma

    def _held(self, target: Target) -> Function:
        """Keep the whole weight in registers."""
        f = self._pairs_function(target)
        weights = [f.load(f["weight"], c * f.lanes) for c in range(self._row)]

        def some(j: Number, count: int) -> None:
            xs, ys = self._rows(f, j, count)
            sums = [f.load(y) for y in ys]
            for c, weight in enumerate(weights):
                sums = [self._product(f, f.broadcast(x, c), weight, total) for x, total in zip(xs, sums, strict=True)]
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
        for p in range(count if self._fetches else 0):
            self._ask(f, f.at(f["x"], self._later(f, "in_rows", f.add(j, p), self._row)), self._row)
        sides = ("x", "in_rows", self._row), ("y", "out_rows", self.out_channels)
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
                        sums[p * width + v] = self._product(f, number, weights[v], sums[p * width + v])
            return sums

        sums = [f.load(y, column) for y in ys for column in columns]
        whole = self._row // _UNROLLED * _UNROLLED
        if whole:
            sums = f.loop(0, whole, lambda c, carried: channels(c, carried, _UNROLLED), sums, step=_UNROLLED)
        if whole < self._row:
            sums = channels(whole, sums, self._row - whole)
        for p, y in enumerate(ys):
            for v, column in enumerate(columns):
                f.store(sums[p * width + v], y, column)


def _by_halves(f: Function, most: int, some: Callable[[Number, int], None]) -> None:
    """Write `some(first, how many)` for `count` pairs: `most` at a time, the rest by halving powers of two."""
    done: Number = 0
    for size in [most, *(n for n in (8, 4, 2, 1) if n < most)]:
        stop = f.add(done, f.mul(f.div(f.sub(f["count"], done), size), size))
        f.loop(done, stop, lambda j, _, size=size: some(j, size), step=size)
        done = stop
