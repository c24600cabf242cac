"""What is done to every element of a map by itself: factors, sums, gates and activations that no layer takes along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, blocks_of, check_layout
from ninefold.kernels.llvm.text import POINTER, Function

if TYPE_CHECKING:
    import numpy as np

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value


@final
@dataclass(frozen=True)
class Elementwise(Kernel):
    """y[c, i] = activation(x[c, i] * factor[c] + bias[c] + residual[c, i]); a gate is a factor of this picture only.

    The grid is (blocks, rows).

    Args:
        input: layout of x.
        output: layout of y.
        epilogue: its bias counts only beside a factor.
        factor: "none", "weight" for one per channel, the same for all pictures, or "gate" for one per channel that the
            residual's pointer leads to: maps of one pixel, and then there is no residual.
        residual: layout of the residual, or of the gate; None for that of y.

    Raises:
        InvalidSpec: when a layout does not fit.
    """

    input: Blocked
    output: Blocked
    epilogue: Epilogue
    factor: str = "none"
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        size = (self.input.height, self.input.width)
        check_layout(self.output, self.input.channels, size, NO_BORDER)
        check_layout(self._residual, self.input.channels, (1, 1) if self.factor == "gate" else size, NO_BORDER)

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows)."""
        return self.output.blocks, self.output.height

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (C,)
        """Give the factors, filled up with zeros."""
        return blocks_of(weight, self.output.lanes)

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for a row of whole blocks and one for a row of the last block."""
        over = self.output.channels % target.lanes
        filled = over if over and not self.epilogue.keeps_zeros else None
        kinds = {"whole": None, "last": filled} if filled else {"whole": None}
        rows = [self._row(f"{self.name}_{kind}", lanes, target) for kind, lanes in kinds.items()]
        return [*rows, self._entry("last" if filled else "whole", target)]

    def _entry(self, last: str, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def row(a: Value, b: Value, kind: str) -> None:
            places = {"x": self._place(f, self.input, a, b), "y": self._place(f, self.output, a, b)}
            places |= dict.fromkeys(("weight", "bias"), f.mul(a, f.lanes))
            gate = self.factor == "gate"
            places["residual"] = self._place(f, self._residual, a, 0 if gate else b)
            f.call(f"{self.name}_{kind}", [f.at(f[name], places[name]) for name in _POINTERS])

        def block(a: Value, _: list[Value]) -> None:
            is_last = f.compare("eq", a, self.output.blocks - 1)
            f.loop(
                f["b0"],
                f["b1"],
                lambda b, _: f.branch(is_last, lambda: row(a, b, last), lambda: row(a, b, "whole")),
            )

        f.loop(f["a0"], f["a1"], block)
        return f

    def _place(self, f: Function, layout: Blocked, block: Number, row: Number) -> Number:
        return f.add(f.mul(block, layout.block), f.mul(row, layout.row))

    def _row(self, name: str, filled: int | None, target: Target) -> Function:
        f = Function(name, [(POINTER, pointer) for pointer in _POINTERS], target, internal=True)
        source = {"weight": "weight", "gate": "residual"}.get(self.factor)
        factor = f.load(f[source]) if source else f.zero()
        start = self.epilogue.start(f, f["bias"])

        def pixel(column: Value, _: list[Value]) -> None:
            at = f.mul(column, f.lanes)
            value = f.load(f["x"], at)
            value = f.fma(value, factor, start) if source else value
            f.store(self.epilogue.apply(f, value, f["residual"], at, filled=filled), f["y"], at)

        f.loop(0, self.output.width, pixel)
        return f


_POINTERS = ("x", "weight", "bias", "y", "residual")
