"""Three axes of numbers in another order: how weights come to lie as kernels read them, and gradients as layers do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np

from ninefold.kernels.llvm.kernel import Kernel
from ninefold.kernels.llvm.text import FLOAT, Function, Value, literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number

_NEAR: Final = 16  # lines that are read, or written, in turn


class Axes(NamedTuple):
    """What one call of `Transpose` is told.

    Args:
        sizes: of the second and the third axis.
        filled: numbers along the third axis of y; those behind the ones of x become zeros.
        x: numbers from one to the next along each axis, of x.
        y: likewise of y.
    """

    sizes: tuple[int, int]
    filled: int
    x: tuple[int, int, int]
    y: tuple[int, int, int]

    def table(self) -> NDArray[np.int64]:
        """Give the numbers as the kernel reads them."""
        return np.array([*self.sizes, self.filled, *self.x, *self.y], np.int64)


@final
@dataclass(frozen=True)
class Transpose(Kernel):
    """y[i, j, k] = x[i, j, k], where both lie in any order; zeros behind the last k.

    The grid is (size of the first axis, 1); an `Axes` table comes in place of the residual. All sizes share one kernel.
    """

    @property
    def grid(self) -> tuple[int, int]:
        """Refuse to answer: the grid is (size of the first axis, 1), and the kernel does not know it."""
        raise TypeError("the grid of Transpose follows from the table, not from the kernel")

    def functions(self, target: Target) -> list[Function]:
        """Write the loops: few numbers of the second axis inside, so that lines are used up while they are near."""
        f = Function.entry(self.name, target)
        middle, last, filled, *steps = (f.integer(f["residual"], place) for place in range(9))
        of_x, of_y = steps[:3], steps[3:]

        def plane(i: Value, _: list[Value]) -> None:
            x, y = f.at(f["x"], f.mul(i, of_x[0])), f.at(f["y"], f.mul(i, of_y[0]))

            def place(pointer: Value, j: Number, k: Number, steps: list[Value]) -> Value:
                return f.at(pointer, f.add(f.mul(j, steps[1]), f.mul(k, steps[2])))

            def some(start: Value, _: list[Value]) -> None:
                stop = f.minimum(f.add(start, _NEAR), middle)

                def column(k: Value, write: Value | None) -> None:
                    f.loop(start, stop, lambda j, _: f.store_scalar(write or read(j, k), place(y, j, k, of_y)))

                def read(j: Value, k: Value) -> Value:
                    return f.load_scalar(place(x, j, k, of_x))

                f.loop(0, last, lambda k, _: column(k, None))
                f.loop(last, filled, lambda k, _: column(k, Value(FLOAT, literal(0.0))))

            f.loop(0, middle, some, step=_NEAR)

        f.loop(f["a0"], f["a1"], plane)
        return [f]
