"""How much of the output is computed at once in registers: which tiles a processor can hold, and which to prefer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec

_ROWS: Final = (1, 2, 3, 4, 7)
_MOST_VECTORS: Final = 8
_NEAR: Final = 1 << 16  # numbers that stay in the second cache, of half a megabyte and more, beside other things
_FAR: Final = 1 << 20  # numbers that the third cache may not hold for this map alone
LATENCY: Final = 10  # products that must be on their way to keep two units of five cycles busy
_TRIED: Final = 6


@dataclass(frozen=True, slots=True)
class Tile:
    """Pixels and vectors of output channels whose sums stay in registers.

    Args:
        rows: of output pixels.
        columns: of output pixels. A pointwise convolution whose maps have no border between their rows takes
            `rows * columns` pixels in a run instead.
        vectors: of output channels.
        band: tiles along the rows after which the next output channels are computed; 0 for all of them. A band of
            the input stays in a near cache while all weights pass.
    """

    rows: int
    columns: int
    vectors: int
    band: int = 0

    @property
    def pixels(self) -> int:
        """Pixels of the tile."""
        return self.rows * self.columns


def most_pixels(vectors: int, target: Target) -> int:
    """Give how many pixels fit the registers beside the weights and one spread input number.

    One pixel uses each weight once, straight from memory. With one vector the weights of several taps are in flight.
    Without a fused multiply-add half of the registers hold products on their way.
    """
    others = vectors + (3 if vectors == 1 else 1)
    sums = target.registers - others if target.has_fma else target.registers // 2
    return max(1, sums // vectors)


def pointwise(spec: ConvSpec) -> bool:
    """Whether every output pixel sees the one input pixel at its place."""
    return set(spec.kernel + spec.stride) == {1} and not any(sum(pair) for pair in spec.padding)


def default_tile(spec: ConvSpec, target: Target) -> Tile:
    """Give the tile with the smallest estimate of cycles.

    >>> from ninefold.kernels.llvm.target import Target
    >>> from ninefold.spec import ConvSpec
    >>> wide = Target("skylake-avx512", "", lanes=16, registers=32, has_fma=True)
    >>> default_tile(ConvSpec.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1), wide)
    Tile(rows=1, columns=14, vectors=2, band=0)
    """
    return candidates(spec, target)[0]


def candidates(spec: ConvSpec, target: Target) -> list[Tile]:
    """Give the tiles worth timing, the one with the smallest estimate first."""
    tiles = sorted(dict.fromkeys(_tiles(spec, target)), key=lambda tile: (_cycles(tile, spec, target), -tile.vectors))
    return [Tile(t.rows, t.columns, t.vectors, _band(t, spec, target)) for t in tiles[:_TRIED]]


def _size(spec: ConvSpec) -> tuple[int, int]:
    return (1, prod(spec.out_size)) if pointwise(spec) else (spec.out_size[0], spec.out_size[1])


def _tiles(spec: ConvSpec, target: Target) -> Iterator[Tile]:
    height, width = _size(spec)
    blocks = -(-spec.out_channels // spec.groups // target.lanes)
    for vectors in range(1, min(blocks, _MOST_VECTORS) + 1):
        most = most_pixels(vectors, target)
        for rows in (r for r in _ROWS if r <= min(height, most)):
            widest = min(width, most // rows)
            even = -(-width // -(-width // widest))  # as many tiles in a row, but of equal width
            yield Tile(rows, widest, vectors)
            yield Tile(rows, even, vectors)


def _cycles(tile: Tile, spec: ConvSpec, target: Target) -> float:
    """Estimate one picture: per tap a tile costs its products, its loads or the latency of adding, what is most."""
    height, width = _size(spec)
    blocks = -(-spec.out_channels // spec.groups // target.lanes)
    taps = prod(spec.weight_shape[1:])
    total = 0.0
    for rows, down in pieces(height, tile.rows):
        for columns, across in pieces(width, tile.columns):
            for vectors, panels in pieces(blocks, tile.vectors):
                products = rows * columns * vectors
                per_tap = max(products, rows * columns + vectors, LATENCY)
                total += down * across * panels * (taps * per_tap + 4 * products + 40)
    return total


def _band(tile: Tile, spec: ConvSpec, target: Target) -> int:
    """Give the band that moves the fewest numbers: the input once per panel, or the weights once per band."""
    inputs = prod(spec.in_size) * spec.in_channels // spec.groups
    weights = prod(spec.weight_shape) // spec.groups
    panels = -(-spec.out_channels // spec.groups // (target.lanes * tile.vectors))
    if inputs <= _FAR or panels == 1:
        return 0
    bands = -(-inputs // _NEAR)
    if inputs + bands * weights >= panels * inputs + weights:
        return 0
    height, width = _size(spec)
    units = -(-width // tile.pixels) if pointwise(spec) else -(-height // tile.rows)
    return max(1, units // bands)


def pieces(length: int, step: int) -> list[tuple[int, int]]:
    """Cut a length into equal steps and a rest: (size, how many), each at least once.

    >>> pieces(14, 4), pieces(8, 4), pieces(3, 4)
    ([(4, 3), (2, 1)], [(4, 2)], [(3, 1)])
    """
    return [(size, count) for size, count in ((step, length // step), (length % step, 1)) if size and count]
