"""Winograd's transforms of one tile and one block of channels: every number is a vector, every matrix a constant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from ninefold.kernels.llvm.linear import by_columns, by_rows
from ninefold.kernels.llvm.text import INT, POINTER, Function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value
    from ninefold.spec import Winograd

    # Gives the address of element (i, j) of a tile behind a pointer; one element stands for pool * pool outputs.
    Place = Callable[[str, Blocked, int, int, int], Value]


@dataclass(frozen=True, slots=True)
class InputTransform:
    """V = B^T d B of one patch d, while the next patch in the row is on its way.

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
        columns = []
        for j in range(size):
            columns.append(by_rows(f, matrix, [read(i, j) for i in range(size)]))
            self._ask_for_next(f, j)
            f.keep_order()
        for i in range(size):
            for j, value in enumerate(by_rows(f, matrix, [column[i] for column in columns])):
                f.store(value, f["v"], (i * size + j) * self.stride)
            f.keep_order()
        return f

    def _ask_for_next(self, f: Function, j: int) -> None:
        # The next patch begins m columns further on: as many of its columns are new.
        for i in range(self.form.size if j < self.form.outputs else 0):
            f.prefetch(f["x"], i * self.input.row + (j + self.form.size) * f.lanes)

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
    """y = pool(epilogue(A^T M A)) of one tile.

    Args:
        form: F(m, 3).
        stride: from a frequency of M to the next.
        output: layout of y.
        residual: layout of the residual.
        epilogue: applied in registers.
        pool: p divides m; of every p by p outputs only the largest is written.
    """

    form: Winograd
    stride: int
    output: Blocked
    residual: Blocked
    epilogue: Epilogue
    pool: int = 1

    def function(self, name: str, target: Target, *, whole: bool, filled: int | None) -> Function:
        """Write it, with arguments (m, bias, y, residual, rows, columns).

        Args:
            name: of the function.
            target: the processor.
            whole: whether all of the tile's outputs exist; else only the first `rows` and `columns` do, whole windows.
            filled: how many lanes are channels, where the others must stay zeros; None for all.
        """
        pointers = [(POINTER, argument) for argument in ("m", "bias", "y", "residual")]
        f = Function(name, [*pointers, (INT, "rows"), (INT, "columns")], target, internal=True)
        place = self._place(f) if whole else self._place_if_it_exists(f)
        rows, band = self._rows(f, place, filled), range(self.form.outputs // self.pool)
        for i in band:
            values = [next(rows) for _ in range(self.pool)]
            for j in band:
                window = [row[j * self.pool + k] for row in values for k in range(self.pool)]
                f.store(reduce(f.largest_or_nan, window), place("y", self.output, i, j, self.pool))
                f.prefetch(f["y"], i * self.output.row + (j + len(band)) * f.lanes, to_write=True)
            f.keep_order()
        return f

    def _rows(self, f: Function, place: Place, filled: int | None) -> Iterator[Sequence[Value]]:
        """Write the outputs before they are pooled, row by row."""
        size, matrix = self.form.size, self.form.output
        columns = []
        for j in range(size):
            columns.append(by_columns(f, matrix, [f.load(f["m"], (i * size + j) * self.stride) for i in range(size)]))
            f.keep_order()
        bias = self.epilogue.start(f, f["bias"])
        for i in range(self.form.outputs):
            row = []
            for j, value in enumerate(by_columns(f, matrix, [column[i] for column in columns])):
                total = f.arithmetic("fadd", value, bias) if self.epilogue.bias else value
                residual = place("residual", self.residual, i, j, 1) if self.epilogue.residual else f["residual"]
                row.append(self.epilogue.apply(f, total, residual, filled=filled))
            yield row

    def _place(self, f: Function) -> Place:
        return lambda pointer, layout, i, j, _: f.at(f[pointer], i * layout.row + j * f.lanes)

    def _place_if_it_exists(self, f: Function) -> Place:
        aside = f.scratch("aside")
        f.store(f.zero(), aside)
        rows = [f.compare("slt", i, f["rows"]) for i in range(self.form.outputs)]
        columns = [f.compare("slt", j, f["columns"]) for j in range(self.form.outputs)]
        place = self._place(f)
        return lambda p, layout, i, j, pool: f.select(
            f.both(rows[i * pool], columns[j * pool]), place(p, layout, i, j, pool), aside
        )
