"""The weight's gradient of a convolution: what every kernel element met, times what the loss made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Final, Self, final

import numpy as np

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.direct import border_read, why_not
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, check_lanes, check_layout
from ninefold.kernels.llvm.text import POINTER, Function
from ninefold.kernels.llvm.tile import LATENCY, most_pixels, pieces

if TYPE_CHECKING:
    from ninefold.kernels.llvm.kernel import Border
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value
    from ninefold.spec import ConvSpec

_PIXELS: Final = 256  # summed up in registers before they are added to the total: short sums round less
_MOST_VECTORS: Final = 4


@final
@dataclass(frozen=True)
class WeightGradient(Kernel):
    """dw[o, c, k] += sum over i of x[c, stride * i + dilation * k - before] * dy[o, i].

    It is called with x, with dy as the residual, and with a flat y of `size` numbers, which it adds to: clear y, call
    it for every picture, and `unpack`. The lanes are output channels; for one kernel element, the sums of some input
    channels times some vectors stay in registers. The grid is (panels of output channels, blocks of input channels
    times kernel rows).

    Args:
        spec: the convolution; its batch does not count.
        input: layout of x, with at least the border that the convolution reads.
        output: layout of dy.
        channels: of the input, whose sums are held at once.
        vectors: of output channels, whose sums are held at once.

    Raises:
        Unsupported: for what `direct.why_not` says.
        InvalidSpec: when a layout does not fit the convolution.
    """

    spec: ConvSpec
    input: Blocked
    output: Blocked
    channels: int
    vectors: int

    @classmethod
    def of(cls, spec: ConvSpec, layouts: tuple[Blocked, Blocked], target: Target) -> Self:
        """Give the kernel that holds as many sums as suit the channels and the registers.

        Args:
            spec: the convolution.
            layouts: of x and of dy.
            target: the processor.
        """
        per_block = min(spec.in_channels // spec.groups, target.lanes)
        blocks = -(-spec.out_channels // spec.groups // target.lanes)

        def cycles(tile: tuple[int, int]) -> int:  # per tap: products, or loads, or the latency of adding
            return sum(
                times * panels * max(channels * vectors, channels + vectors, LATENCY)
                for channels, times in pieces(per_block, tile[0])
                for vectors, panels in pieces(blocks, tile[1])
            )

        tiles = [
            (-(-per_block // -(-per_block // most_pixels(vectors, target))), vectors)
            for vectors in range(1, min(blocks, _MOST_VECTORS) + 1)
        ]
        return cls(spec, *layouts, *min(tiles, key=cycles))

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        check_layout(self.input, self.spec.in_channels, self.spec.in_size, self.needs_border)
        check_layout(self.output, self.spec.out_channels, self.spec.out_size, NO_BORDER)

    @property
    def needs_border(self) -> Border:
        """Give the zeros that the windows meet."""
        return border_read(self.spec)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (panels of output channels, blocks of input channels times kernel rows)."""
        return self.spec.groups * self._panels, self._in_blocks * self.spec.kernel[0]

    @property
    def size(self) -> int:
        """Numbers of the packed gradient."""
        return self.output.blocks * self.output.lanes * prod(self.spec.weight_shape[1:])

    def unpack(self, flat: np.ndarray) -> np.ndarray:
        """Give what the kernel wrote as (O, C / groups, KH, KW)."""
        lanes = self.output.lanes
        blocks = flat.reshape(self.output.blocks, *self.spec.weight_shape[1:], lanes)
        return np.moveaxis(blocks, -1, 1).reshape(-1, *self.spec.weight_shape[1:])[: self.spec.out_channels]

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, and a micro-kernel for every number of channels, vectors and rows."""
        if reason := why_not(self.spec, target):
            raise Unsupported(f"the gradient kernel was asked for {self.spec}: {reason}")
        check_lanes(target, self.input, self.output)
        kinds = {
            (vectors, channels, rows)
            for vectors, _ in pieces(self._out_blocks, self.vectors)
            for filled in (min(self._channels, target.lanes), self._last)
            for channels, _ in pieces(filled, self.channels)
            for rows, _ in self._bands
        }
        return [*(self._micro(*kind, target) for kind in sorted(kinds)), self._entry(target)]

    # Sizes, per group.

    @property
    def _channels(self) -> int:
        return self.spec.in_channels // self.spec.groups

    @property
    def _in_blocks(self) -> int:
        return -(-self._channels // self.input.lanes)

    @property
    def _last(self) -> int:
        """Channels in the last block of the input."""
        return self._channels - (self._in_blocks - 1) * self.input.lanes

    @property
    def _out_blocks(self) -> int:
        return -(-self.spec.out_channels // self.spec.groups // self.input.lanes)

    @property
    def _panels(self) -> int:
        return -(-self._out_blocks // self.vectors)

    @property
    def _bands(self) -> list[tuple[int, int]]:
        """Rows of dy that are summed up before they are added to the total: (rows, how many)."""
        height, width = self.spec.out_size
        bands = max(1, round(height * width / _PIXELS))
        return pieces(height, -(-height // min(bands, height)))

    @property
    def _per_block(self) -> int:
        """From a block of output channels of the packed gradient to the next."""
        return prod(self.spec.weight_shape[1:]) * self.output.lanes

    def _symbol(self, vectors: int, channels: int, rows: int) -> str:
        return f"{self.name}_{vectors}x{channels}x{rows}"

    def _micro(self, vectors: int, channels: int, rows: int, target: Target) -> Function:
        """Write the sums over some rows for one kernel element: (x, dy, dw) point to the first of each."""
        arguments = [(POINTER, "x"), (POINTER, "dy"), (POINTER, "dw")]
        f = Function(self._symbol(vectors, channels, rows), arguments, target, internal=True)
        (high, wide), lanes = self.spec.stride, f.lanes

        def pixel(_: Value, state: list[Value]) -> list[Value]:
            x, dy, *sums = state
            errors = [f.load(dy, v * self.output.block) for v in range(vectors)]
            for c in range(channels):
                number = f.broadcast(x, c)
                for v, error in enumerate(errors):
                    sums[c * vectors + v] = f.fma(number, error, sums[c * vectors + v])
            return [f.at(x, wide * lanes), f.at(dy, lanes), *sums]

        def row(_: Value, state: list[Value]) -> list[Value]:
            x, dy, *sums = state
            sums = f.loop(0, self.spec.out_size[1], pixel, [x, dy, *sums])[2:]
            return [f.at(x, high * self.input.row), f.at(dy, self.output.row), *sums]

        sums = f.loop(0, rows, row, [f["x"], f["dy"], *[f.zero()] * (channels * vectors)])[2:]
        per_channel = prod(self.spec.kernel) * lanes
        for c in range(channels):
            for v in range(vectors):
                at = c * per_channel + v * self._per_block
                f.store(f.arithmetic("fadd", f.load(f["dw"], at), sums[c * vectors + v]), f["dw"], at)
        return f

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)

        def panel(a: Value, _: list[Value]) -> None:
            f.loop(f["b0"], f["b1"], lambda b, _: self._unit(f, a, b))

        f.loop(f["a0"], f["a1"], panel)
        return f

    def _unit(self, f: Function, a: Value, b: Value) -> None:
        """Write all kernel elements of one row, for a panel and a block of input channels."""
        group, panel = f.div(a, self._panels), f.mod(a, self._panels)
        block, tap = f.div(b, self.spec.kernel[0]), f.mod(b, self.spec.kernel[0])
        out = f.add(f.mul(group, self._out_blocks), f.mul(panel, self.vectors))
        channels = self._channels // self.input.lanes  # whole blocks: with several groups, all are
        below = f.sub(f.mul(tap, self.spec.dilation[0]), self.spec.padding[0][0])
        x = f.add(f.mul(f.add(f.mul(group, channels), block), self.input.block), f.mul(below, self.input.row))
        element = f.add(f.mul(block, f.lanes * prod(self.spec.kernel)), f.mul(tap, self.spec.kernel[1]))
        pointers = (
            f.at(f["x"], x),
            f.at(f["residual"], f.mul(out, self.output.block)),
            f.at(f["y"], f.add(f.mul(out, self._per_block), f.mul(element, f.lanes))),
        )
        last_panel = f.compare("eq", panel, self._panels - 1)
        last_block = f.compare("eq", block, self._in_blocks - 1)
        rest = self._out_blocks - (self._panels - 1) * self.vectors

        def with_vectors(vectors: int) -> None:
            f.branch(
                last_block,
                lambda: self._row(f, pointers, vectors, self._last),
                lambda: self._row(f, pointers, vectors, min(self._channels, f.lanes)),
            )

        f.branch(last_panel, lambda: with_vectors(rest), lambda: with_vectors(min(self.vectors, self._out_blocks)))

    def _row(self, f: Function, pointers: tuple[Value, Value, Value], vectors: int, filled: int) -> None:
        """Write one row of kernel elements: a band of pixels stays near while all of them pass."""
        first = 0
        for rows, count in self._bands:

            def band(row: Value, _: list[Value], rows: int = rows) -> None:
                f.loop(0, self.spec.kernel[1], lambda k, _: self._element(f, pointers, (vectors, filled, rows), row, k))

            f.loop(first, first + rows * count, band, step=rows)
            first += rows * count

    def _element(
        self,
        f: Function,
        pointers: tuple[Value, Value, Value],
        sizes: tuple[int, int, int],
        row: Value,
        k: Value,
    ) -> None:
        x, dy, dw = pointers
        vectors, filled, rows = sizes
        down = self.spec.stride[0] * self.input.row
        column = f.sub(f.mul(k, self.spec.dilation[1] * f.lanes), self.spec.padding[1][0] * f.lanes)
        first = 0
        for channels, count in pieces(filled, self.channels):

            def call(c: Value, _: list[Value], channels: int = channels) -> None:
                there = f.add(f.add(column, c), f.mul(row, down))
                place = f.mul(f.add(f.mul(c, prod(self.spec.kernel)), k), f.lanes)
                called = [f.at(x, there), f.at(dy, f.mul(row, self.output.row)), f.at(dw, place)]
                f.call(self._symbol(vectors, channels, rows), called)

            f.loop(first, first + channels * count, call, step=channels)
            first += channels * count
