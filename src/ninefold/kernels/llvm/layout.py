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
        border: zeros (above, below, left, right). Fewer than none below: memory for the first rows only, of which a
            kernel then is asked for no others.
        spacing: rows and columns from a pixel to the next one: more than one where these are some pixels of larger
            maps. Only outputs of `Direct` are laid out so.
    """

    channels: int
    height: int
    width: int
    lanes: int
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    spacing: tuple[int, int] = (1, 1)

    @property
    def blocks(self) -> int:
        """Blocks of channels; the last one may be filled up."""
        return -(-self.channels // self.lanes)

    @property
    def pixel(self) -> int:
        """From a pixel to the next one in its row."""
        return self.spacing[1] * self.lanes

    @property
    def row(self) -> int:
        """From a pixel to the one below it."""
        return self.spacing[0] * self._line

    @property
    def block(self) -> int:
        """From a pixel to the same one in the next block of channels."""
        above, below, _, _ = self.border
        return ((self.height - 1) * self.spacing[0] + 1 + above + below) * self._line

    @property
    def size(self) -> int:
        """Numbers of one picture, its border included."""
        return self.blocks * self.block

    @property
    def first(self) -> int:
        """From the start of the buffer to the first pixel that is not border: where kernels count from."""
        above, _, left, _ = self.border
        return above * self._line + left * self.lanes

    @property
    def _line(self) -> int:
        _, _, left, right = self.border
        return ((self.width - 1) * self.spacing[1] + 1 + left + right) * self.lanes

    def every(self, start: tuple[int, int], step: tuple[int, int]) -> Blocked:
        """Give the layout of every step-th row and column from `start` on, in the same memory.

        >>> maps = Blocked(8, 5, 6, lanes=8)
        >>> odd = maps.every((1, 1), (2, 2))
        >>> odd.height, odd.width, odd.first == maps.row + maps.pixel, odd.row == 2 * maps.row, odd.block == maps.block
        (2, 3, True, True, True)
        """
        (above, below, left, right), (top, first), (down, across) = self.border, start, step
        height, width = len(range(top, self.height, down)), len(range(first, self.width, across))
        under = self.height - top - (height - 1) * down - 1
        behind = self.width - first - (width - 1) * across - 1
        border = (above + top, below + under, left + first, right + behind)
        return Blocked(self.channels, height, width, self.lanes, border, step)
