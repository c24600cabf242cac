"""A chain of convolutions, band of rows after band of rows: what lies between them never leaves a near cache.

    hidden = epilogue(conv(x))              may be missing: then hidden is x
    filtered = epilogue(depthwise(hidden))
    y = epilogue(pointwise(filtered))       may be missing: then y is filtered

Two neighbouring bands of the output both see some rows of the hidden maps. A thread that goes on to the next band moves
these rows to the front and computes the others only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np

from ninefold.errors import Unsupported
from ninefold.kernels.llvm import depthwise
from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.direct import Direct, border_read
from ninefold.kernels.llvm.first import First
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_layout
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.text import ENTRY, INT, POINTER, Function, Value
from ninefold.kernels.llvm.tile import pieces, pointwise

if TYPE_CHECKING:
    from ninefold.kernels.llvm.depthwise import Strip
    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.kernel import Border
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number
    from ninefold.kernels.llvm.tile import Tile
    from ninefold.spec import ConvSpec

    Kernels = dict[str, Direct | Depthwise | First]
    Pointers = dict[str, Value]

_CHUNKS_PER_THREAD: Final = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A convolution before or behind the depthwise one.

    Args:
        spec: over whole maps.
        epilogue: applied in registers.
        tile: what is computed at once.
    """

    spec: ConvSpec
    epilogue: Epilogue
    tile: Tile


@dataclass(frozen=True, slots=True)
class Middle:
    """The depthwise convolution of a chain.

    Args:
        spec: over whole maps.
        epilogue: applied in registers.
        strip: what is computed at once.
    """

    spec: ConvSpec
    epilogue: Epilogue
    strip: Strip


class _Rows(NamedTuple):
    """Rows of the hidden maps as a band sees them, counted from the first one that it sees.

    Args:
        known: those before have been computed for the band above.
        begin: the first that is computed now; those between are above the map.
        end: behind the last that is computed now; the others are below the map.
        seen: how many there are.
    """

    known: Value
    begin: Number
    end: Number
    seen: int


def why_not(before: ConvSpec | None, middle: ConvSpec, behind: ConvSpec | None) -> str | None:
    """Say what keeps this kernel from computing convolutions one after the other, or None."""
    if before is None and behind is None:
        return "it computes at least two convolutions"
    if reason := depthwise.why_not(middle):
        return f"its middle one is depthwise, and this one is not: {reason}"
    if before is not None and (before.groups > 1 or before.dims != 2 or before.transposed):
        return "the one before is dense, over 2 spatial axes and of one group"
    if behind is not None and (behind.groups > 1 or behind.dims != 2 or behind.transposed or not pointwise(behind)):
        return "the one behind is pointwise and of one group"
    return None


