"""Sums over pairs of rows where every channel is convolved by itself: a vector of channels per pair and step.

The tables and bins are those of `pairs`; the weight is a row per offset in place of a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.pair_table import BIN
from ninefold.kernels.llvm.pairs import Pairs
from ninefold.kernels.llvm.text import INT, POINTER, Function

if TYPE_CHECKING:
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

_HELD: Final = 8  # vectors that stay in registers while a run of pairs goes by
_CHUNK: Final = 256  # pairs whose products are summed up in registers


@dataclass(frozen=True)
class _Depthwise(Pairs):
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"{self.in_channels} input and {self.out_channels} output channels came; depthwise rows are as wide "
                "as each other"
            )

    @property
    def macs(self) -> int:
        """Count the multiply-accumulates of a pair."""
        return self.out_channels

    @property
    def _some(self) -> str:
        return f"{self.name}_pairs"

    def _panels(self) -> list[range]:
        """Give the vectors of a row, as many at a time as stay in registers."""
        return [range(v, min(v + _HELD, self._vectors)) for v in range(0, self._vectors, _HELD)]

    def _row(self, f: Function, base: str, rows: str, j: Number) -> Value:
        return f.at(f[base], f.mul(f.index(f[rows], j), self.out_channels))

    def _pairs_function(self, target: Target) -> Function:
        names = ("x", "weight", "y", "in_rows", "out_rows")
        return Function(self._some, [*((POINTER, n) for n in names), (INT, "count")], target, internal=True)


@final
@dataclass(frozen=True)
class DepthwisePairSum(_Depthwise):
    """y[o] = sum over offsets k and pairs (i, o) of k of  x[i] * w[k], channel by channel.

    x and y have rows of `out_channels` numbers, w is [offset][channel]. The grid is (bins of output rows, 1).
    """

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and what adds a run of pairs."""
        self._check(target)
        return [self._products(target), self._entry(target)]

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        rows, offsets = f.integer(f["residual"], 0), f.integer(f["residual"], 1)

        def emptied(r: Value, _: list[Value]) -> None:
            y = f.at(f["y"], f.mul(r, self.out_channels))
            for v in range(self._vectors):
                f.store(f.zero(), y, v * f.lanes)

        def offset(k: Value, bins: tuple[Value, Number]) -> None:
            self._run(f, k, bins, [f["x"], f.at(f["weight"], f.mul(k, self.out_channels)), f["y"]])

        def block(bins: tuple[Value, Number]) -> None:
            f.loop(f.mul(bins[0], BIN), f.minimum(f.mul(bins[1], BIN), rows), emptied)
            f.loop(0, offsets, lambda k, _: offset(k, bins))

        self._walk(f, (f["a0"], f["a1"]), block)
        return f

    def _products(self, target: Target) -> Function:
        f = self._pairs_function(target)

        def pair(j: Value, panel: range, weights: list[Value]) -> None:
            x, y = self._row(f, "x", "in_rows", j), self._row(f, "y", "out_rows", j)
            for v, weight in zip(panel, weights, strict=True):
                f.store(f.fma(f.load(x, v * f.lanes), weight, f.load(y, v * f.lanes)), y, v * f.lanes)

        for panel in self._panels():
            weights = [f.load(f["weight"], v * f.lanes) for v in panel]
            f.loop(0, f["count"], lambda j, _, panel=panel, weights=weights: pair(j, panel, weights))
        return f


@final
@dataclass(frozen=True)
class DepthwisePairGradient(_Depthwise):
    """dw[k] = sum over pairs (i, o) of k of  x[i] * dy[o], channel by channel.

    It is called with x, with dy as the weight, and with y for dw, [offset][channel]. The grid is (offsets, 1);
    the rows in the table are those of dy.
    """

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and what adds a run of pairs."""
        self._check(target)
        return [self._products(target), self._entry(target)]

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        bins = f.div(f.add(f.integer(f["residual"], 0), BIN - 1), BIN)

        def gradient(k: Value) -> Value:
            return f.at(f["y"], f.mul(k, self.out_channels))

        def emptied(k: Value) -> None:
            for v in range(self._vectors):
                f.store(f.zero(), gradient(k), v * f.lanes)

        def added(k: Value, some: tuple[Value, Number]) -> None:
            self._run(f, k, some, [f["x"], f["weight"], gradient(k)])

        f.loop(f["a0"], f["a1"], lambda k, _: emptied(k))
        self._walk(f, (0, bins), lambda some: f.loop(f["a0"], f["a1"], lambda k, _: added(k, some)) and None)
        return f

    def _products(self, target: Target) -> Function:
        f = self._pairs_function(target)

        def pair(j: Value, panel: range, sums: list[Value]) -> list[Value]:
            x, dy = self._row(f, "x", "in_rows", j), self._row(f, "weight", "out_rows", j)
            both = [(f.load(x, v * f.lanes), f.load(dy, v * f.lanes)) for v in panel]
            return [f.fma(a, b, total) for (a, b), total in zip(both, sums, strict=True)]

        def chunk(start: Value, _: list[Value]) -> None:
            stop = f.minimum(f.add(start, _CHUNK), f["count"])
            for panel in self._panels():
                sums = [f.load(f["y"], v * f.lanes) for v in panel]
                sums = f.loop(start, stop, lambda j, some, panel=panel: pair(j, panel, some), sums, nonempty=True)
                for v, total in zip(panel, sums, strict=True):
                    f.store(total, f["y"], v * f.lanes)

        f.loop(0, f["count"], chunk, step=_CHUNK)
        return f
