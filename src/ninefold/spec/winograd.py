"""Winograd's short convolutions F(m, r), as exact matrices: m outputs of a kernel of r for m + r - 1 products."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod, sqrt
from typing import TYPE_CHECKING, Final, Self

from ninefold.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[Fraction, ...]
Matrix = tuple[Row, ...]

# By how many finite points are needed, m + r - 2: of all sets of pairs +p and -p, which share their work, with 0 where
# the number is odd, those that give F(m, 3) the least `growth` among eighths (from six points on, quarters) up to 3.
# Whatever the transforms of inputs and outputs multiply by at these points is short enough to be exact in float32.
_POINTS: Final[dict[int, str]] = {
    1: "0",
    2: "0 1",
    3: "0 1 -1",
    4: "3/8 -3/8 5/4 -5/4",
    5: "0 5/8 -5/8 3/2 -3/2",
    6: "1/4 -1/4 3/4 -3/4 7/4 -7/4",
    7: "0 1/2 -1/2 1 -1 2 -2",
}


@dataclass(frozen=True, slots=True)
class Winograd:
    """The three matrices of F(m, r), which compute m neighbouring outputs of a correlation with a kernel of r:

        y = A^T [(G g) * (B^T d)],    y[i] = sum over k of  d[i + k] * g[k]

    where * multiplies element by element: m + r - 1 multiplications instead of m * r. In two dimensions each matrix is
    applied to the columns and to the rows, Y = A^T [(G g G^T) * (B^T d B)] A, with (m + r - 1)^2 instead of (m * r)^2.

    The matrices follow from m + r - 2 different points and infinity: a product of polynomials is computed by its values
    at the points, and B^T is the transpose of the interpolation (see `of`). The definition is verified exactly when a
    value is made: both sides are linear in g and in d, so it holds for all inputs if it holds for all unit vectors.

    Args:
        points: the finite points, all different.
        output: A^T, (m, m + r - 1).
        weight: G, (m + r - 1, r).
        input: B^T, (m + r - 1, m + r - 1).

    Raises:
        InvalidSpec: when the matrices do not compute a correlation.

    Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308, section 4, whose
    matrices are these up to the scale of the rows.
    """

    points: Row
    output: Matrix
    weight: Matrix
    input: Matrix

    def __post_init__(self) -> None:
        for i in range(self.outputs):
            for k in range(self.kernel):
                for j in range(self.size):
                    got, wanted = self._response(i, k, j), int(j == i + k)
                    if got != wanted:
                        raise InvalidSpec(
                            f"matrices of F({self.outputs}, {self.kernel}) multiply kernel element {k} with input {j} "
                            f"for output {i} by {got}; wanted {wanted}"
                        )

    # --8<-- [start:of]
    @classmethod
    def of(cls, outputs: int, kernel: int, points: Sequence[Fraction | int] | None = None) -> Self:
        """Derive F(outputs, kernel) from points, by Toom's and Cook's method transposed.

        With M(x) the product of all (x - p) and M_p(x) = M(x) / (x - p), the rows of point p are

            A^T[:, p] = 1, p, p^2, ...      G[p, :] = (1, p, p^2, ...) / M_p(p)      B^T[p, :] = coefficients of M_p

        and those of infinity the last unit vectors of A^T and G and the coefficients of M.

        Args:
            outputs: m, >= 1.
            kernel: r, >= 1, m + r >= 3.
            points: m + r - 2 different numbers; by default those that `growth` is small for.

        Raises:
            InvalidSpec: when the sizes are too small, or the points too few, too many or not all different.

        >>> [[str(c) for c in row] for row in Winograd.of(2, 3).input]
        [['-1', '0', '1', '0'], ['0', '1', '1', '0'], ['0', '-1', '1', '0'], ['0', '-1', '0', '1']]
        """
        chosen = _checked(outputs, kernel, points)
        others = [[q for q in chosen if q != p] for p in chosen]
        scales = [prod((p - q for q in rest), start=Fraction(1)) for p, rest in zip(chosen, others, strict=True)]
        return cls(
            points=chosen,
            output=tuple((*(p**i for p in chosen), Fraction(i == outputs - 1)) for i in range(outputs)),
            weight=(
                *(tuple(p**k / scale for k in range(kernel)) for p, scale in zip(chosen, scales, strict=True)),
                tuple(Fraction(k == kernel - 1) for k in range(kernel)),
            ),
            input=(*((*_with_roots(rest), Fraction(0)) for rest in others), _with_roots(chosen)),
        )

    # --8<-- [end:of]

    @property
    def outputs(self) -> int:
        """Give m, the outputs of a tile along one axis."""
        return len(self.output)

    @property
    def kernel(self) -> int:
        """Give r, the kernel's size along one axis."""
        return len(self.weight[0])

    @property
    def size(self) -> int:
        """Give m + r - 1, the inputs of a tile along one axis, and the multiplications for it."""
        return len(self.input)

    def saving(self, dims: int) -> float:
        """Give how many times fewer multiplications a whole tile needs than the definition.

        >>> Winograd.of(4, 3).saving(2)
        4.0
        """
        return (self.outputs * self.kernel / self.size) ** dims

    # --8<-- [start:growth]
    def growth(self, dims: int) -> float:
        """Give how much larger the rounding error is than the definition's, if every product is rounded at random.

        With independent inputs and weights of variance 1, product j has the variance |G[j]|^2 |B^T[j]|^2, and output i
        adds it with the weight A^T[i, j]^2; the definition adds r products of variance 1:

            growth = sqrt(mean over i of  sum over j of  A^T[i, j]^2 |G[j]|^2 |B^T[j]|^2  / r)  to the power dims

        It does not change with the scale of the rows, and it orders sets of points as measurements do.

        Args:
            dims: spatial axes, >= 1.

        Source: B. Barabasz, A. Anderson, K. M. Soodhalter, D. Gregg, "Error Analysis and Improving the Accuracy of
        Winograd Convolution for Deep Neural Networks", arXiv 1803.10986, who bound the worst case by norms of the
        same matrices; this is the root mean square in their place.

        >>> round(Winograd.of(2, 3).growth(2), 1)
        1.7
        """
        products = [_square(g) * _square(b) for g, b in zip(self.weight, self.input, strict=True)]
        added = sum(a * a * p for row in self.output for a, p in zip(row, products, strict=True))
        return sqrt(added / (self.outputs * self.kernel)) ** dims

    # --8<-- [end:growth]

    def _response(self, i: int, k: int, j: int) -> Fraction:
        ways = zip(self.output[i], self.weight, self.input, strict=True)
        return sum((a * g[k] * b[j] for a, g, b in ways), start=Fraction(0))