@final
@dataclass(frozen=True)
class Chain(Kernel):
    """y = behind(middle(before(x))), each with its epilogue.

    The grid is (bands of output rows, 1). Weights come flat, those of all parts one behind the other; so do biases,
    each filled up to whole blocks.

    Args:
        before: a convolution, by tiles of one row; None where the depthwise one reads x.
        middle: the depthwise convolution.
        behind: a pointwise convolution; None where the depthwise one writes y.
        band: rows of the output that are computed at a time, >= 1.
        input: layout of x; None where it lies in planes.
        output: layout of y.
        residual: layout of what the last part adds; None for that of y.

    Raises:
        Unsupported: for what `why_not` says, for planes that a depthwise convolution would read, and for a residual
            before the last part.
        InvalidSpec: when a layout does not fit.
    """

    before: Part | None
    middle: Middle
    behind: Part | None
    band: int
    input: Blocked | None
    output: Blocked
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        before = self.before.spec if self.before else None
        behind = self.behind.spec if self.behind else None
        parts = list(self._parts.values())
        reason = why_not(before, self.middle.spec, behind)
        if not reason and any(part.epilogue.residual for part in parts[:-1]):
            reason = "only its last part adds a residual"
        if not reason and self.before and self.before.tile.rows > 1:
            reason = f"the one before goes row by row, and {self.before.tile} has several"
        if not reason and not (self.input or before):
            reason = "a depthwise convolution does not read planes"
        if reason:
            raise Unsupported(f"a chain of {[part.spec for part in parts]} was asked for: {reason}")
        first, last = before or self.middle.spec, behind or self.middle.spec
        if self.input:
            check_layout(self.input, first.in_channels, first.in_size, self.needs_border)
        for layout in (self.output, self._residual):
            check_layout(layout, last.out_channels, last.out_size, NO_BORDER)

    @property
    def needs_border(self) -> Border:
        """Give the zeros that the first part's windows meet."""
        return border_read(next(iter(self._parts.values())).spec) if self.input else NO_BORDER

    @property
    def grid(self) -> tuple[int, int]:
        """Give (bands of output rows, 1)."""
        return -(-self.output.height // self.band), 1

    @property
    def scratch(self) -> int:
        """Give the numbers of the maps between the parts, of one band, and of what the first part needs."""
        inner = self._kernels(1)["before"].scratch if self.before else 0
        return self._filtered_at + (self._filtered.size if self.behind else 0) + inner

    def pack(self, weight: np.ndarray) -> np.ndarray:  # flat
        """Give the weights of the parts one behind the other, each in its own order."""
        shapes = [part.spec.weight_shape for part in self._parts.values()]
        arrays = np.split(weight.ravel(), np.cumsum([prod(shape) for shape in shapes[:-1]]))
        kernels = self._kernels(1).values()
        packed = [kernel.pack(a.reshape(shape)) for kernel, a, shape in zip(kernels, arrays, shapes, strict=True)]
        return np.concatenate(packed)

    def chunk(self, pictures: int, threads: int) -> tuple[int, int]:  # noqa: ARG002  # many pictures are as many chunks
        """Give how much of the grid of one picture a thread takes at once: every chunk computes its first rows anew."""
        return -(-self.grid[0] // (_CHUNKS_PER_THREAD * threads)), 1

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and the kernels of all parts for every height of band."""
        kernels = dict.fromkeys(kernel for rows, _ in self._bands for kernel in self._kernels(rows).values())
        return [*(function for kernel in kernels for function in kernel.functions(target)), self._entry(target)]

    # Rows: bands of the output, and what they see of the hidden maps.

    @property
    def _parts(self) -> dict[str, Part | Middle]:
        parts = {"before": self.before, "middle": self.middle, "behind": self.behind}
        return {name: part for name, part in parts.items() if part}

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def _bands(self) -> list[tuple[int, int]]:
        return pieces(self.output.height, self.band)

    @property
    def _advance(self) -> int:
        return self.band * self.middle.spec.stride[0]

    def _seen(self, rows: int) -> int:
        return (rows - 1) * self.middle.spec.stride[0] + self.middle.spec.extent[0]

    # Scratch: the hidden maps of one band, the filtered ones, what the first part needs.

    @property
    def _hidden(self) -> Blocked:
        spec = self.middle.spec
        *_, left, right = border_read(spec)
        # A column more keeps the rows apart, so that the part before goes row by row.
        border = (0, 0, left, max(right, 1))
        return Blocked(spec.in_channels, self._seen(self._bands[0][0]), spec.in_size[1], self.output.lanes, border)

    @property
    def _filtered(self) -> Blocked:
        return Blocked(self.middle.spec.in_channels, self._bands[0][0], self.output.width, self.output.lanes)

    @property
    def _filtered_at(self) -> int:
        return self._hidden.size if self.before else 0

    # The parts, each a kernel of its own: the one before over whole maps, the others over maps as tall as a band.

    def _kernels(self, rows: int) -> Kernels:
        kernels: Kernels = {"before": self._before(self.before)} if self.before else {}
        kernels["middle"] = self._middle(rows)
        return kernels | ({"behind": self._behind(self.behind, rows)} if self.behind else {})

    def _before(self, part: Part) -> Direct | First:
        hidden = _rows_of(self._hidden, part.spec.out_size[0])
        if self.input:
            return Direct(part.spec, self.input, hidden, part.epilogue, part.tile)
        return First(part.spec, hidden, part.epilogue, part.tile)

    def _middle(self, rows: int) -> Depthwise:
        spec, seen = self.middle.spec, self._seen(rows)
        x = self.input if self.input and not self.before else self._hidden
        y, residual = (self._filtered, self._filtered) if self.behind else (self.output, self._residual)
        spec = replace(spec, in_size=(seen, spec.in_size[1]), padding=((0, 0), spec.padding[1]))
        layouts = _rows_of(x, seen), _rows_of(y, rows)
        return Depthwise(spec, *layouts, self.middle.epilogue, self.middle.strip, _rows_of(residual, rows))

    def _behind(self, part: Part, rows: int) -> Direct:
        x, y, residual = (_rows_of(layout, rows) for layout in (self._filtered, self.output, self._residual))
        spec = replace(part.spec, in_size=(rows, self._filtered.width))
        return Direct(spec, x, y, part.epilogue, part.tile, residual)

    @property
    def _starts(self) -> dict[str, tuple[int, int]]:
        """Give the numbers before every part's weights, and before its biases."""
        starts, weight, bias = {}, 0, 0
        for name, kernel in self._kernels(1).items():
            starts[name] = weight, bias
            weight += kernel.pack(np.zeros(kernel.spec.weight_shape, np.float32)).size
            bias += kernel.output.blocks * kernel.output.lanes if kernel.epilogue.bias else 0
        return starts

    # The walk over bands.

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        if self.before:
            f.loop(0, self._hidden.blocks, lambda block, _: self._clear_sides(f, block))
        first = 0
        for rows, count in self._bands:

            def band(a: Value, _: list[Value], rows: int = rows) -> None:
                self._band(f, a, rows)

            f.loop(f.maximum(f["a0"], first), f.minimum(f["a1"], first + count), band)
            first += count
        return f

    def _band(self, f: Function, a: Value, rows: int) -> None:
        kernels = self._kernels(rows)
        filtered = f.at(f["scratch"], self._filtered_at)
        y = f.at(f["y"], f.mul(a, self.band * self.output.row))
        residual = f.at(f["residual"], f.mul(a, self.band * self._residual.row))
        top = f.sub(f.mul(a, self._advance), self.middle.spec.padding[0][0])  # the first row that the band sees
        to = {"y": filtered} if self.behind else {"y": y, "residual": residual}
        if self.before:
            self._through_hidden(f, kernels, top, self._rows(f, a, top, self._seen(rows)), to)
        else:
            x = f.at(f["x"], f.mul(top, self._middle(rows).input.row))
            self._call(f, "middle", kernels["middle"], {"x": x, **to}, (0, self._hidden.blocks))
        if self.behind:
            blocks = 0, kernels["behind"].grid[0]
            self._call(f, "behind", kernels["behind"], {"x": filtered, "y": y, "residual": residual}, blocks)

    def _through_hidden(self, f: Function, kernels: Kernels, top: Number, rows: _Rows, to: Pointers) -> None:
        """Compute the first two parts, as many hidden channels at a time as the first computes at once."""
        before, hidden = kernels["before"], self._hidden
        panels = before.grid[0]
        step = before.tile.vectors if isinstance(before, Direct) else hidden.blocks
        maps = f.at(f["scratch"], hidden.first)
        inner = f.at(f["scratch"], self.scratch - before.scratch)
        # It counts rows from the map's first one, which is not there.
        y = f.at(maps, f.mul(f.sub(0, top), hidden.row))
        computed = f.add(top, rows.begin), f.add(top, rows.end)

        def panel(p: Value, _: list[Value]) -> None:
            start = f.mul(p, step)
            stop = f.minimum(f.add(start, step), hidden.blocks)
            f.loop(start, stop, lambda block, _: self._refill(f, f.at(maps, f.mul(block, hidden.block)), rows))
            self._call(f, "before", before, {"x": f["x"], "y": y, "scratch": inner}, (p, f.add(p, 1)), computed)
            self._call(f, "middle", kernels["middle"], {"x": maps, **to}, (start, stop))

        f.loop(0, panels, panel)

    def _call(
        self,
        f: Function,
        part: str,
        kernel: Kernel,
        pointers: Pointers,
        blocks: tuple[Number, Number],
        rows: tuple[Number, Number] | None = None,
    ) -> None:
        weight, bias = self._starts[part]
        known = {"weight": f.at(f["weight"], weight), "bias": f.at(f["bias"], bias), **pointers}
        addresses = [known.get(name, Value(POINTER, "null")) for name in ENTRY]
        f.call(kernel.name, [*addresses, *blocks, *(rows or (0, kernel.grid[1]))])

    # Rows of the hidden maps that are not computed: moved, or zeros.

    def _rows(self, f: Function, a: Value, top: Number, seen: int) -> _Rows:
        again = max(0, self.middle.spec.extent[0] - self.middle.spec.stride[0])
        known = f.select(f.compare("eq", a, f["a0"]), Value(INT, "0"), Value(INT, str(again)))
        begin = f.minimum(f.maximum(known, f.sub(0, top)), seen)
        end = f.minimum(f.sub(self.middle.spec.in_size[0], top), seen)
        return _Rows(known, begin, f.maximum(end, begin), seen)

    def _refill(self, f: Function, maps: Value, rows: _Rows) -> None:
        """Move the rows that are known to the front, and clear those above and below the map."""
        hidden, ahead = self._hidden, self._advance * self._hidden.row

        def moved(row: Value, _: list[Value]) -> None:
            here = f.at(maps, f.mul(row, hidden.row))
            there = f.at(here, ahead)
            f.loop(0, hidden.width, lambda i, _: f.store(f.load(there, f.mul(i, f.lanes)), here, f.mul(i, f.lanes)))

        def cleared(row: Value, _: list[Value]) -> None:
            _clear(f, f.at(maps, f.mul(row, hidden.row)), hidden.width)

        f.loop(0, rows.known, moved)
        f.loop(rows.known, rows.begin, cleared)
        f.loop(rows.end, rows.seen, cleared)

    def _clear_sides(self, f: Function, block: Value) -> None:
        """Write the zeros left and right of the hidden maps: scratch memory may hold anything."""
        hidden = self._hidden
        *_, left, right = hidden.border

        def row(number: Value, _: list[Value]) -> None:
            start = f.at(f["scratch"], f.add(f.mul(block, hidden.block), f.mul(number, hidden.row)))
            _clear(f, start, left)
            _clear(f, f.at(start, (left + hidden.width) * f.lanes), right)

        f.loop(0, hidden.height, row)


def _clear(f: Function, start: Value, pixels: int) -> None:
    if pixels:
        f.loop(0, pixels, lambda i, _: f.store(f.zero(), start, f.mul(i, f.lanes)))


def _rows_of(layout: Blocked, rows: int) -> Blocked:
    """Give the layout of the same memory for maps of other height: what is more than was asked for is border below."""
    above, below, left, right = layout.border
    return replace(layout, height=rows, border=(0, above + layout.height + below - rows, left, right))
