"""Winograd's transforms of one tile and one block of channels: every number is a vector, every matrix a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ninefold.kernels.llvm.linear import by_columns, by_rows
from ninefold.kernels.llvm.text import INT, POINTER, Function

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value
    from ninefold.spec import Winograd


@dataclass(frozen=True, slots=True)
class InputTransform:
    """V = B^T d B of one patch d.

    Args:
        form: F(m, 3).
        input: layout of x.
        stride: from a frequency of V to the next.
    """

    form: Winograd
    input: Blocked
    stride: int

    def function(self, name: str, target: Target, *, inside: bool) -> Function:
        """Write it, with arguments (x, v, row, column): the patch, where V goes, and the patch's place in the map.

        Args:
            name: of the function.
            target: the processor.
            inside: whether all of the patch can be read; else what lies outside the map counts as zeros.
        """
        arguments = [(POINTER, "x"), (POINTER, "v"), (INT, "row"), (INT, "column")]
        f = Function(name, arguments, target, internal=True)
        size, matrix = self.form.size, self.form.input
        read = self._read(f) if inside else self._read_if_inside(f)
        columns = [by_rows(f, matrix, [read(i, j) for i in range(size)]) for j in range(size)]
        for i in range(size):
            for j, value in enumerate(by_rows(f, matrix, [column[i] for column in columns])):
                f.store(value, f["v"], (i * size + j) * self.stride)
        return f

    def _read(self, f: Function) -> Callable[[int, int], Value]:
        return lambda i, j: f.load(f["x"], i * self.input.row + j * f.lanes)

    def _read_if_inside(self, f: Function) -> Callable[[int, int], Value]:
        zeros = f.scratch("zeros")
        f.store(f.zero(), zeros)
        size = range(self.form.size)
        rows = [f.compare("ult", f.add(f["row"], i), self.input.height) for i in size]
        columns = [f.compare("ult", f.add(f["column"], j), self.input.width) for j in size]

        def read(i: int, j: int) -> Value:
            place = f.at(f["x"], i * self.input.row + j * f.lanes)
            return f.load(f.select(f.both(rows[i], columns[j]), place, zeros))

        return read


@dataclass(frozen=True, slots=True)
class OutputTransform:
    """y = epilogue(A^T M A) of one tile.

    Args:
        form: F(m, 3).
        stride: from a frequency of M to the next.
        output: layout of y.
        residual: layout of the residual.
        epilogue: applied in registers.
    """

    form: Winograd
    stride: int
    output: Blocked
    residual: Blocked
    epilogue: Epilogue

    def function(self, name: str, target: Target, *, whole: bool, filled: int | None) -> Function:
        """Write it, with arguments (m, bias, y, residual, rows, columns).

        Args:
            name: of the function.
            target: the processor.
            whole: whether all of the tile's outputs exist; else only the first `rows` and `columns` are written.
            filled: how many lanes are channels, where the others must stay zeros; None for all.
        """
        pointers = [(POINTER, argument) for argument in ("m", "bias", "y", "residual")]
        f = Function(name, [*pointers, (INT, "rows"), (INT, "columns")], target, internal=True)
        place = self._place(f) if whole else self._place_if_it_exists(f)
        size, matrix = self.form.size, self.form.output
        sources = [[f.load(f["m"], (i * size + j) * self.stride) for i in range(size)] for j in range(size)]
        columns = [by_columns(f, matrix, source) for source in sources]
        bias = self.epilogue.start(f, f["bias"])
        for i in range(self.form.outputs):
            for j, value in enumerate(by_columns(f, matrix, [column[i] for column in columns])):
                total = f.arithmetic("fadd", value, bias) if self.epilogue.bias else value
                residual = place("residual", self.residual, i, j) if self.epilogue.residual else f["residual"]
                f.store(self.epilogue.apply(f, total, residual, filled=filled), place("y", self.output, i, j))
        return f

    def _place(self, f: Function) -> Callable[[str, Blocked, int, int], Value]:
        return lambda pointer, layout, i, j: f.at(f[pointer], i * layout.row + j * f.lanes)

    def _place_if_it_exists(self, f: Function) -> Callable[[str, Blocked, int, int], Value]:
        aside = f.scratch("aside")
        f.store(f.zero(), aside)
        rows = [f.compare("slt", i, f["rows"]) for i in range(self.form.outputs)]
        columns = [f.compare("slt", j, f["columns"]) for j in range(self.form.outputs)]
        place = self._place(f)
        return lambda p, layout, i, j: f.select(f.both(rows[i], columns[j]), place(p, layout, i, j), aside)
