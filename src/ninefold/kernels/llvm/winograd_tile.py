"""How the work of a Winograd convolution is cut: which tiles a processor can hold, and which to try first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.tile import most_pixels

if TYPE_CHECKING:
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec

_NEAR: Final = 2**19  # bytes of V and M that stay in a second cache of a megabyte while U passes through
_MOST_ROWS: Final = 14
_LATENCY: Final = 8  # sums that are added to in turn, so that none waits for its last product
_VECTORS: Final = {32: (4, 2), 16: (2, 3)}  # worth trying, by the number of registers


@dataclass(frozen=True, slots=True)
class WinogradTile:
    """How the work is cut.

    Args:
        outputs: m of F(m, 3): 2, 3, 4 or 6 are worth trying. Errors grow with it, see `spec.Winograd.growth`.
        block: tiles of m * m outputs that go through the three phases together.
        rows: tiles whose sums are in registers at a time.
        vectors: of output channels whose sums are in registers at a time.
    """

    outputs: int
    block: int
    rows: int
    vectors: int


def candidates(spec: ConvSpec, target: Target, outputs: int) -> list[WinogradTile]:
    """Give the cuts of the work that are worth timing, the most promising first.

    V and M of a block should stay in a near cache. U passes through once per block, so the more it weighs, the fewer
    and larger the blocks should be.

    Args:
        spec: the convolution.
        target: the processor.
        outputs: m.
    """
    frequencies = (outputs + 2) ** 2
    channels = [-(-c // target.lanes) * target.lanes for c in (spec.in_channels, spec.out_channels)]
    count = (-(-spec.out_size[0] // outputs)) * (-(-spec.out_size[1] // outputs))
    per_tile, weights = 4 * frequencies * sum(channels), 4 * frequencies * channels[0] * channels[1]
    sizes = [_NEAR // 2, _NEAR, 2 * _NEAR] if weights <= 2 * _NEAR else [2 * _NEAR, _NEAR, 4 * _NEAR]
    blocks = (-(-count // max(1, round(count * per_tile / size))) for size in sizes)
    vectors = [min(v, channels[1] // target.lanes) for v in _VECTORS[target.registers]]
    return list(dict.fromkeys(_fitting(outputs, block, v, target) for block in blocks for v in vectors))


def default_tile(spec: ConvSpec, target: Target, outputs: int) -> WinogradTile:
    """Give the first of `candidates`.

    >>> from ninefold.kernels.llvm.target import Target
    >>> from ninefold.spec import ConvSpec
    >>> wide = Target("skylake-avx512", "", lanes=16, registers=32, has_fma=True)
    >>> default_tile(ConvSpec.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1), wide, outputs=4)
    WinogradTile(outputs=4, block=14, rows=6, vectors=4)
    """
    return candidates(spec, target, outputs)[0]


def _fitting(outputs: int, block: int, vectors: int, target: Target) -> WinogradTile:
    rows = min(block, most_pixels(vectors, target), _MOST_ROWS)
    rest = block % rows
    if rest and rest * vectors < _LATENCY:
        # Calls of nearly equal height: 25 tiles as 5 times 5 rather than 4 times 6 and one that waits for itself.
        rows = -(-block // -(-block // rows))
    return WinogradTile(outputs, block, rows, vectors)
