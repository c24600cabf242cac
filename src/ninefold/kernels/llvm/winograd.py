"""Convolution by 3x3 at stride 1 through Winograd's F(m, 3): m * m outputs of a tile for (m + 2)^2 multiplications.

A block of tiles goes through three phases while it stays in a near cache. With the patch d of m + 2 by m + 2 inputs,
one per tile t and input channel c, and x one of the (m + 2)^2 frequencies:

    V[x, t, c] = (B^T d B)[x]                             transform of the input
    M[x, t, o] = sum over c of  V[x, t, c] * U[x, c, o]   one product of matrices per frequency
    y[t, o]    = pool(epilogue(A^T M A))                  transform of the output

U = G w G^T is computed once per weight, in float64. A lane is a channel, so that no transform moves a number from lane
to lane. Both transforms take one block of channels after the other and in it tile after tile: what they read and write
then lies side by side, and a processor's own prefetching follows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import NO_BORDER, Kernel, blocks_of, check_convolution, check_layout
from ninefold.kernels.llvm.micro import LINE, Micro, Offsets, Sum
from ninefold.kernels.llvm.text import POINTER, Function, Value
from ninefold.kernels.llvm.tile import pieces
from ninefold.kernels.llvm.transform import InputTransform, OutputTransform
from ninefold.kernels.llvm.winograd_tile import WinogradTile, candidates, default_tile
from ninefold.spec import Winograd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Number
    from ninefold.spec import ConvSpec

__all__ = ["WinogradConv", "WinogradTile", "candidates", "default_tile", "why_not"]

_UNROLLED: Final = 4  # input channels per round of the products' innermost loop
_SMALL: Final = 2**16  # numbers of U that stay in a second cache beside V and M
_NULL: Final = Value(POINTER, "null")


def why_not(spec: ConvSpec) -> str | None:
    """Say what keeps this kernel from computing a convolution, or None."""
    if spec.transposed or spec.groups != 1:
        return f"it computes dense convolutions of one group; got transposed={spec.transposed}, groups={spec.groups}"
    if (spec.kernel, spec.stride, spec.dilation) != ((3, 3), (1, 1), (1, 1)):
        return (
            f"it computes 3x3 at stride 1 without dilation; got kernel={spec.kernel}, stride={spec.stride}, "
            f"dilation={spec.dilation}"
        )
    return None


@final
@dataclass(frozen=True)
class WinogradConv(Kernel):
    """y[o, i] = epilogue(sum over c, k of x[c, i + k - before] * w[o, c, k]) for kernels of 3x3, by F(m, 3).

    The grid is (blocks of tiles, groups of `tile.vectors` vectors of output channels). Whoever does some groups of a
    block transforms its inputs again: cut the second axis only where there are fewer blocks than threads.

    It needs no border: patches that reach over the edge read zeros from elsewhere, unless the input's border happens
    to be wide enough to be read in their place.

    An input that is infinite or no number makes all outputs of its tiles no numbers, since tiles take differences.

    Args:
        spec: the convolution; its batch does not count.
        input: layout of x.
        output: layout of y.
        epilogue: applied in registers.
        tile: how the work is cut.
        residual: layout of the residual; None for that of y.
        pool: of every `pool` by `pool` outputs only the largest is written: y is as much smaller, rounded down.

    Raises:
        Unsupported: for what `why_not` says.
        InvalidSpec: when a layout does not fit the convolution, or `pool` does not divide the tile's outputs.
    """

    spec: ConvSpec
    input: Blocked
    output: Blocked
    epilogue: Epilogue
    tile: WinogradTile
    residual: Blocked | None = None
    pool: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, batch=1))
        if reason := why_not(self.spec):
            raise Unsupported(f"the Winograd kernel does not take {self.spec}: {reason}")
        if self.tile.outputs % self.pool:
            raise InvalidSpec(f"windows of {self.pool} came for tiles of {self.tile.outputs}; they must be whole")
        unpooled = (self._residual,) if self.epilogue.residual else ()
        check_convolution(self.spec, self.input, unpooled, NO_BORDER)
        pooled = tuple(n // self.pool for n in self.spec.out_size)
        check_layout(self.output, self.spec.out_channels, pooled, NO_BORDER)

    @property
    def grid(self) -> tuple[int, int]:
        """Give (blocks of tiles, groups of output channels)."""
        down, across = self._tiles
        return -(-down * across // self.tile.block), -(-self.output.blocks // self.tile.vectors)

    def chunk(self, pictures: int, threads: int) -> tuple[int, int]:
        """Give how much of the grid a thread takes at once: whole blocks, parts only where there are few of them."""
        blocks, groups = self.grid
        if pictures >= threads:
            return blocks, groups
        return 1, groups if pictures * blocks >= 2 * threads else -(-groups // threads)

    @property
    def scratch(self) -> int:
        """Give the numbers in V and M."""
        return self._form.size**2 * (self._v_stride + self._m_stride)

    def pack(self, weight: np.ndarray) -> np.ndarray:  # (O, C, 3, 3)
        """Give U = G w G^T as [frequency][group of output channels][input channel][lane of the group]."""
        g = np.array([[float(value) for value in row] for row in self._form.weight])
        both = np.kron(g, g)  # (X, 9)
        channels, width = weight.shape[1], self.tile.vectors * self.output.lanes
        u = np.empty((len(both), channels * self.output.blocks * self.output.lanes), np.float32)
        for start in range(0, len(weight), width):
            some = blocks_of(weight[start : start + width], self.output.lanes)  # (lanes, C, 3, 3)
            ordered = np.ascontiguousarray(some.reshape(len(some), channels, 9).transpose(2, 1, 0), np.float64)
            u[:, channels * start : channels * (start + len(some))] = both @ ordered.reshape(9, -1)
        return u.ravel()

    def functions(self, target: Target) -> list[Function]:
        """Write the entry, both transforms and the products of matrices."""
        rows = {size for block, _ in self._blocks for size, _ in pieces(block, self.tile.rows)}
        vectors = {size for size, _ in self._groups}
        return [
            *self._transforms(target),
            *(self._product(target, r, v) for r in sorted(rows) for v in sorted(vectors)),
            self._entry(target),
        ]

    # Sizes.

    @property
    def _form(self) -> Winograd:
        return _form(self.tile.outputs)

    @property
    def _residual(self) -> Blocked:
        return self.residual or self.output

    @property
    def _tiles(self) -> tuple[int, int]:  # down, across
        down, across = (-(-n // self.tile.outputs) for n in self._computed)
        return down, across

    @property
    def _computed(self) -> tuple[int, int]:  # rows and columns of outputs, before they are pooled
        return self.output.height * self.pool, self.output.width * self.pool

    @property
    def _blocks(self) -> list[tuple[int, int]]:
        down, across = self._tiles
        return pieces(down * across, self.tile.block)

    @property
    def _groups(self) -> list[tuple[int, int]]:
        return pieces(self.output.blocks, self.tile.vectors)

    @property
    def _v_stride(self) -> int:
        # From a frequency to the next: an odd number of vectors, so that a tile's fall into different cache sets.
        return (self.input.blocks * self.tile.block | 1) * self.input.lanes

    @property
    def _m_stride(self) -> int:
        return (self.output.blocks * self.tile.block | 1) * self.output.lanes

    @property
    def _block_stride(self) -> int:
        # From a block of channels to the next one, in V and in M.
        return self.tile.block * self.output.lanes

    @property
    def _tile_kinds(self) -> list[bool]:
        # Whether all of a tile's outputs exist.
        partial = any(n % self.tile.outputs for n in self._computed)
        return [True, False] if partial else [True]

    @property
    def _channel_kinds(self) -> list[bool]:
        # Whether a block of output channels is the last one, where that counts: lanes that fill it up must stay zeros.
        partial = self.output.channels % self.output.lanes and not self.epilogue.keeps_zeros
        return [False, True] if partial else [False]

    @property
    def _border_is_enough(self) -> bool:
        # Whether patches may be read across the edge of x without asking.
        (above, _), (left, _) = self.spec.padding
        ends = [(n - 1) * self.tile.outputs + self._form.size for n in self._tiles]
        wanted = (above, ends[0] - above - self.input.height, left, ends[1] - left - self.input.width)
        return all(has >= wants for has, wants in zip(self.input.border, wanted, strict=True))

    # What is computed for one or a few tiles and one or a few blocks of channels.

    def _transforms(self, target: Target) -> Iterator[Function]:
        before = InputTransform(self._form, self.input, self._v_stride)
        for inside in [True] if self._border_is_enough else [True, False]:
            yield before.function(self._input_name(inside=inside), target, inside=inside)
        after = OutputTransform(self._form, self._m_stride, self.output, self._residual, self.epilogue, self.pool)
        for whole in self._tile_kinds:
            for last in self._channel_kinds:
                filled = self.output.channels % self.output.lanes if last else None
                yield after.function(self._output_name(whole, last), target, whole=whole, filled=filled)

    def _input_name(self, *, inside: bool) -> str:
        return f"{self.name}_input_{'inside' if inside else 'edge'}"

    def _output_name(self, whole: bool, last: bool) -> str:
        return f"{self.name}_output_{'whole' if whole else 'part'}{'_last' if last else ''}"

    def _product(self, target: Target, rows: int, vectors: int) -> Function:
        pixels = tuple(Offsets(t * target.lanes, t * target.lanes, 0) for t in range(rows))
        micro = Micro(pixels, vectors, self._sums, Epilogue(), self._block_stride, 0, prefetched=self._lines(vectors))
        return micro.function(self._product_name(rows, vectors), target)

    @property
    def _sums(self) -> tuple[Sum, ...]:
        # Over all input channels: whole blocks, then the rounds and the last few channels of the one that is filled up.
        whole, rest = divmod(self.input.channels, self.input.lanes)
        rounds, few = divmod(rest, _UNROLLED)
        start, taps = whole * self._block_stride, tuple(range(_UNROLLED))
        every = (
            Sum(0, ((whole, self._block_stride), (self.input.lanes // _UNROLLED, _UNROLLED)), taps),
            Sum(start, ((rounds, _UNROLLED),), taps),
            Sum(start + rounds * _UNROLLED, ((1, 0),), taps[:few]),
        )
        return tuple(part for part in every if part.length)

    def _lines(self, vectors: int) -> int:
        # Cache lines of the next panel of U to ask for per round, so that one pass over a block's tiles asks for all.
        # A small U stays near from one block to the next.
        if self._form.size**2 * self.input.channels * self.output.blocks * self.output.lanes <= _SMALL:
            return 0
        calls = sum(count for _, count in pieces(self._blocks[0][0], self.tile.rows))
        return -(-self.input.channels * vectors * self.output.lanes // (LINE * calls * self._rounds))

    @property
    def _rounds(self) -> int:
        return sum(part.rounds for part in self._sums)

    def _product_name(self, rows: int, vectors: int) -> str:
        return f"{self.name}_product_{rows}x{vectors}"

    # The walk over blocks of tiles.

    def _entry(self, target: Target) -> Function:
        f = Function.entry(self.name, target)
        first = 0
        for size, count in self._blocks:
            start, stop = f.maximum(f["a0"], first), f.minimum(f["a1"], first + count)
            f.loop(start, stop, lambda a, _, size=size: self._block(f, a, size))
            first += count
        return f

    def _block(self, f: Function, a: Value, size: int) -> None:
        first, frequencies = f.mul(a, self.tile.block), self._form.size**2
        v, m = f["scratch"], f.at(f["scratch"], frequencies * self._v_stride)
        f.loop(0, self.input.blocks, lambda c, _: self._transform_inputs(f, c, (first, size), v))
        f.loop(0, frequencies, lambda x, _: self._multiply(f, x, (v, m), size))
        self._transform_outputs(f, (first, size), m)

    def _corner(self, f: Function, tile: Number) -> tuple[Number, Number]:
        # Row and column of the tile's first output.
        _, across = self._tiles
        return f.mul(f.div(tile, across), self.tile.outputs), f.mul(f.mod(tile, across), self.tile.outputs)

    def _transform_inputs(self, f: Function, c: Value, tiles: tuple[Number, int], v: Value) -> None:
        first, size = tiles
        (above, _), (left, _) = self.spec.padding
        limits = [max(n - self._form.size + 1, 0) for n in self.spec.in_size]
        maps, panel = f.at(f["x"], f.mul(c, self.input.block)), f.at(v, f.mul(c, self._block_stride))

        def one(t: Value, _: list[Value]) -> None:
            row, column = self._corner(f, f.add(first, t))
            row, column = f.sub(row, above), f.sub(column, left)
            patch = f.at(maps, f.add(f.mul(row, self.input.row), f.mul(column, f.lanes)))
            arguments = [patch, f.at(panel, f.mul(t, f.lanes)), row, column]
            if self._border_is_enough:
                f.call(self._input_name(inside=True), arguments)
                return
            f.branch(
                f.both(f.compare("ult", row, limits[0]), f.compare("ult", column, limits[1])),
                lambda: f.call(self._input_name(inside=True), arguments),
                lambda: f.call(self._input_name(inside=False), arguments),
            )

        f.loop(0, size, one)

    def _multiply(self, f: Function, x: Value, v_and_m: tuple[Value, Value], size: int) -> None:
        strides = (self._v_stride, self._m_stride)
        v, m = (f.at(pointer, f.mul(x, stride)) for pointer, stride in zip(v_and_m, strides, strict=True))
        vector = self.input.channels * f.lanes
        panel, everything = vector * self.tile.vectors, vector * self.output.blocks
        u = f.at(f["weight"], f.mul(x, everything))
        # What is read after the last group: the first one of the next frequency.
        following = f.at(u, f.add(f.mul(f["b0"], panel), everything))
        first = 0
        for vectors, count in self._groups:

            def group(g: Value, _: list[Value], vectors: int = vectors) -> None:
                here, next_one = f.at(u, f.mul(g, panel)), f.add(g, 1)
                ahead = f.select(f.compare("slt", next_one, f["b1"]), f.at(u, f.mul(next_one, panel)), following)
                place = f.at(m, f.mul(g, self.tile.vectors * self._block_stride))
                self._rows(f, (v, here, place, ahead), size, vectors)

            f.loop(f.maximum(f["b0"], first), f.minimum(f["b1"], first + count), group)
            first += count

    def _rows(self, f: Function, pointers: tuple[Value, Value, Value, Value], size: int, vectors: int) -> None:
        v, u, m, ahead = pointers
        per_call = self._rounds * self._lines(vectors) * LINE
        first = 0
        for rows, count in pieces(size, self.tile.rows):

            def some(r: Value, _: list[Value], rows: int = rows, first: int = first) -> None:
                call = f.add(r, first)
                t = f.mul(call, self.tile.rows * f.lanes)
                soon = f.at(ahead, f.mul(call, per_call))
                f.call(self._product_name(rows, vectors), [f.at(v, t), u, _NULL, f.at(m, t), _NULL, soon])

            f.loop(0, count, some)
            first += count

    def _transform_outputs(self, f: Function, tiles: tuple[Number, int], m: Value) -> None:
        """Transform all blocks of output channels of the groups b0 to b1, the last block perhaps apart."""

        def channels(k: Value, *, last: bool) -> None:
            panel = f.at(m, f.mul(k, self._block_stride))
            bias = f.at(f["bias"], f.mul(k, f.lanes)) if self.epilogue.bias else _NULL
            y = f.at(f["y"], f.mul(k, self.output.block))
            added = f.at(f["residual"], f.mul(k, self._residual.block)) if self.epilogue.residual else _NULL
            f.loop(0, tiles[1], lambda t, _: self._transform_output(f, (tiles[0], t), (panel, bias, y, added), last))

        start = f.mul(f["b0"], self.tile.vectors)
        stop = f.minimum(f.mul(f["b1"], self.tile.vectors), self.output.blocks)
        plain = f.minimum(stop, self.output.blocks - len(self._channel_kinds) + 1)
        f.loop(start, plain, lambda k, _: channels(k, last=False))
        if len(self._channel_kinds) > 1:
            f.loop(f.maximum(start, plain), stop, lambda k, _: channels(k, last=True))

    def _transform_output(
        self, f: Function, tile: tuple[Number, Value], pointers: tuple[Value, Value, Value, Value], last: bool
    ) -> None:
        panel, bias, y, added = pointers
        row, column = self._corner(f, f.add(*tile))
        left = [f.sub(n, place) for n, place in zip(self._computed, (row, column), strict=True)]
        pooled = f.add(f.mul(f.div(row, self.pool), self.output.row), f.mul(f.div(column, self.pool), f.lanes))
        y = f.at(y, pooled)
        if self.epilogue.residual:
            added = f.at(added, f.add(f.mul(row, self._residual.row), f.mul(column, f.lanes)))
        arguments = [f.at(panel, f.mul(tile[1], f.lanes)), bias, y, added, *left]
        if len(self._tile_kinds) == 1:
            f.call(self._output_name(True, last), arguments)
            return
        size = self.tile.outputs
        f.branch(
            f.both(f.compare("sge", left[0], size), f.compare("sge", left[1], size)),
            lambda: f.call(self._output_name(True, last), arguments),
            lambda: f.call(self._output_name(False, last), arguments),
        )


@cache
def _form(outputs: int) -> Winograd:
    return Winograd.of(outputs, 3)
