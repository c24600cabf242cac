"""What is done to rows of features between convolutions: batch norm, ReLU, the sum with a shortcut, and the gradients.

Rows are (N, C) with nothing between them, beginning anywhere, and at least as wide as a vector; where C is no whole
number of vectors, the last vector of a row reaches back over the one before and does part of its work again.

What is summed over rows is summed per block of `BLOCK` rows, (blocks, 2, C): the blocks are the grid's first axis, so
every block is summed up by one thread, always in the same order. The kernels of `row_norm` put the blocks together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import Kernel
from ninefold.kernels.llvm.text import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

BLOCK: Final = 1024  # rows: few enough to be read twice from a near cache, and to be summed up in float32


HEAD: Final = 4  # numbers of `counts` before its first block: N takes two
PER_BLOCK: Final = 3


def counts(rows: int) -> np.ndarray:
    """Give what the kernels that sum over rows want to know of their number, as flat float32.

        N as int64, 1 / N, 1 / (N - 1), then for every block of n rows behind m others: 1 / n, n / (m + n),
        m * n / (m + n)

    Args:
        rows: N, >= 2.
    """
    before = np.arange(0, rows, BLOCK)
    count = np.minimum(rows - before, BLOCK)
    upto = before + count
    head = np.array([1 / rows, 1 / (rows - 1)])
    blocks = np.stack([1 / count, count / upto, before * (count / upto)], axis=1)
    numbers = np.concatenate([head, blocks.ravel()]).astype(np.float32)
    return np.concatenate([np.array([rows], np.int64).view(np.float32), numbers])


@dataclass(frozen=True)
class Rows(Kernel):
    """What all kernels over rows have: a width.

    Args:
        channels: C, numbers in a row, at least `lanes`.
        lanes: of the vectors.
        halves: whether rows of features are bfloat16, for targets that multiply such numbers; what is computed of them,
            per channel or block, is float32.

    Raises:
        InvalidSpec: when rows are narrower than a vector, or an odd number of bfloat16 channels comes.
    """

    channels: int
    lanes: int
    halves: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.channels < self.lanes:
            raise InvalidSpec(f"rows of {self.channels} channels came for vectors of {self.lanes}; wanted at least one")
        if self.halves and self.channels % 2:
            raise InvalidSpec(f"{self.channels} channels came as bfloat16; wanted an even number, or float32")

    @property
    def grid(self) -> tuple[int, int]:
        """Refuse to answer: the grid is (rows or blocks of rows, 1), and follows from the rows."""
        raise TypeError(f"the grid of {type(self).__name__} follows from the rows, not from the kernel")

    @property
    def _columns(self) -> list[int]:
        """Give where the vectors of a row begin."""
        return [min(c, self.channels - self.lanes) for c in range(0, self.channels, self.lanes)]

    def _entry(self, target: Target) -> Function:
        if self.lanes != target.lanes:
            raise InvalidSpec(f"rows in vectors of {self.lanes} came for vectors of {target.lanes}")
        if self.halves and not target.has_bf16:
            raise InvalidSpec(f"bfloat16 rows came for {target.cpu}, which multiplies none; widen them")
        return Function.entry(self.name, target)

    def _row(self, f: Function, pointer: Value, row: Number) -> Value:
        return f.at(pointer, f.mul(row, self.channels))

    def _features(self, f: Function, name: str, row: Number) -> Value:
        return f.at(f[name], f.mul(row, self.channels // 2 if self.halves else self.channels))

    def _read(self, f: Function, row: Value, column: int) -> Value:
        return f.interleaved(None, f.at(row, column // 2)) if self.halves else _load(f, row, column)

    def _write(self, f: Function, value: Value, row: Value, column: int) -> None:
        if self.halves:
            f.store_rounded(value, row, column // 2)
        else:
            f.store(value, row, column, aligned=False)

    def _number(self, f: Function, row: int, column: int) -> Value:
        """Read a vector of the numbers per channel that come in place of the bias."""
        return _load(f, f["bias"], row * self.channels + column)

    def _each(self, f: Function, names: Sequence[str], value: Callable[[list[Value], int], Value]) -> None:
        """Write `value(the rows of the named pointers, column)` to all places of the rows a0 ... a1 - 1 of y."""

        def row(r: Value, _: list[Value]) -> None:
            y, *others = [self._features(f, name, r) for name in ("y", *names)]
            for column in self._columns:
                self._write(f, value(others, column), y, column)

        f.loop(f["a0"], f["a1"], row)

    def _normed(self, f: Function, x: Value, column: int) -> Value:
        """Give factor * x + shift, the first two rows of numbers."""
        return f.fma(x, self._number(f, 0, column), self._number(f, 1, column))


@final
@dataclass(frozen=True)
class RowEnding(Rows):
    """y = relu(factor * x + shift + residual), or without one part or another; the grid is (rows, 1).

    Args:
        normed: whether there are factor and shift: (factor, shift) then come in place of the bias.
        residual: whether there is one.
        relu: whether negative results become zeros.
    """

    normed: bool
    residual: bool
    relu: bool

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)

        def value(rows: list[Value], column: int) -> Value:
            result = self._read(f, rows[0], column)
            if self.normed:
                result = self._normed(f, result, column)
            if self.residual:
                result = f.arithmetic("fadd", result, self._read(f, rows[1], column))
            return f.largest(f.zero(), result) if self.relu else result

        self._each(f, ("x", "residual") if self.residual else ("x",), value)
        return [f]


@final
@dataclass(frozen=True)
class RowMask(Rows):
    """y = the residual where x > 0, else 0: the gradient of a ReLU that gave x; the grid is (rows, 1)."""

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)
        self._each(
            f, ("x", "residual"), lambda r, c: f.positive(self._read(f, r[0], c), self._read(f, r[1], c), f.zero())
        )
        return [f]


@final
@dataclass(frozen=True)
class RowNormGradient(Rows):
    """y = factor * dy' + slope * (x - mean) + offset: the gradient of batch norm; the grid is (rows, 1).

    dy' is the residual, and, behind a ReLU, zero where factor * x + shift is not positive. (factor, shift, mean, slope,
    offset) come in place of the bias.

    Args:
        relu: whether a ReLU follows the norm.
    """

    relu: bool

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)

        def value(rows: list[Value], column: int) -> Value:
            x, grad = (self._read(f, row, column) for row in rows)
            if self.relu:
                grad = f.positive(self._normed(f, x, column), grad, f.zero())
            apart = f.arithmetic("fsub", x, self._number(f, 2, column))
            straight = f.fma(apart, self._number(f, 3, column), self._number(f, 4, column))
            return f.fma(grad, self._number(f, 0, column), straight)

        self._each(f, ("x", "residual"), value)
        return [f]


@dataclass(frozen=True)
class _Sums(Rows):
    """Two sums over the rows of every block; `counts` come in place of the weight."""

    def _blocks(self, f: Function, sums: Callable[[Value, tuple[Value, Number], list[int]], list[list[Value]]]) -> None:
        """Write `sums(block, its first and last row, columns)`, two lists of vectors, for the blocks a0 ... a1 - 1."""
        rows, held = f.integer(f["weight"]), f.target.registers // 4

        def block(a: Value, _: list[Value]) -> None:
            first = f.mul(a, BLOCK)
            span = first, f.minimum(f.add(first, BLOCK), rows)
            y = self._row(f, f["y"], f.mul(a, 2))
            for place in range(0, len(self._columns), held):
                columns = self._columns[place : place + held]
                for row, totals in enumerate(sums(a, span, columns)):
                    for column, total in zip(columns, totals, strict=True):
                        f.store(total, y, row * self.channels + column, aligned=False)

        f.loop(f["a0"], f["a1"], block)


@final
@dataclass(frozen=True)
class RowMoments(_Sums):
    """y[block] = (m, sum of (x - m)^2) where m = sum of x / rows of the block; the grid is (blocks, 1)."""

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)

        def moments(block: Value, span: tuple[Value, Number], columns: list[int]) -> list[list[Value]]:
            zeros = [f.zero()] * len(columns)
            share = f.broadcast(f["weight"], f.add(f.mul(block, PER_BLOCK), HEAD))
            totals = f.loop(*span, lambda r, sums: self._sums(f, r, columns, sums), zeros, nonempty=True)
            means = [f.arithmetic("fmul", total, share) for total in totals]
            squares = f.loop(*span, lambda r, sums: self._squares(f, r, columns, means, sums), zeros, nonempty=True)
            return [means, squares]

        self._blocks(f, moments)
        return [f]

    def _sums(self, f: Function, row: Value, columns: list[int], sums: list[Value]) -> list[Value]:
        x = self._features(f, "x", row)
        return [f.arithmetic("fadd", self._read(f, x, c), total) for c, total in zip(columns, sums, strict=True)]

    def _squares(
        self, f: Function, row: Value, columns: list[int], means: list[Value], sums: list[Value]
    ) -> list[Value]:
        x = self._features(f, "x", row)
        apart = [f.arithmetic("fsub", self._read(f, x, c), mean) for c, mean in zip(columns, means, strict=True)]
        return [f.fma(d, d, total) for d, total in zip(apart, sums, strict=True)]


@final
@dataclass(frozen=True)
class RowProducts(_Sums):
    """y[block] = (sum of dy', sum of dy' * (x - mean)), dy' as in `RowNormGradient`; the grid is (blocks, 1).

    (factor, shift, mean) come in place of the bias, dy as the residual.

    Args:
        relu: whether a ReLU follows the norm.
    """

    relu: bool

    def functions(self, target: Target) -> list[Function]:
        """Write the entry."""
        f = self._entry(target)

        def products(_: Value, span: tuple[Value, Number], columns: list[int]) -> list[list[Value]]:
            zeros = [f.zero()] * (2 * len(columns))
            totals = f.loop(*span, lambda r, sums: self._products(f, r, columns, sums), zeros, nonempty=True)
            return [totals[: len(columns)], totals[len(columns) :]]

        self._blocks(f, products)
        return [f]

    def _products(self, f: Function, row: Value, columns: list[int], sums: list[Value]) -> list[Value]:
        x, dy = (self._features(f, name, row) for name in ("x", "residual"))
        plain, crossed = [], []
        for place, column in enumerate(columns):
            number, grad = self._read(f, x, column), self._read(f, dy, column)
            if self.relu:
                grad = f.positive(self._normed(f, number, column), grad, f.zero())
            apart = f.arithmetic("fsub", number, self._number(f, 2, column))
            plain.append(f.arithmetic("fadd", grad, sums[place]))
            crossed.append(f.fma(grad, apart, sums[len(columns) + place]))
        return plain + crossed


def _load(f: Function, pointer: Value, offset: Number) -> Value:
    return f.load(pointer, offset, aligned=False)
