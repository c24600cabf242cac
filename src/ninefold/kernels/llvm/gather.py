"""Channels put into another order: shuffles, slices, and maps laid one behind the other where no block ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_lanes, check_layout
from ninefold.kernels.llvm.text import POINTER, Function

if TYPE_CHECKING:
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number, Value

_POINTERS = ("x", "residual", "y")


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of y, put together of the lanes of others.

    Args:
        starts: numbers from the pointers x, residual and y to the first pixel of the blocks counted from.
        vectors: (pointer, numbers behind it) that are read, in the order of the lanes; "" for zeros.
        lanes: for each lane of y, which of the vectors and which lane of it.
    """

    starts: tuple[int, int, int]
    vectors: tuple[tuple[str, int], ...]
    lanes: tuple[tuple[int, int], ...]


@final
@dataclass(frozen=True)
class Gather(Kernel):
    """y[first + i] = x[channels[i]], where the residual's channels count on behind x's.

    Of the first block that is written, the channels before `first` stay as they are; of the last one, the lanes behind
    become zeros. The grid is (blocks that are written, rows).

    Args:
        input: layout of x.
        output: layout of y.
        channels: where each comes from, at least one.
        first: of y's channels to write.
        residual: layout of the second input; None for none.

    Raises:
        InvalidSpec: when a layout does not fit, or a channel is not there.
    """

    input: Blocked
    output: Blocked
    channels: tuple[int, ...]
    first: int = 0
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        size = (self.output.height, self.output.width)
        for layout in self._inputs:
            check_layout(layout, layout.channels, size, NO_BORDER)
        there = sum(layout.channels for layout in self._inputs)
        if not self.channels or not 0 <= min(self.channels) <= max(self.channels) < there:
            raise InvalidSpec(
                f"channels {min(self.channels, default=None)} to {max(self.channels, default=None)} came "
                f"for inputs of {there}; wanted some of these"
            )
        if not 0 <= self.first <= self.output.channels - len(self.channels):
            raise InvalidSpec(
                f"{len(self.channels)} channels from {self.first} on do not fit into {self.output.channels}"
            )

    @property
    def _inputs(self) -> tuple[Blocked, ...]:
        return (self.input, self.residual) if self.residual else (self.input,)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks that are written, rows)."""
        return len(self._written), self.output.height

    @property
    def _written(self) -> range:
        lanes = self.output.lanes
        return range(self.first // lanes, -(-(self.first + len(self.channels)) // lanes))

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a function for a row of every kind of block."""
        check_lanes(target, self.output, *self._inputs)
        blocks = [self._block(block) for block in self._written]
        names: dict[tuple[object, object], str] = {}
        for block in blocks:
            names.setdefault((block.vectors, block.lanes), f"{self.name}_{len(names)}")
        rows = [self._row(name, *kind, target) for kind, name in names.items()]  # type: ignore[arg-type]  # as put in
        return [*rows, self._entry([(block, names[block.vectors, block.lanes]) for block in blocks], target)]

    def _block(self, block: int) -> _Block:
        """Say what a block of y is put together of; equal blocks elsewhere differ in their starts only."""
        sources = [self._source(block * self.output.lanes + lane) for lane in range(self.output.lanes)]
        starts = {name: min((at for n, at, _ in sources if n == name), default=0) for name in ("x", "residual")}
        places = [(name, at - starts.get(name, at)) for name, at, _ in sources]
        vectors = tuple(dict.fromkeys(places))
        lanes = tuple((vectors.index(place), lane) for place, (_, _, lane) in zip(places, sources, strict=True))
        return _Block((starts["x"], starts["residual"], block * self.output.block), vectors, lanes)

    def _source(self, channel: int) -> tuple[str, int, int]:
        """Give (pointer, numbers behind it, lane) from which a channel of y comes; "" for zeros."""
        lanes, i = self.output.lanes, channel - self.first
        if i < 0:
            return "y", 0, channel % lanes
        if i >= len(self.channels):
            return "", 0, 0
        found, name = self.channels[i], "x"
        if found >= self.input.channels:
            found, name = found - self.input.channels, "residual"
        layout = self._inputs[name == "residual"]
        return name, found // lanes * layout.block, found % lanes

    def _row(
        self, name: str, vectors: tuple[tuple[str, int], ...], lanes: tuple[tuple[int, int], ...], target: Target
    ) -> Function:
        f = Function(name, [(POINTER, pointer) for pointer in _POINTERS], target, internal=True)

        def pixel(column: Value, _: list[Value]) -> None:
            at = f.mul(column, f.lanes)
            read = [f.load(f[pointer], f.add(at, start)) if pointer else f.zero() for pointer, start in vectors]
            f.store(_merged(f, read, lanes), f["y"], at)

        f.loop(0, self.output.width, pixel)
        return f

    def _entry(self, blocks: list[tuple[_Block, str]], target: Target) -> Function:
        f = Function.entry(self.name, target)
        strides = [self.input.row, self._inputs[-1].row, self.output.row]

        def row(b: Number, block: _Block, name: str) -> None:
            places = [f.add(start, f.mul(b, stride)) for start, stride in zip(block.starts, strides, strict=True)]
            f.call(name, [f.at(f[pointer], place) for pointer, place in zip(_POINTERS, places, strict=True)])

        def rows(block: _Block, name: str) -> None:
            f.loop(f["b0"], f["b1"], lambda b, _: row(b, block, name))

        for i, (block, name) in enumerate(blocks):
            begin, end = f.maximum(f["a0"], i), f.minimum(f["a1"], i + 1)
            f.loop(begin, end, lambda _i, _, block=block, name=name: rows(block, name))
        return f


def _merged(f: Function, vectors: list[Value], lanes: tuple[tuple[int, int], ...]) -> Value:
    """Write a vector whose lane i is lane `lanes[i][1]` of vector `lanes[i][0]`: of two vectors, then of one more."""
    if len(vectors) == 1:
        return f.picked(vectors[0], vectors[0], [lane for _, lane in lanes])
    merged = f.picked(*vectors[:2], [lane + f.lanes * (which == 1) for which, lane in lanes])
    for number, vector in enumerate(vectors[2:], start=2):
        merged = f.picked(merged, vector, [f.lanes + lane if n == number else i for i, (n, lane) in enumerate(lanes)])
    return merged
