"""Cut the sums of a convolution into blocks whose matrices fit into a stated number of numbers.

Shapes below: N pictures, G groups, S channels of a place and B of the image per group; small letters are a block's part
of them, i its stops of the kernel and k its kernel elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, final

import torch

from ninefold.ops.engines.sides import at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ninefold.ops.engines.sides import Sides

Slices = tuple[slice, ...]


@final
@dataclass(frozen=True, slots=True)
class Block:
    """A part of a convolution: a run of indices along every axis of its sums."""

    sides: Sides
    batch: slice
    stops: tuple[range, ...]
    groups: slice
    place_channels: slice
    image_channels: slice
    taps: tuple[range, ...]

    def weight(self, weight: Tensor) -> Tensor:  # (G, S, B, *kernel) -> (g, s, b k)
        """Take this block's part of the weight as matrices."""
        return _matrices(self._weight(weight))

    def add_weight(self, share: Tensor, weight: Tensor) -> None:  # (g, s, b k), (G, S, B, *kernel)
        """Add `share` to this block's part of the weight."""
        part = self._weight(weight)
        part += share.view(part.shape)

    def places(self, places: Tensor) -> Tensor:  # (N, G, S, *places) -> (g, s, n i)
        """Take this block's part of the places as matrices."""
        return _matrices(self._places(places))

    def add_places(self, share: Tensor, places: Tensor) -> None:  # (g, s, n i), (N, G, S, *places)
        """Add `share` to this block's part of the places."""
        part = self._places(places)
        part += share.view(part.shape)

    def gather(self, image: Tensor) -> Tensor:  # (N, G, B, *image) -> (g, b k, n i)
        """Copy what every stop of the kernel meets: im2col."""
        part = self._image(image)
        columns = part.new_zeros(self._columns_shape(part), dtype=sum_dtype(part))
        for tap, stops, met in self._meetings():
            _tap(columns, tap, stops).copy_(at(part, met))
        return columns.flatten(-1 - len(self.stops)).flatten(1, -2)

    def scatter(self, columns: Tensor, image: Tensor) -> None:  # (g, b k, n i), (N, G, B, *image)
        """Add what every stop of the kernel leaves behind: col2im, the adjoint of `gather`."""
        part = self._image(image)
        columns = columns.view(self._columns_shape(part))
        for tap, stops, met in self._meetings():
            at(part, met).add_(_tap(columns, tap, stops))

    def _weight(self, weight: Tensor) -> Tensor:  # -> (g, s, b, *taps), a view
        return weight[self.groups, self.place_channels, self.image_channels, *map(_as_slice, self.taps)]

    def _places(self, places: Tensor) -> Tensor:  # -> (g, s, n, *stops), a view
        stops = map(_as_slice, self.stops)
        return places[self.batch, self.groups, self.place_channels, *stops].movedim(0, 2)

    def _image(self, image: Tensor) -> Tensor:  # -> (g, b, n, *image), a view
        return image[self.batch, self.groups, self.image_channels].movedim(0, 2)

    def _columns_shape(self, part: Tensor) -> tuple[int, ...]:  # (g, b, *taps, n, *stops)
        groups, channels, batch = part.shape[:3]
        return (groups, channels, *map(len, self.taps), batch, *map(len, self.stops))

    def _meetings(self) -> Iterator[tuple[tuple[int, ...], Slices, Slices]]:
        """Give each kernel element, the stops at which it meets the image, and where in the image, padding left out."""
        for tap in product(*(range(len(axis)) for axis in self.taps)):
            axes = [self._meeting(axis, self.taps[axis][k]) for axis, k in enumerate(tap)]
            stops, met = tuple(stops for stops, _ in axes), tuple(met for _, met in axes)
            if all(run.start < run.stop for run in stops):
                yield tap, stops, met

    def _meeting(self, axis: int, k: int) -> tuple[slice, slice]:
        sides, stops = self.sides, self.stops[axis]
        stride, offset = sides.stride[axis], sides.dilation[axis] * k - sides.before[axis]
        first = max(stops.start, -(offset // stride))
        last = min(stops.stop - 1, (sides.image[axis] - 1 - offset) // stride)
        met = slice(stride * first + offset, stride * last + offset + 1, stride)
        return slice(first - stops.start, last - stops.start + 1), met


def sum_dtype(tensor: Tensor) -> torch.dtype:
    """Give the dtype that sums are made in: float32 for half precision."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _matrices(part: Tensor) -> Tensor:  # (g, s, *rest) -> (g, s, rest)
    return part.to(sum_dtype(part), memory_format=torch.contiguous_format).flatten(2)


def _tap(columns: Tensor, tap: tuple[int, ...], stops: Slices) -> Tensor:  # -> (g, b, n, *stops), a view
    index: tuple[slice | int, ...] = (slice(None), slice(None), *tap)
    return at(columns[index], stops)


def _as_slice(indices: range) -> slice:
    return slice(indices.start, indices.stop)


def blocks(sides: Sides, numbers: int) -> Iterator[Block]:
    """Cut a convolution into blocks whose columns, places and weight together hold at most `numbers` (but at least 3).

    Args:
        sides: the whole convolution.
        numbers: how many numbers a block may hold.
    """
    dims = len(sides.kernel)
    whole = _whole(sides)
    sizes = block_sizes(sides, numbers)
    runs = [[range(i, min(i + size, n)) for i in range(0, n, size)] for n, size in zip(whole, sizes, strict=True)]
    for batch, *rest in product(*runs):
        groups, place_channels, image_channels = map(_as_slice, rest[dims : dims + 3])
        stops, taps = tuple(rest[:dims]), tuple(rest[dims + 3 :])
        yield Block(sides, _as_slice(batch), stops, groups, place_channels, image_channels, taps)


def block_sizes(sides: Sides, numbers: int) -> tuple[int, ...]:
    """Halve the axis that saves most, until a block fits; among equals the first.

    Args:
        sides: the whole convolution.
        numbers: how many numbers a block may hold.

    Returns:
        Lengths along (N, *places, G, S, B, *kernel).
    """
    dims, sizes = len(sides.kernel), _whole(sides)
    while block_numbers(sizes, dims) > numbers and max(sizes) > 1:
        halved = ((*sizes[:i], -(-n // 2), *sizes[i + 1 :]) for i, n in enumerate(sizes) if n > 1)
        sizes = min(halved, key=lambda candidate: block_numbers(candidate, dims))
    return sizes


def block_numbers(sizes: tuple[int, ...], dims: int) -> int:
    """Count the numbers in the columns, places and weight of a block of lengths (N, *places, G, S, B, *kernel)."""
    groups, place_channels, image_channels = sizes[dims + 1 : dims + 4]
    stops, rows = prod(sizes[: dims + 1]), image_channels * prod(sizes[dims + 4 :])
    return groups * (rows * stops + place_channels * stops + place_channels * rows)


def _whole(sides: Sides) -> tuple[int, ...]:
    channels = (sides.groups, sides.place_channels, sides.image_channels)
    return (sides.batch, *sides.places, *channels, *sides.kernel)
