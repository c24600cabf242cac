"""Batch norm's numbers per channel, from the sums over blocks of rows that `rows` takes; the grid of both is (1, 1).

The blocks are put together in float32 and in their order.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ninefold.kernels.llvm.rows import BLOCK, HEAD, PER_BLOCK, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Function, Number, Value


@dataclass(frozen=True)
class _Numbers(Rows):
    """Numbers per channel from (blocks, 2, C) sums; `counts` come in place of the weight."""

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)
        blocks = f.div(f.add(f.integer(f["weight"]), BLOCK - 1), BLOCK)
        for column in self._columns:
            carried = [f.zero(), f.zero()]
            sums = f.loop(0, blocks, self._joined(f, column), carried, nonempty=True)
            for row, number in enumerate(self._numbers(f, column, sums)):
                f.store(number, f["y"], row * self.channels + column, aligned=False)
        return [f]

    def _joined(self, f: Function, column: int) -> Callable[[Value, list[Value]], list[Value]]:
        def block(b: Value, sums: list[Value]) -> list[Value]:
            x = self._row(f, f["x"], f.mul(b, 2))
            return self._join(f, b, sums, [_load(f, x, column), _load(f, x, self.channels + column)])

        return block

    @abstractmethod
    def _join(self, f: Function, block: Value, sums: list[Value], found: list[Value]) -> list[Value]:
        """Put the sums of a block to those of the blocks before it."""

    @abstractmethod
    def _numbers(self, f: Function, column: int, sums: list[Value]) -> list[Value]:
        """Give the numbers of some channels."""


@final
@dataclass(frozen=True)
class NormNumbers(_Numbers):
    """y = (gamma * s, beta - mean * gamma * s, mean, s, var) where s = 1 / sqrt(sum of squares / N + eps).

    It is called with what `RowMoments` gives, gamma in place of the bias and beta of the residual; var is the sum of
    squares / (N - 1).

    Args:
        eps: added to the variance, >= 0.

    Source: T. Chan, G. Golub, R. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
    1979, equation 1.5.
    """

    eps: float

    def _join(self, f: Function, block: Value, sums: list[Value], found: list[Value]) -> list[Value]:
        place = f.add(f.mul(block, PER_BLOCK), HEAD)
        share, weight = (f.broadcast(f["weight"], f.add(place, i)) for i in (1, 2))
        apart = f.arithmetic("fsub", found[0], sums[0])
        squares = f.arithmetic("fadd", sums[1], found[1])
        return [f.fma(apart, share, sums[0]), f.fma(f.arithmetic("fmul", apart, weight), apart, squares)]

    def _numbers(self, f: Function, column: int, sums: list[Value]) -> list[Value]:
        mean, squares = sums
        of_all, of_others = (f.broadcast(f["weight"], i) for i in (2, 3))
        root = f.root(f.fma(squares, of_all, f.constant(self.eps)))
        scale = f.arithmetic("fdiv", f.constant(1.0), root)
        factor = f.arithmetic("fmul", _load(f, f["bias"], column), scale)
        shift = f.arithmetic("fsub", _load(f, f["residual"], column), f.arithmetic("fmul", mean, factor))
        return [factor, shift, mean, scale, f.arithmetic("fmul", squares, of_others)]


@final
@dataclass(frozen=True)
class NormGradientNumbers(_Numbers):
    """y = (factor, shift, mean, slope, offset, dgamma, dbeta): what `RowNormGradient` wants, and the gradients.

        dgamma = s * sum of dy' * (x - mean),  dbeta = sum of dy'
        slope = -factor * s * dgamma / N,      offset = -factor * dbeta / N

    It is called with what `RowProducts` gives, and with what `NormNumbers` gave in place of the bias.

    Args:
        of_rows: whether mean and variance are those of the rows; else slope and offset are zeros.
    """

    of_rows: bool

    def _join(self, f: Function, block: Value, sums: list[Value], found: list[Value]) -> list[Value]:  # noqa: ARG002  # as its sibling
        return [f.arithmetic("fadd", total, number) for total, number in zip(sums, found, strict=True)]

    def _numbers(self, f: Function, column: int, sums: list[Value]) -> list[Value]:
        factor, shift, mean, scale = (self._number(f, row, column) for row in range(4))
        dgamma, dbeta = f.arithmetic("fmul", sums[1], scale), sums[0]
        slope = offset = f.zero()
        if self.of_rows:
            share = f.arithmetic("fmul", factor, f.broadcast(f["weight"], 2))
            slope = f.arithmetic("fsub", f.zero(), f.arithmetic("fmul", share, f.arithmetic("fmul", scale, dgamma)))
            offset = f.arithmetic("fsub", f.zero(), f.arithmetic("fmul", share, dbeta))
        return [factor, shift, mean, slope, offset, dgamma, dbeta]


def _load(f: Function, pointer: Value, offset: Number) -> Value:
    return f.load(pointer, offset, aligned=False)
