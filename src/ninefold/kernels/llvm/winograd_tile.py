"""How the work of a Winograd convolution is cut: which tiles a processor can hold, and which to try first."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.tile import most_pixels

if TYPE_CHECKING:
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec

FORMS: Final = (2, 3, 4, 5, 6)  # m of F(m, 3); beyond, errors grow faster than products become fewer

_LIGHT: Final = 2**20  # bytes of U that stay in a second cache from one block to the next
_NEAR: Final = (2**18, 2**19, 2**20)  # bytes of V and M beside a light U, the best first
_LEAST: Final = 7  # tiles: fewer leave most sums of a call waiting for the last product
_MANY: Final = (14, 25, 50)  # tiles that go through a heavy U together, the best first
_MOST_ROWS: Final = 14
_LATENCY: Final = 8  # sums that are added to in turn, so that none waits for its last product
_VECTORS: Final = {32: (2, 4), 16: (2, 3)}  # worth trying, by the number of registers

# Measured in products of two numbers, on one core of a server processor with vectors of 16 lanes.
_READING: Final = 10  # a weight from memory
_TRANSFORMING: Final = 2  # a number of V or M, per number that it is computed from along one axis
_WORTH: Final = 0.955  # a form is preferred to the next smaller one, which rounds less, if it is that much cheaper


@dataclass(frozen=True, slots=True)
class WinogradTile:
    """How the work is cut.

    Args:
        outputs: m of F(m, 3), see `FORMS`. Errors grow with it, see `spec.Winograd.growth`.
        block: tiles of m * m outputs that go through the three phases together.
        rows: tiles whose sums are in registers at a time.
        vectors: of output channels whose sums are in registers at a time.
    """

    outputs: int
    block: int
    rows: int
    vectors: int


def forms(spec: ConvSpec) -> list[int]:
    """Give the m of F(m, 3), the one with the smallest estimate first.

    A tile of m * m costs (m + 2)^2 products per pair of channels, so an m that divides the map is good; U grows with
    (m + 2)^2, and a small map does not use it often enough to make up for reading it.

    >>> from ninefold.spec import ConvSpec
    >>> [forms(ConvSpec.of((1, 256, n, n), (256, 256, 3, 3), padding=1))[0] for n in (7, 14, 28, 56, 112)]
    [2, 5, 4, 4, 6]
    """
    return sorted(FORMS, key=lambda outputs: cost(spec, outputs) / _WORTH**outputs)


def cost(spec: ConvSpec, outputs: int) -> float:
    """Estimate a picture by F(m, 3), in products: those there are or the time to read U, and both transforms."""
    frequencies, tiles = (outputs + 2) ** 2, prod(-(-n // outputs) for n in spec.out_size)
    products = max(tiles, _READING) * spec.in_channels * spec.out_channels
    transforms = tiles * (spec.in_channels + spec.out_channels) * _TRANSFORMING * (outputs + 2)
    return frequencies * (products + transforms)


def direct_cost(spec: ConvSpec) -> float:
    """Estimate a picture by the definition, as `cost` does."""
    return max(prod(spec.out_size), _READING) * prod(spec.kernel) * spec.in_channels * spec.out_channels


def candidates(spec: ConvSpec, target: Target, outputs: int) -> list[WinogradTile]:
    """Give the cuts of the work that are worth timing, the most promising first.

    V and M of a block should stay in a near cache. A U that does not stay there passes through once per block, which
    then must be large enough to hide that.

    Args:
        spec: the convolution.
        target: the processor.
        outputs: m.
    """
    frequencies = (outputs + 2) ** 2
    channels = [-(-c // target.lanes) * target.lanes for c in (spec.in_channels, spec.out_channels)]
    count = prod(-(-n // outputs) for n in spec.out_size)
    per_tile, weights = 4 * frequencies * sum(channels), 4 * frequencies * prod(channels)
    wanted = [max(_LEAST, size // per_tile) for size in _NEAR] if weights <= _LIGHT else _MANY
    blocks = [-(-count // -(-count // most)) for most in wanted]
    few, more = (min(v, channels[1] // target.lanes) for v in _VECTORS[target.registers])
    cuts = [(blocks[0], few), (blocks[1], few), (blocks[0], more), (blocks[2], few), (blocks[1], more)]
    return list(dict.fromkeys(_fitting(outputs, block, v, target) for block, v in cuts))


def default_tile(spec: ConvSpec, target: Target, outputs: int) -> WinogradTile:
    """Give the first of `candidates`.

    >>> from ninefold.kernels.llvm.target import Target
    >>> from ninefold.spec import ConvSpec
    >>> wide = Target("skylake-avx512", "", lanes=16, registers=32, has_fma=True)
    >>> default_tile(ConvSpec.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1), wide, outputs=4)
    WinogradTile(outputs=4, block=14, rows=14, vectors=2)
    """
    return candidates(spec, target, outputs)[0]


def _fitting(outputs: int, block: int, vectors: int, target: Target) -> WinogradTile:
    rows = min(block, most_pixels(vectors, target), _MOST_ROWS)
    rest = block % rows
    if rest and rest * vectors < _LATENCY:
        # Calls of nearly equal height: 25 tiles as 5 times 5 rather than 4 times 6 and one that waits for itself.
        rows = -(-block // -(-block // rows))
    return WinogradTile(outputs, block, rows, vectors)
