"""How feature maps lie in memory: channels in blocks as wide as a vector register."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blocked:
    """One picture's feature maps, [block][row][column][lane], with a border of zeros around every map.

    A block holds `lanes` neighbouring channels of one pixel side by side: one aligned vector. Channels that fill up the
    last block are zeros, and stay so. All strides count float32 numbers.

    Args:
        channels: >= 1.
        height: rows of a map without its border, >= 1.
        width: columns of a map without its border, >= 1.
        lanes: channels per block.
        border: zeros (above, below, left, right).
    """

    channels: int
    height: int
    width: int
    lanes: int
    border: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def blocks(self) -> int:
        """Blocks of channels; the last one may be filled up."""
        return -(-self.channels // self.lanes)

    @property
    def row(self) -> int:
        """From a pixel to the one below it."""
        _, _, left, right = self.border
        return (self.width + left + right) * self.lanes

    @property
    def block(self) -> int:
        """From a pixel to the same one in the next block of channels."""
        above, below, _, _ = self.border
        return (self.height + above + below) * self.row

    @property
    def size(self) -> int:
        """Numbers of one picture, its border included."""
        return self.blocks * self.block

    @property
    def first(self) -> int:
        """From the start of the buffer to the first pixel that is not border: where kernels count from."""
        above, _, left, _ = self.border
        return above * self.row + left * self.lanes
