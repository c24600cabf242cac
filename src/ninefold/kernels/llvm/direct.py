"""Direct convolution: the definition's sums, a tile of outputs at a time in registers.

Pointwise convolutions and dense layers are cases of it: a dense layer is a convolution whose kernel is as large as the
map, or 1x1 on maps of one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.kernel import Kernel, blocks_of, check_convolution, check_lanes
from ninefold.kernels.llvm.micro import LINE, Micro, Offsets, Sum
from ninefold.kernels.llvm.text import INT, Function, Value
from ninefold.kernels.llvm.tile import Tile, candidates, default_tile, pieces, pointwise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.kernel import Border
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number
    from ninefold.spec import ConvSpec

__all__ = ["Direct", "Tile", "border_read", "candidates", "default_tile", "why_not"]

_UNROLLED: Final = 4  # input channels per round: fewer leave the loop's own work, more only make longer text


def why_not(spec: ConvSpec, target: Target) -> str | None:
    """Say what keeps this kernel from computing a convolution, or None."""
    if spec.transposed:
        return "it computes dense convolutions only, and this one is transposed"
    if spec.dims != 2:
        return f"it computes convolutions of 2 spatial axes, and this one has {spec.dims}"
    per_group = (spec.in_channels // spec.groups, spec.out_channels // spec.groups)
    if spec.groups > 1 and any(channels % target.lanes for channels in per_group):
        return (
            f"its groups must hold whole blocks of {target.lanes} channels, and these {spec.groups} groups hold "
            f"{per_group[0]} input and {per_group[1]} output channels each"
        )
    return None


def border_read(spec: ConvSpec) -> Border:
    """Give the zeros (above, below, left, right) around the input that the windows of a convolution meet."""
    axes = zip(spec.in_size, spec.out_size, spec.extent, spec.stride, spec.padding, strict=True)
    vertical, horizontal = [(before, max(0, (o - 1) * s + e - before - n)) for n, o, e, s, (before, _) in axes]
    return (*vertical, *horizontal)


@dataclass(frozen=True, slots=True)
class _Steps:
    """From an output pixel to the next one, down and across, in one of the buffers."""

    down: int
    across: int


@dataclass(frozen=True, slots=True)
class _Panel:
    """Output channels that are computed together: vectors of them, and channels in the last one where that counts."""

    vectors: int
    filled: int | None = None


@final
@dataclass(frozen=True)
class Direct(Kernel):
    """y[o, i] = epilogue(sum over c, k of x[c, stride * i + dilation * k - before] * w[o, c, k]).

    The grid is (panels of output channels, rows of tiles).

    Args:
        spec: the convolution; its batch does not count.
        input: layout of x, with at least the border `border_read(spec)`.
        output: layout of y.
        epilogue: applied in registers.
        tile: what is computed at once.
        residual: layout of the residual; None for that of y.

    Raises:
        Unsupported: for what `why_not` says.
        InvalidSpec: when a layout does not fit the convolution.
    """

    spec: ConvSpec
    input: Blocked
    output: Blocked
    epilogue: Epilogue
    tile: Tile
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        check_convolution(self.spec, self.input, (self.output, self._residual), self.needs_border)

    @property
    def needs_border(self) -> Border:
        """Give the zeros that the windows meet."""
        return border_read(self.spec)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (panels of output channels, rows of tiles)."""
        return self.spec.groups * self._panels, -(-self._size[0] // self._tile.rows)

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (O, C / groups, KH, KW)
        """Give the weights panel by panel: [blocks of channels][KH][KW][channel][vector][lane]."""
        runs = np.split(weight.astype(np.float32, copy=False), self.spec.groups)
        panels = [panel for run in runs for panel in self._split(blocks_of(run, self.input.lanes))]
        return np.concatenate([self._packed(panel) for panel in panels])

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a micro-kernel for every size of panel, row and column."""
        if reason := why_not(self.spec, target):
            raise Unsupported(f"the direct kernel was asked for {self.spec}: {reason}")
        check_lanes(target, self.input, self.output, self._residual)
        sizes = [(rows, columns) for rows, _ in self._down for columns, _ in self._across]
        panels = dict.fromkeys(self._kinds)
        micros = [
            self._micro(panel, *size).function(self._symbol(panel, *size), target) for panel in panels for size in sizes
        ]
        return [*micros, self._entry(target)]

    # The map: what the tiles run over. A pointwise convolution without borders is one column of all pixels.

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def _flat(self) -> bool:
        layouts = (self.input, self.output, self._residual)
        gaps = any(layout.border[2] or layout.border[3] or layout.spacing != (1, 1) for layout in layouts)
        return pointwise(self.spec) and not gaps

    @property
    def _size(self) -> tuple[int, int]:
        height, width = self.spec.out_size
        return (height * width, 1) if self._flat else (height, width)

    @property
    def _tile(self) -> Tile:
        if self._flat:
            return replace(self.tile, rows=self.tile.pixels, columns=1)
        return self.tile

    @property
    def _down(self) -> list[tuple[int, int]]:
        return pieces(self._size[0], self._tile.rows)

    @property
    def _across(self) -> list[tuple[int, int]]:
        return pieces(self._size[1], self._tile.columns)

    # Channels: groups of panels of vectors of lanes.

    @property
    def _blocks(self) -> int:
        return -(-self.spec.out_channels // self.spec.groups // self.input.lanes)

    @property
    def _panels(self) -> int:
        return -(-self._blocks // self.tile.vectors)

    @property
    def _kinds(self) -> tuple[_Panel, _Panel]:  # all panels of a group but the last, and the last
        over = self.spec.out_channels % self.input.lanes
        filled = over if over and not self.epilogue.keeps_zeros else None
        vectors = self._blocks - (self._panels - 1) * self.tile.vectors
        last = _Panel(vectors, filled)
        return (_Panel(self.tile.vectors) if self._panels > 1 else last), last

    def _split(self, weight: np.ndarray) -> Iterator[np.ndarray]:
        step = self.tile.vectors * self.input.lanes
        return (weight[at : at + step] for at in range(0, len(weight), step))

    def _packed(self, panel: np.ndarray) -> np.ndarray:
        lanes = self.input.lanes
        parts = []
        for first, channels in self._runs:
            part = panel[:, first : first + channels]
            part = np.pad(part, ((0, 0), (0, channels - part.shape[1]), (0, 0), (0, 0)))
            part = part.reshape(-1, lanes, max(1, channels // lanes), min(channels, lanes), *self.spec.kernel)
            parts.append(part.transpose(2, 4, 5, 3, 0, 1).ravel())  # [block][KH][KW][channel][vector][lane]
        return np.concatenate(parts)

    @property
    def _runs(self) -> list[tuple[int, int]]:
        """Input channels summed up together, (first, how many): whole blocks, then the rest to a full round."""
        channels, lanes = self.spec.in_channels // self.spec.groups, self.input.lanes
        whole, rest = channels // lanes * lanes, channels % lanes
        runs = [(0, whole), (whole, -(-rest // _UNROLLED) * _UNROLLED)]
        return [(first, count) for first, count in runs if count]

    # Addresses: everything below counts float32 numbers.

    @property
    def _moves(self) -> dict[str, _Steps]:
        lanes, (high, wide) = self.input.lanes, self.spec.stride
        layouts = {"x": self.input, "y": self.output, "residual": self._residual}
        if self._flat:
            return dict.fromkeys(layouts, _Steps(lanes, 0))
        steps = {name: _Steps(layout.row, layout.pixel) for name, layout in layouts.items()}
        return steps | {"x": _Steps(high * self.input.row, wide * lanes)}

    def _sums(self) -> tuple[Sum, ...]:
        lanes, (down, across) = self.input.lanes, self.spec.dilation
        height, width = self.spec.kernel
        window = ((height, down * self.input.row), (width, across * lanes))
        return tuple(
            Sum(
                first // lanes * self.input.block,
                (
                    (max(1, count // lanes), self.input.block),
                    *window,
                    (min(count, lanes) // _UNROLLED, _UNROLLED),
                ),
                tuple(range(_UNROLLED)),
            )
            for first, count in self._runs
        )

    def _micro(self, panel: _Panel, rows: int, columns: int) -> Micro:
        moves = self._moves
        pixels = tuple(
            Offsets(**{name: row * step.down + column * step.across for name, step in moves.items()})
            for row in range(rows)
            for column in range(columns)
        )
        blocks = self.output.block, self._residual.block
        return Micro(pixels, panel.vectors, self._sums(), self.epilogue, *blocks, panel.filled, self._prefetched)

    def _symbol(self, panel: _Panel, rows: int, columns: int) -> str:
        return f"{self.name}_{rows}x{columns}x{panel.vectors}" + ("_filled" if panel.filled else "")

    @property
    def _depth(self) -> int:
        return sum(part.length for part in self._sums())

    @property
    def _panel_size(self) -> int:
        return self._depth * self.tile.vectors * self.input.lanes

    @property
    def _rounds(self) -> int:
        return sum(part.rounds for part in self._sums())

    @property
    def _calls(self) -> int:  # of micro-kernels in a row of tiles
        return sum(count for _, count in self._across)

    @property
    def _band(self) -> int:
        return self.tile.band or self.grid[1]

    @property
    def _prefetched(self) -> int:
        """Cache lines per round, so that a band over one panel brings the whole next panel near."""
        return -(-self._panel_size // (LINE * self._rounds * self._calls * self._band))

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def band(start: Value, _: list[Value]) -> None:
            stop = f.minimum(f.add(start, self._band), f["b1"])
            f.loop(f["a0"], f["a1"], lambda a, _: self._panel(f, a, start, stop))

        f.loop(f["b0"], f["b1"], band, step=self._band)
        return f

    def _panel(self, f: Function, a: Value, start: Number, stop: Number) -> None:
        group, panel = (0, a) if self.spec.groups == 1 else (f.div(a, self._panels), f.mod(a, self._panels))
        block = f.add(f.mul(group, self._blocks), f.mul(panel, self.tile.vectors))
        before = self.spec.padding[0][0] * self.input.row + self.spec.padding[1][0] * self.input.lanes
        of_group = self.spec.in_channels // self.spec.groups // self.input.lanes * self.input.block
        pointers = {
            "x": f.at(f["x"], f.sub(f.mul(group, of_group), before)),
            "weight": f.at(f["weight"], f.mul(block, self._depth * f.lanes)),
            "bias": f.at(f["bias"], f.mul(block, f.lanes)),
            "y": f.at(f["y"], f.mul(block, self.output.block)),
            "residual": f.at(f["residual"], f.mul(block, self._residual.block)),
        }
        kind, last = self._kinds
        if kind == last:
            self._rows(f, pointers, kind, start, stop)
            return
        f.branch(
            f.compare("eq", panel, self._panels - 1),
            lambda: self._rows(f, pointers, last, start, stop),
            lambda: self._rows(f, pointers, kind, start, stop),
        )

    def _rows(self, f: Function, pointers: dict[str, Value], panel: _Panel, start: Number, stop: Number) -> None:
        first = 0
        for rows, count in self._down:
            begin, end = f.maximum(start, first), f.minimum(stop, first + count)
            f.loop(begin, end, lambda b, _, rows=rows: self._row(f, pointers, (panel, rows), b, f.sub(b, start)))
            first += count

    def _row(
        self, f: Function, pointers: dict[str, Value], height: tuple[_Panel, int], b: Value, number: Number
    ) -> None:
        panel, rows = height
        here = self._moved(f, pointers, {n: f.mul(b, self._tile.rows * s.down) for n, s in self._moves.items()})
        first = 0
        for columns, count in self._across:
            name = self._symbol(panel, rows, columns)

            def one(column: Number, _: list[Value], first: int = first, name: str = name) -> None:
                place = f.add(column, first)
                there = {n: f.mul(place, self._tile.columns * s.across) for n, s in self._moves.items()}
                ahead = self._ahead(f, pointers["weight"], f.add(f.mul(number, self._calls), place))
                f.call(name, [*self._moved(f, here, there).values(), ahead])

            if count == 1:
                one(0, [])
            else:
                f.loop(0, count, one)
            first += count

    def _moved(self, f: Function, pointers: dict[str, Value], offsets: dict[str, Number]) -> dict[str, Value]:
        return {name: f.at(pointer, offsets.get(name, 0)) for name, pointer in pointers.items()}

    def _ahead(self, f: Function, weight: Value, call: Number) -> Value:
        """Give where in the next panel this call's prefetches begin; past its end, somewhere that is near already."""
        offset = f.mul(call, self._rounds * self._prefetched * LINE)
        inside = f.compare("slt", offset, self._panel_size)
        return f.at(weight, f.select(inside, f.add(offset, self._panel_size), Value(INT, "0")))
