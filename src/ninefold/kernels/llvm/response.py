"""Local response normalisation: every channel divided by how strong its neighbours are at the same pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_lanes, check_layout
from ninefold.kernels.llvm.text import POINTER, Function

if TYPE_CHECKING:
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value

EXPONENTS: Final = (0.25, 0.5, 0.75, 1.0)


def why_not(size: int, beta: float, lanes: int) -> str | None:
    """Say what keeps this kernel from computing a normalisation, or None."""
    if beta not in EXPONENTS:
        return f"its exponent is one of {', '.join(map(str, EXPONENTS))}, and beta={beta:g} came"
    return f"its windows reach into the next {lanes} channels only" if size // 2 > lanes else None


@final
@dataclass(frozen=True)
class LocalResponse(Kernel):
    """y[c] = x[c] / (k + alpha / size * sum over c - size // 2 <= n <= c + (size - 1) // 2 of x[n]^2)^beta.

    The grid is (blocks, rows).

    Args:
        input: layout of x.
        output: layout of y.
        size: channels in a window, >= 1.
        alpha: factor of the mean square.
        beta: the exponent, one of `EXPONENTS`.
        k: summand, > 0.

    Raises:
        Unsupported: for what `why_not` says.
        InvalidSpec: when the layouts differ in size.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NIPS 2012, section 3.3; as in torch, alpha is divided by the size.
    """

    input: Blocked
    output: Blocked
    size: int
    alpha: float
    beta: float
    k: float

    def __post_init__(self) -> None:
        check_layout(self.output, self.input.channels, (self.input.height, self.input.width), NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows)."""
        return self.output.blocks, self.output.height

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for a row of a block with and without neighbours."""
        check_lanes(target, self.input, self.output)
        if reason := why_not(self.size, self.beta, target.lanes):
            raise Unsupported(f"the kernel for local response normalisation was asked: {reason}")
        sides = dict.fromkeys(map(self._sides, range(self.output.blocks)))
        return [*(self._row(target, *each) for each in sides), self._entry(target)]

    def _sides(self, block: int) -> tuple[bool, bool]:
        """Say whether there are channels before and behind a block."""
        return block > 0, block < self.output.blocks - 1

    def _symbol(self, before: bool, behind: bool) -> str:
        return f"{self.name}_{int(before)}{int(behind)}"

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def row(a: Value, b: Value, name: str) -> None:
            layouts = {"x": self.input, "y": self.output}
            f.call(name, [f.at(f[p], f.add(f.mul(a, at.block), f.mul(b, at.row))) for p, at in layouts.items()])

        def blocks(start: int, stop: int) -> None:
            name, begin, end = self._symbol(*self._sides(start)), f.maximum(f["a0"], start), f.minimum(f["a1"], stop)
            f.loop(begin, end, lambda a, _: f.loop(f["b0"], f["b1"], lambda b, _: row(a, b, name)) and None)

        last = self.output.blocks - 1
        for start, stop in sorted({(0, 1), (1, last), (last, last + 1)}):
            if start < stop:
                blocks(start, stop)
        return f

    def _row(self, target: Target, before: bool, behind: bool) -> Function:
        f = Function(self._symbol(before, behind), [(POINTER, "x"), (POINTER, "y")], target, internal=True)

        def square(at: Value) -> Value:
            value = f.load(f["x"], at)
            return f.arithmetic("fmul", value, value)

        def pixel(column: Value, _: list[Value]) -> None:
            at = f.mul(column, f.lanes)
            near = [
                square(f.add(at, -self.input.block)) if before else f.zero(),
                square(at),
                square(f.add(at, self.input.block)) if behind else f.zero(),
            ]
            divisor = self._power(f, self._sum(f, near))
            f.store(f.arithmetic("fdiv", f.load(f["x"], at), divisor), f["y"], at)

        f.loop(0, self.output.width, pixel)
        return f

    def _sum(self, f: Function, near: list[Value]) -> Value:
        """Add up the squares of a window: lanes of this block and of those before and behind it."""
        total, lanes = near[1], range(f.lanes)
        for distance in range(1, self.size // 2 + 1):
            total = f.arithmetic("fadd", total, f.picked(near[0], near[1], [f.lanes + i - distance for i in lanes]))
        for distance in range(1, (self.size - 1) // 2 + 1):
            total = f.arithmetic("fadd", total, f.picked(near[1], near[2], [i + distance for i in lanes]))
        return f.fma(total, f.constant(self.alpha / self.size), f.constant(self.k))

    def _power(self, f: Function, u: Value) -> Value:
        if self.beta == 1.0:
            return u
        root = f.root(u)
        if self.beta == 0.5:
            return root
        quarter = f.root(root)
        return quarter if self.beta == 0.25 else f.arithmetic("fmul", root, quarter)
