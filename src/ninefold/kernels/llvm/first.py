"""The first convolution of a network: from planes of few channels, as pictures come, to blocks of many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, final

import numpy as np

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, blocks_of, check_lanes, check_layout
from ninefold.kernels.llvm.micro import Micro, Offsets, Sum
from ninefold.kernels.llvm.text import POINTER, Function
from ninefold.kernels.llvm.tile import Tile, pieces
from ninefold.kernels.llvm.tile import candidates as direct_candidates

if TYPE_CHECKING:
    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value
    from ninefold.spec import ConvSpec


def why_not(spec: ConvSpec) -> str | None:
    """Say what keeps this kernel from computing a convolution, or None."""
    if spec.transposed:
        return "it computes dense convolutions only, and this one is transposed"
    if spec.dims != 2:
        return f"it computes convolutions of 2 spatial axes, and this one has {spec.dims}"
    if spec.groups > 1:
        return f"it computes convolutions of one group, and this one has {spec.groups}"
    return None


def candidates(spec: ConvSpec, target: Target) -> list[Tile]:
    """Give the tiles worth timing, the one with the smallest estimate first.

    To those of the direct kernel comes a small one that writes one row in four vectors at a time: with few channels,
    storing takes more of the time than the estimate knows.
    """
    small = Tile(rows=1, columns=6, vectors=4)
    fits = target.registers >= 32 and spec.out_channels >= 4 * target.lanes and spec.out_size[1] >= small.columns
    tiles = direct_candidates(spec, target)
    return [*tiles, small] if fits and small not in tiles else tiles


@final
@dataclass(frozen=True)
class First(Kernel):
    """y[o, i] = epilogue(sum over c, k of x[c, stride * i + dilation * k - before] * w[o, c, k]), x in planes.

    x is [channel][row][column] without a border. For every row of tiles, the rows of x that it meets are copied into
    the thread's scratch with the padding around them: a small part of the work, and all that follows reads there.
    The grid is (1, rows of tiles).

    Args:
        spec: the convolution, of one group; its batch does not count.
        output: layout of y.
        epilogue: applied in registers, without a residual.
        tile: what is computed at once.

    Raises:
        Unsupported: for what `why_not` says, and for a residual.
        InvalidSpec: when the layout does not fit the convolution.
    """

    spec: ConvSpec
    output: Blocked
    epilogue: Epilogue
    tile: Tile

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        reason = "it adds no residual" if self.epilogue.residual else why_not(self.spec)
        if reason:
            raise Unsupported(f"the first-convolution kernel was asked for {self.spec}: {reason}")
        check_layout(self.output, self.spec.out_channels, self.spec.out_size, NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (1, rows of tiles)."""
        return 1, -(-self.spec.out_size[0] // self.tile.rows)

    @property
    def scratch(self) -> int:
        """Give the size of the rows of x, padded, that a row of tiles meets."""
        numbers = self.spec.in_channels * self._plane
        return -(-numbers // self.output.lanes) * self.output.lanes

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (O, C, KH, KW)
        """Give the weights panel by panel: [C][KH][KW][vector][lane]."""
        filled = blocks_of(weight, self.output.lanes)
        step = self.tile.vectors * self.output.lanes
        panels = [filled[at : at + step] for at in range(0, len(filled), step)]
        return np.concatenate([panel.transpose(1, 2, 3, 0).ravel() for panel in panels])

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, the copying of rows, and a micro-kernel for every size of panel, row and column."""
        check_lanes(target, self.output)
        micros = {
            name: self._micro(vectors, filled, rows, columns).function(name, target)
            for vectors, filled, _ in self._panels
            for rows, _ in self._down
            for columns, _ in self._across
            for name in [self._symbol(vectors, filled, rows, columns)]
        }
        copying = [self._copying(target)] if self._copied else []
        return [*micros.values(), *copying, self._entry(target)]

    @property
    def _down(self) -> list[tuple[int, int]]:
        return pieces(self.spec.out_size[0], self.tile.rows)

    @property
    def _across(self) -> list[tuple[int, int]]:
        return pieces(self.spec.out_size[1], self.tile.columns)

    @property
    def _panels(self) -> list[tuple[int, int | None, int]]:
        """Panels: (vectors, channels in the last vector where that counts, first block)."""
        step, blocks = self.tile.vectors, self.output.blocks
        over = self.spec.out_channels % self.output.lanes
        filled = over if over and not self.epilogue.keeps_zeros else None
        starts = range(0, blocks, step)
        return [(min(step, blocks - at), filled if at + step >= blocks else None, at) for at in starts]

    # The scratch: [channel][row][column], with the padding.

    @property
    def _rows(self) -> int:
        return (self.tile.rows - 1) * self.spec.stride[0] + self.spec.extent[0]

    @property
    def _columns(self) -> int:
        return (self.spec.out_size[1] - 1) * self.spec.stride[1] + self.spec.extent[1]

    @property
    def _plane(self) -> int:
        return self._rows * self._columns

    def _micro(self, vectors: int, filled: int | None, rows: int, columns: int) -> Micro:
        (high, wide), (down, across) = self.spec.stride, self.spec.dilation
        pixels = tuple(
            Offsets(
                x=row * high * self._columns + column * wide,
                y=row * self.output.row + column * self.output.lanes,
                residual=0,
            )
            for row in range(rows)
            for column in range(columns)
        )
        height, width = self.spec.kernel
        # One tap per round: neighbouring pixels share inputs, and the compiler would hold them all between two taps.
        loops = ((self.spec.in_channels, self._plane), (height, down * self._columns), (width, across))
        return Micro(pixels, vectors, (Sum(0, loops, (0,)),), self.epilogue, self.output.block, 0, filled)

    def _symbol(self, vectors: int, filled: int | None, rows: int, columns: int) -> str:
        return f"{self.name}_{rows}x{columns}x{vectors}" + ("_filled" if filled else "")

    def _copying(self, target: Target) -> Function:
        """Write the copying of one row of x."""
        f = Function(f"{self.name}_copy", [(POINTER, "x"), (POINTER, "to")], target, internal=True)
        columns = self._copied
        if columns < f.lanes:
            f.loop(0, columns, lambda i, _: f.store_scalar(f.load_scalar(f["x"], i), f["to"], i))
            return f
        last = columns - f.lanes

        def vector(i: Value, _: list[Value]) -> None:
            at = f.minimum(i, last)
            f.store(f.load(f["x"], at, aligned=False), f["to"], at, aligned=False)

        f.loop(0, columns, vector, step=f.lanes)
        return f

    @property
    def _copied(self) -> int:
        """Columns of x that any window meets; none where all windows lie in the padding."""
        return max(0, min(self.spec.in_size[1], self._columns - self.spec.padding[1][0]))

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        f.loop(f["b0"], f["b1"], lambda b, _: self._row_of_tiles(f, b))
        return f

    def _row_of_tiles(self, f: Function, b: Value) -> None:
        f.loop(0, self.scratch, lambda i, _: f.store(f.zero(), f["scratch"], i), step=f.lanes)
        if self._copied:
            f.loop(0, self.spec.in_channels, lambda c, _: self._fetched(f, b, c))
        first = 0
        for rows, count in self._down:
            begin, end = f.maximum(b, first), f.minimum(f.add(b, 1), first + count)
            f.loop(begin, end, lambda row, _, rows=rows: self._tiles(f, row, rows))
            first += count

    def _fetched(self, f: Function, b: Value, c: Value) -> None:
        """Write the copying of a channel's rows that are not padding."""
        height, width = self.spec.in_size
        top = f.sub(f.mul(b, self.tile.rows * self.spec.stride[0]), self.spec.padding[0][0])
        begin, end = f.maximum(f.sub(0, top), 0), f.minimum(f.sub(height, top), self._rows)
        plane, to = f.mul(c, height * width), f.mul(c, self._plane)

        def row(r: Value, _: list[Value]) -> None:
            source = f.add(plane, f.mul(f.add(top, r), width))
            place = f.add(to, f.add(f.mul(r, self._columns), self.spec.padding[1][0]))
            f.call(f"{self.name}_copy", [f.at(f["x"], source), f.at(f["scratch"], place)])

        f.loop(begin, end, row)

    def _tiles(self, f: Function, row: Value, rows: int) -> None:
        first = 0
        for columns, count in self._across:
            for vectors, filled, block in self._panels:
                name = self._symbol(vectors, filled, rows, columns)
                f.loop(
                    first,
                    first + count,
                    lambda column, _, name=name, block=block: self._call(f, name, row, column, block),
                )
            first += count

    def _call(self, f: Function, name: str, row: Value, column: Value, block: int) -> None:
        place = f.add(
            f.mul(row, self.tile.rows * self.output.row), f.mul(column, self.tile.columns * self.output.lanes)
        )
        x = f.at(f["scratch"], f.mul(column, self.tile.columns * self.spec.stride[1]))
        weight = f.at(f["weight"], block * f.lanes * prod(self.spec.weight_shape[1:]))
        y = f.at(f["y"], f.add(place, block * self.output.block))
        f.call(name, [x, weight, f.at(f["bias"], block * f.lanes), y, f["residual"], weight])
