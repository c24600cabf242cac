"""Depthwise convolution: every channel has a kernel of its own, so a block of channels is a block of outputs.

A tile of outputs stays in registers, and so do the weights where they fit. Each input of the tile is then read once,
for all the outputs and kernel rows that see it; where the weights do not fit, kernel element by kernel element.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.direct import border_read
from ninefold.kernels.llvm.kernel import Border, Kernel, blocks_of, check_convolution
from ninefold.kernels.llvm.text import INT, POINTER, Function, Value
from ninefold.kernels.llvm.tile import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number
    from ninefold.spec import ConvSpec

Place = tuple[int, int]  # row and column of an input or output, from the first one of a tile
Sums = dict[Place, "Value"]

_ROWS: Final = (1, 2, 3, 4)
_FEWEST: Final = 4
_TRIED: Final = 6
_LATENCY: Final = 8  # sums that are added to in turn, so that none waits for its last product


@dataclass(frozen=True, slots=True)
class Strip:
    """Outputs that are computed at once.

    Args:
        rows: of output pixels.
        columns: of output pixels.
        holds_weights: whether all weights of a block of channels stay in registers.
    """

    rows: int
    columns: int
    holds_weights: bool


def why_not(spec: ConvSpec) -> str | None:
    """Say what keeps this kernel from computing a convolution, or None."""
    if spec.transposed:
        return "it computes dense convolutions only, and this one is transposed"
    if spec.dims != 2:
        return f"it computes convolutions of 2 spatial axes, and this one has {spec.dims}"
    if not spec.groups == spec.in_channels == spec.out_channels:
        return (
            "it takes one output channel and one group per input channel; got "
            f"in_channels={spec.in_channels}, out_channels={spec.out_channels}, groups={spec.groups}"
        )
    return None


def default_strip(spec: ConvSpec, target: Target) -> Strip:
    """Give the strip with the smallest estimate of cycles.

    >>> from ninefold.kernels.llvm.target import Target
    >>> from ninefold.spec import ConvSpec
    >>> wide = Target("skylake-avx512", "", lanes=16, registers=32, has_fma=True)
    >>> default_strip(ConvSpec.of((1, 96, 56, 56), (96, 1, 3, 3), padding=1, groups=96), wide)
    Strip(rows=4, columns=5, holds_weights=True)
    """
    return candidates(spec, target)[0]


def candidates(spec: ConvSpec, target: Target) -> list[Strip]:
    """Give the strips worth timing, the one with the smallest estimate first."""
    strips = list(dict.fromkeys(_strips(spec, target)))
    return sorted(strips, key=lambda strip: _cycles(strip, spec))[:_TRIED]


def _strips(spec: ConvSpec, target: Target) -> Iterator[Strip]:
    height, width = spec.out_size
    # Beside sums and weights: an input, what the activation needs, and without a fused multiply-add the product.
    free = target.registers - (3 if target.has_fma else 5)
    for rows in (r for r in _ROWS if r <= height):
        widest = min(width, (free - prod(spec.kernel)) // rows)
        if widest > 0:
            yield Strip(rows, widest, holds_weights=True)
            yield Strip(rows, -(-width // -(-width // widest)), holds_weights=True)
    # Otherwise inputs that neighbouring elements of a kernel row share stay in the other half.
    widest = min(width, max((free - spec.kernel[1]) // 2 + 1, _FEWEST))
    yield Strip(1, -(-width // -(-width // widest)), holds_weights=False)


def _cycles(strip: Strip, spec: ConvSpec) -> float:
    """Estimate one block of channels: a tile costs its products or their latency, its loads, and its end."""
    height, width = spec.out_size
    taps = prod(spec.kernel)
    total = 0
    for rows, down in pieces(height, strip.rows):
        for columns, across in pieces(width, strip.columns):
            sums = rows * columns
            loads = taps * (sums + 1)
            if strip.holds_weights:
                axes = zip((rows, columns), spec.stride, spec.extent, strict=True)
                loads = prod((n - 1) * s + e for n, s, e in axes)
            total += down * across * (taps * max(sums, _LATENCY) + loads + 4 * sums)
    return total


@final
@dataclass(frozen=True)
class Depthwise(Kernel):
    """y[c, i] = epilogue(sum over k of x[c, stride * i + dilation * k - before] * w[c, k]).

    The grid is (blocks of channels, rows of strips).

    Args:
        spec: the convolution; its batch does not count.
        input: layout of x, with at least the border that its windows meet.
        output: layout of y.
        epilogue: applied in registers.
        strip: what is computed at once.
        residual: layout of the residual; None for that of y.

    Raises:
        Unsupported: for what `why_not` says.
        InvalidSpec: when a layout does not fit the convolution.
    """

    spec: ConvSpec
    input: Blocked
    output: Blocked
    epilogue: Epilogue
    strip: Strip
    residual: Blocked | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        if reason := why_not(self.spec):
            raise Unsupported(f"the depthwise kernel does not take {self.spec}: {reason}")
        check_convolution(self.spec, self.input, (self.output, self._residual), self.needs_border)

    @property
    def needs_border(self) -> Border:
        """Give the zeros that the windows meet."""
        return border_read(self.spec)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of channels, rows of strips)."""
        return self.output.blocks, -(-self.output.height // self.strip.rows)

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (C, 1, KH, KW)
        """Give the weights as [block][KH][KW][lane]."""
        lanes = self.input.lanes
        return blocks_of(weight, lanes).reshape(-1, lanes, prod(self.spec.kernel)).transpose(0, 2, 1).ravel()

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and every size of strip that occurs."""
        down, across = (pieces(n, m) for n, m in zip(self.spec.out_size, self._size, strict=True))
        return [
            *(self._strip(target, (r, c), part) for r, _ in down for c, _ in across for _, _, part in self._blocks),
            self._entry(target),
        ]

    @property
    def _size(self) -> tuple[int, int]:
        return self.strip.rows, self.strip.columns

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def _blocks(self) -> list[tuple[int, int, int | None]]:
        # First, count, and how many lanes are channels: the last block apart where those that fill it up would not stay
        # zeros.
        blocks, filled = self.output.blocks, self.output.channels % self.output.lanes
        if not filled or self.epilogue.keeps_zeros:
            return [(0, blocks, None)]
        return [part for part in ((0, blocks - 1, None), (blocks - 1, 1, filled)) if part[1]]

    # The walk over blocks of channels, bands of rows and strips.

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        for first, count, filled in self._blocks:
            start, stop = f.maximum(f["a0"], first), f.minimum(f["a1"], first + count)
            f.loop(start, stop, lambda a, _, filled=filled: self._block(f, a, filled))
        return f

    def _block(self, f: Function, a: Value, filled: int | None) -> None:
        before = self.spec.padding[0][0] * self.input.row + self.spec.padding[1][0] * f.lanes
        pointers = {
            "x": f.at(f["x"], f.sub(f.mul(a, self.input.block), before)),
            "weight": f.at(f["weight"], f.mul(a, prod(self.spec.kernel) * f.lanes)),
            "bias": f.at(f["bias"], f.mul(a, f.lanes)),
            "y": f.at(f["y"], f.mul(a, self.output.block)),
            "residual": f.at(f["residual"], f.mul(a, self._residual.block)),
        }
        first = 0
        for rows, count in pieces(self.output.height, self.strip.rows):

            def band(b: Value, _: list[Value], rows: int = rows) -> None:
                self._band(f, self._moved(f, pointers, f.mul(b, self.strip.rows), 0), rows, filled)

            f.loop(f.maximum(f["b0"], first), f.minimum(f["b1"], first + count), band)
            first += count

    def _band(self, f: Function, pointers: dict[str, Value], rows: int, filled: int | None) -> None:
        first = 0
        for columns, count in pieces(self.output.width, self.strip.columns):
            here = self._moved(f, pointers, 0, first * self.strip.columns)
            f.call(self._symbol((rows, columns), filled), [*here.values(), count])
            first += count

    def _moved(self, f: Function, pointers: dict[str, Value], row: Number, column: Number) -> dict[str, Value]:
        """Give where an output's x, y and residual are; weights and bias stay."""
        layouts = {"x": self.input, "y": self.output, "residual": self._residual}
        moved = dict(pointers)
        for name, layout in layouts.items():
            down, across = self.spec.stride if name == "x" else (1, 1)
            offset = f.add(f.mul(row, down * layout.row), f.mul(column, across * f.lanes))
            moved[name] = f.at(pointers[name], offset)
        return moved

    # A strip of tiles of one size; its innermost loop is alone in a function, which keeps its vectors in registers.

    def _symbol(self, size: tuple[int, int], filled: int | None) -> str:
        return f"{self.name}_{size[0]}x{size[1]}{'_filled' if filled else ''}"

    def _strip(self, target: Target, size: tuple[int, int], filled: int | None) -> Function:
        arguments = [(POINTER, name) for name in ("x", "weight", "bias", "y", "residual")]
        f = Function(self._symbol(size, filled), [*arguments, (INT, "count")], target, internal=True)
        count = prod(self.spec.kernel) if self.strip.holds_weights else 0
        held = [f.load(f["weight"], k * f.lanes) for k in range(count)]

        def tile(number: Value, _: list[Value]) -> None:
            here = self._moved(f, f.arguments, 0, f.mul(number, size[1]))
            self._tile(f, here, size, held, filled)

        f.loop(0, f["count"], tile)
        return f

    def _tile(
        self, f: Function, pointers: dict[str, Value], size: tuple[int, int], held: list[Value], filled: int | None
    ) -> None:
        outputs = [(i, j) for i in range(size[0]) for j in range(size[1])]
        sums = dict.fromkeys(outputs, self.epilogue.start(f, pointers["bias"]))
        if held:
            self._by_inputs(f, pointers["x"], held, sums)
        else:
            sums = self._by_weights(f, pointers["x"], pointers["weight"], sums)
        for (i, j), total in sums.items():
            place = i * self._residual.row + j * f.lanes
            value = self.epilogue.apply(f, total, pointers["residual"], place, filled=filled)
            f.store(value, pointers["y"], i * self.output.row + j * f.lanes)

    def _by_inputs(self, f: Function, x: Value, held: list[Value], sums: Sums) -> None:
        """Add all products, each input read once."""
        uses: dict[Place, list[tuple[Place, Value]]] = {}
        for i, j in sums:
            for k, weight in enumerate(held):
                uses.setdefault(self._seen(i, j, *divmod(k, self.spec.kernel[1])), []).append(((i, j), weight))
        for row, column in sorted(uses):
            value = f.load(x, row * self.input.row + column * f.lanes)
            for output, weight in uses[row, column]:
                sums[output] = f.fma(value, weight, sums[output])

    def _by_weights(self, f: Function, x: Value, weight: Value, sums: Sums) -> Sums:
        """Add all products, each weight read once, in a loop over the kernel's rows."""
        height, width = self.spec.kernel

        def row(_: Value, state: list[Value]) -> list[Value]:
            here, weights, *totals = state
            for column in range(width):
                factor = f.load(weights, column * f.lanes)
                for place, (i, j) in enumerate(sums):
                    down, across = self._seen(i, j, 0, column)
                    value = f.load(here, down * self.input.row + across * f.lanes)
                    totals[place] = f.fma(value, factor, totals[place])
            return [f.at(here, self.spec.dilation[0] * self.input.row), f.at(weights, width * f.lanes), *totals]

        return dict(zip(sums, f.loop(0, height, row, [x, weight, *sums.values()])[2:], strict=True))

    def _seen(self, i: int, j: int, down: int, across: int) -> Place:
        # The input that output (i, j) meets with kernel element (down, across), counted from the tile's first one.
        return (
            i * self.spec.stride[0] + down * self.spec.dilation[0],
            j * self.spec.stride[1] + across * self.spec.dilation[1],
        )
