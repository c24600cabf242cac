"""What is done to every element of maps by itself: factors, sums, gates and activations that no layer takes along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import Kernel, blocks_of, check_lanes
from ninefold.kernels.llvm.text import POINTER, Function

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

Factor = Literal["none", "weight", "gate"]

_POINTERS: Final = ("x", "weight", "bias", "y", "residual")


@final
@dataclass(frozen=True)
class Elementwise(Kernel):
    """y[c, i] = activation(x[c, i] * factor[c, i] + bias[c] + residual[c, i]).

    x and the residual may have one channel, which counts for all of y's, and one row and column, which count for all
    places. The grid is (blocks, rows).

    Args:
        input: layout of x.
        output: layout of y.
        epilogue: its bias counts only beside the factor "weight".
        factor: "none", "weight" for one per channel, the same for all pictures, or "gate" for what the residual's
            pointer leads to; then there is no residual.
        residual: layout of the residual, or of the gate; None for that of y.

    Raises:
        InvalidSpec: when a layout does not fit.
    """

    input: Blocked
    output: Blocked
    epilogue: Epilogue
    factor: Factor = "none"
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        wanted = _size(self.output)
        for layout in (self.input, self._residual):
            found = _size(layout)
            if found[0] not in (1, wanted[0]) or found[1:] not in ((1, 1), wanted[1:]):
                raise InvalidSpec(
                    f"maps of (C, H, W) = {found} came where {wanted} was wanted, or one channel, or one row and column"
                )

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def _reads_residual(self) -> bool:
        return self.factor == "gate" or self.epilogue.residual

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows)."""
        return self.output.blocks, self.output.height

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (C,)
        """Give the factors, filled up with zeros."""
        return blocks_of(weight, self.output.lanes)

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for a row of whole blocks and one for a row of the last block."""
        check_lanes(target, self.input, self.output, *[self._residual] * self._reads_residual)
        over = self.output.channels % target.lanes
        filled = over if over and not self._keeps_zeros else None
        kinds = {"whole": None, "last": filled} if filled else {"whole": None}
        rows = [self._row(f"{self.name}_{kind}", lanes, target) for kind, lanes in kinds.items()]
        return [*rows, self._entry("last" if filled else "whole", target)]

    @property
    def _keeps_zeros(self) -> bool:
        """Whether lanes that fill up the last block stay zeros by themselves: not where a number goes to all lanes."""
        read = (self.input, *[self._residual] * self._reads_residual)
        return self.epilogue.keeps_zeros and all(layout.channels == self.output.channels for layout in read)

    def _entry(self, last: str, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def row(a: Value, b: Value, kind: str) -> None:
            layouts = {"x": self.input, "y": self.output, "residual": self._residual}
            places = {name: self._place(f, layout, a, b) for name, layout in layouts.items()}
            places |= dict.fromkeys(("weight", "bias"), f.mul(a, f.lanes))
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
        across = 0 if self._is_one_channel(layout) else f.mul(block, layout.block)
        return f.add(across, 0 if self._is_one_place(layout) else f.mul(row, layout.row))

    def _is_one_channel(self, layout: Blocked) -> bool:
        return layout.channels == 1 < self.output.channels

    def _is_one_place(self, layout: Blocked) -> bool:
        return (layout.height, layout.width) == (1, 1) != (self.output.height, self.output.width)

    def _row(self, name: str, filled: int | None, target: Target) -> Function:
        f = Function(name, [(POINTER, pointer) for pointer in _POINTERS], target, internal=True)
        x = self._reader(f, "x", self.input)
        other = self._reader(f, "residual", self._residual) if self._reads_residual else x
        weight = f.load(f["weight"]) if self.factor == "weight" else f.zero()
        start = self.epilogue.start(f, f["bias"])
        epilogue = replace(self.epilogue, residual=False)

        def pixel(column: Value, _: list[Value]) -> None:
            at = f.mul(column, f.lanes)
            value = x(at)
            if self.factor == "weight":
                value = f.fma(value, weight, start)
            elif self.factor == "gate":
                value = f.arithmetic("fmul", value, other(at))
            if self.epilogue.residual:
                value = f.arithmetic("fadd", value, other(at))
            value = epilogue.apply(f, value, f["residual"])
            f.store(f.first_lanes(value, filled) if filled else value, f["y"], at)

        f.loop(0, self.output.width, pixel)
        return f

    def _reader(self, f: Function, pointer: str, layout: Blocked) -> Callable[[Number], Value]:
        """Give how the vector at an offset of a row is read: what is the same in all the row is read once."""
        read = f.broadcast if self._is_one_channel(layout) else f.load
        if self._is_one_place(layout):
            value = read(f[pointer])
            return lambda _: value
        return lambda at: read(f[pointer], at)


def _size(layout: Blocked) -> tuple[int, int, int]:
    return layout.channels, layout.height, layout.width
