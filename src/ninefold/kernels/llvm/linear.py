"""A small constant matrix times vectors that are in registers, with as few operations as its symmetries allow.

The matrices of Winograd's convolutions have pairs: points +p and -p give two rows (of the input's matrix) or two
columns (of the output's) that differ only in the signs of their odd elements. What is even and what is odd is then
computed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from ninefold.kernels.llvm.text import Function, Value
    from ninefold.spec.winograd import Matrix, Row


def by_rows(f: Function, matrix: Matrix, x: Sequence[Value]) -> list[Value]:
    """Write y = matrix @ x, where pairs of rows r, s with s[k] = sign * (-1)^k * r[k] share their sums.

    Args:
        f: the function being written.
        matrix: (rows, columns).
        x: one vector per column.

    Returns:
        One vector per row.
    """
    y: dict[int, Value] = {}
    for i, row in enumerate(matrix):
        if i in y:
            continue
        twin = next((j for j in range(i + 1, len(matrix)) if j not in y and _twins(row, matrix[j])), None)
        if twin is None:
            y[i] = weighted(f, row, x)
        else:
            even, odd = _halves(f, row, x)
            y[i] = f.arithmetic("fadd", even, odd)
            same = matrix[twin][0::2] == row[0::2]
            y[twin] = f.arithmetic("fsub", even, odd) if same else f.arithmetic("fsub", odd, even)
    return [y[i] for i in range(len(matrix))]


def by_columns(f: Function, matrix: Matrix, x: Sequence[Value]) -> list[Value]:
    """Write y = matrix @ x, where pairs of columns c, d with d[i] = (-1)^i * c[i] share their sums.

    Args:
        f: the function being written.
        matrix: (rows, columns).
        x: one vector per column.

    Returns:
        One vector per row.
    """
    left = dict(enumerate(zip(*matrix, strict=True)))
    even: list[Value] = []
    odd: list[Value] = []
    kept: list[Row] = []
    while left:
        j = next(iter(left))
        column = left.pop(j)
        twin = next((k for k, other in left.items() if _alternates(column, other)), None)
        even.append(x[j] if twin is None else f.arithmetic("fadd", x[j], x[twin]))
        odd.append(x[j] if twin is None else f.arithmetic("fsub", x[j], x[twin]))
        kept.append(column)
        left.pop(twin, None)
    rows = zip(*kept, strict=True)
    return [weighted(f, row, odd if i % 2 else even) for i, row in enumerate(rows)]


def weighted(f: Function, factors: Sequence[Fraction], x: Sequence[Value]) -> Value:
    """Write the sum of factor * x; factors of 0 and 1 cost nothing, and at least one must not be 0."""
    terms = [(factor, value) for factor, value in zip(factors, x, strict=True) if factor != 0]
    first = next((k for k, (factor, _) in enumerate(terms) if factor == 1), 0)
    factor, total = terms.pop(first)
    if factor != 1:
        total = f.arithmetic("fmul", total, f.constant(float(factor)))
    for factor, value in terms:
        total = _added(f, total, factor, value)
    return total


def _added(f: Function, total: Value, factor: Fraction, value: Value) -> Value:
    if abs(factor) == 1:
        return f.arithmetic("fadd" if factor == 1 else "fsub", total, value)
    return f.fma(value, f.constant(float(factor)), total)


def _halves(f: Function, row: Row, x: Sequence[Value]) -> tuple[Value, Value]:
    # What a row gives of the even and of the odd elements. The last odd factor is taken out and multiplied with at the
    # end: the factors that are left are then often those of the even half, and fewer constants keep registers.
    even = weighted(f, row[0::2], x[0::2])
    scale = next(factor for factor in reversed(row[1::2]) if factor != 0)
    odd = weighted(f, [factor / scale for factor in row[1::2]], x[1::2])
    if scale != 1:
        odd = f.arithmetic("fmul", odd, f.constant(float(scale)))
    return even, odd


def _twins(row: Row, other: Row) -> bool:
    flipped = tuple(-value if k % 2 else value for k, value in enumerate(row))
    both_parts = any(row[0::2]) and any(row[1::2])
    return both_parts and other in (flipped, tuple(-value for value in flipped))


def _alternates(column: Row, other: Row) -> bool:
    return any(column[0::2]) and any(column[1::2]) and other == tuple((-1) ** i * v for i, v in enumerate(column))
