"""The gradient of a convolution's weight, from pairs of rows: see `pairs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.pair_table import BIN
from ninefold.kernels.llvm.pairs import MatrixPairs
from ninefold.kernels.llvm.text import INT, POINTER, Function
from ninefold.kernels.llvm.tile import most_pixels, pieces

if TYPE_CHECKING:
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

_MOST_VECTORS: Final = 4
_MANY: Final = 32  # registers from which on four vectors of sums pay
_MOST_CHANNELS: Final = 16
_CHUNK: Final = 64  # pairs whose products are summed up in registers


@final
@dataclass(frozen=True)
class PairGradient(MatrixPairs):
    """dw[k, c] = sum over pairs (i, o) of k of  x[i, c] * dy[o].

    It is called with x, with dy as the weight, and with y for dw, [offset][channel][lane of the output row]. The grid
    is (offsets, `runs` of channels); the rows in the table are those of dy.

    Args:
        halves: whether x and dy are bfloat16; dw is float32. Rows are put together two by two first.

    Raises:
        InvalidSpec: when fewer bfloat16 channels come than a vector has.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halves and self.in_channels < self.lanes:
            raise InvalidSpec(f"{self.in_channels} channels came as bfloat16; wanted at least {self.lanes}, or float32")

    @property
    def scratch(self) -> int:
        """Give the rows of a chunk, put together."""
        return _CHUNK // 2 * (self.out_channels + self.in_channels) if self.halves else 0

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
            self._run(f, k, some, [f["x"], f["weight"], gradient(k), f["scratch"], f["b0"], f["b1"]])

        f.loop(f["a0"], f["a1"], lambda k, _: emptied(k))
        self._walk(f, (0, bins), lambda some: f.loop(f["a0"], f["a1"], lambda k, _: added(k, some)) and None)
        return f

    def _products(self, target: Target) -> Function:
        integers = "b0", "b1", "count"
        names = "x", "dy", "dw", "scratch", "b0", "b1", "in_rows", "out_rows", "count"
        arguments = [(INT if name in integers else POINTER, name) for name in names]
        f = Function(self._some, arguments, target, internal=True)
        vectors, channels = self._panel(target), self._channels(target)

        def chunk(start: Value, _: list[Value]) -> None:
            run, first = (start, f.minimum(f.add(start, _CHUNK), f["count"])), 0
            if self.halves:
                run = 0, self._put_together(f, *run)
            for width, times in pieces(self._vectors, vectors):
                for panel in range(times):
                    self._columns(f, run, (first + panel * width, width), channels)
                first += times * width

        f.loop(0, f["count"], chunk, step=_CHUNK)
        return f

    def _put_together(self, f: Function, start: Value, stop: Number) -> Number:
        """Write the rows of every two pairs of a chunk, and of a last one alone, as one; give how many that are."""
        twos = f.div(f.sub(stop, start), 2)
        alone = f.add(start, f.mul(twos, 2))
        f.loop(0, twos, lambda i, _: self._together(f, f.add(start, f.mul(i, 2)), i, 2))
        f.loop(alone, stop, lambda j, _: self._together(f, j, twos, 1))
        return f.div(f.add(f.sub(stop, start), 1), 2)

    def _together(self, f: Function, pair: Number, place: Number, count: int) -> None:
        sides = ("dy", "out_rows", self.out_channels), ("x", "in_rows", self.in_channels)
        for (base, rows, width), area in zip(sides, self._areas(f, place), strict=True):
            for each in range(count):
                self._ask(f, f.at(f[base], self._later(f, rows, f.add(pair, each), width // 2)), width // 2)
            heads = [f.at(f[base], f.mul(f.index(f[rows], f.add(pair, p)), width // 2)) for p in range(count)]
            for column in (min(c, width - f.lanes) for c in range(0, width, f.lanes)):
                low, high = (f.at(heads[0], column // 2), f.at(heads[1], column // 2) if count > 1 else None)
                f.store(f.interleaved(low, high), area, column, aligned=False)

    def _areas(self, f: Function, place: Number) -> tuple[Value, Value]:
        """Give where rows of dy and of x lie that were put together."""
        behind = f.at(f["scratch"], _CHUNK // 2 * self.out_channels)
        return f.at(f["scratch"], f.mul(place, self.out_channels)), f.at(behind, f.mul(place, self.in_channels))

    def _columns(self, f: Function, run: tuple[Number, Number], panel: tuple[int, int], channels: int) -> None:
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
        self, f: Function, run: tuple[Number, Number], panel: tuple[int, int], channels: tuple[Number, int]
    ) -> None:
        """Add one rectangle of dw over a run of pairs."""
        (first, width), (channel, count) = panel, channels
        places = [c * self.out_channels + (first + v) * f.lanes for c in range(count) for v in range(width)]
        dw = f.at(f["dw"], f.mul(channel, self.out_channels))

        def pair(j: Value, carried: list[Value]) -> list[Value]:
            sums = list(carried)
            dy, x = self._areas(f, j) if self.halves else self._rows(f, j, channel, panel)
            x = f.at(x, channel)
            grads = [f.load(dy, (first + v) * f.lanes) for v in range(width)]
            for c in range(count):
                number = f.broadcast(x, c)
                for v in range(width):
                    sums[c * width + v] = self._product(f, number, grads[v], sums[c * width + v])
            return sums

        start, stop = run
        sums = f.loop(start, stop, pair, [f.load(dw, place) for place in places], nonempty=True)
        for place, total in zip(places, sums, strict=True):
            f.store(total, dw, place)

    def _rows(self, f: Function, pair: Value, channel: Number, panel: tuple[int, int]) -> tuple[Value, Value]:
        """Give the rows of dy and of x, and ask for what will be read of later ones."""
        rows = []
        sides = ("dy", "out_rows", self.out_channels), ("x", "in_rows", self.in_channels)
        parts = (panel[0] * f.lanes, panel[1] * f.lanes), (channel, 1)
        for (base, which, width), (start, length) in zip(sides, parts, strict=True):
            if self._fetches:
                self._ask(f, f.at(f.at(f[base], start), self._later(f, which, pair, width)), length)
            rows.append(f.at(f[base], f.mul(f.index(f[which], pair), width)))
        return rows[0], rows[1]