def _checked(outputs: int, kernel: int, points: Sequence[Fraction | int] | None) -> Row:
    wanted = outputs + kernel - 2
    if min(outputs, kernel) < 1 or wanted < 1:
        raise InvalidSpec(f"F({outputs}, {kernel}) is no convolution; wanted m >= 1, r >= 1 and m + r >= 3")
    if points is None and wanted not in _POINTS:
        raise InvalidSpec(f"F({outputs}, {kernel}) needs {wanted} points and has no default for them; pass `points`")
    chosen = tuple(map(Fraction, _POINTS[wanted].split() if points is None else points))
    if len(set(chosen)) != wanted or len(chosen) != wanted:
        written = ", ".join(map(str, chosen))
        raise InvalidSpec(f"F({outputs}, {kernel}) needs {wanted} different points; got {len(chosen)}: {written}")
    return chosen


def _with_roots(roots: Sequence[Fraction]) -> Row:
    # The coefficients of the product of all (x - root), constant first.
    coefficients: Row = (Fraction(1),)
    for root in roots:
        raised, scaled = (Fraction(0), *coefficients), (*coefficients, Fraction(0))
        coefficients = tuple(a - root * b for a, b in zip(raised, scaled, strict=True))
    return coefficients


def _square(row: Row) -> Fraction:
    return sum((value * value for value in row), start=Fraction(0))
