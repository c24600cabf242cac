"""What the values of a tensor see of the picture, followed from tensor to tensor through a forward pass.

A picture has axes (height and width); a tensor has dimensions. A convolution keeps an axis in its own dimension, a
permutation moves it, flattening puts several axes into one dimension, and a mean or a dense layer uses an axis up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from ninefold.spec import ReceptiveField

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

Window = tuple[int, int, int]  # kernel, stride, dilation


@dataclass(frozen=True, slots=True)
class Sight:
    """Where the picture's axes are in one tensor, and how much of the picture one of its values sees.

    Args:
        field: receptive field, per axis of the picture.
        dims: the tensor's dimension that holds the axis; None once the axis is used up.
        places: how many positions of the axis the tensor holds; 1 once the axis is used up.
        picture: length of the axis in the picture, in pixels.
    """

    field: ReceptiveField
    dims: tuple[int | None, ...]
    places: tuple[int, ...]
    picture: tuple[int, ...]

    @classmethod
    def of_picture(cls, size: Sequence[int]) -> Sight:
        """Give the sight of the picture itself, (N, C, *size)."""
        axes = len(size)
        return cls(ReceptiveField.of_pixel(axes), tuple(range(2, 2 + axes)), tuple(size), tuple(size))

    def through(self, windows: Mapping[int, Window], shape: Sequence[int]) -> Sight:
        """Give the sight after a sliding layer: `windows` by the dimension they slide along, `shape` of its output."""
        per_axis = [windows.get(-1 if d is None else d, (1, 1, 1)) for d in self.dims]
        kernel, stride, dilation = zip(*per_axis, strict=True)
        return self._resized(self.field.through(kernel, stride, dilation), shape)

    def spread(self, windows: Mapping[int, Window], shape: Sequence[int]) -> Sight:
        """Give the sight after a transposed convolution or an enlargement: ceil(extent / stride) inputs per output."""
        per_axis = [windows.get(-1 if d is None else d, (1, 1, 1)) for d in self.dims]
        inputs = [-(-(d * (k - 1) + 1) // s) for k, s, d in per_axis]
        size = tuple(n + (i - 1) * j for n, i, j in zip(self.field.size, inputs, self.field.step, strict=True))
        step = tuple(max(1, j // s) for j, (_, s, _) in zip(self.field.step, per_axis, strict=True))
        return self._resized(ReceptiveField(size, step), shape)

    def used_up(self, dims: Container[int | None], moved: Sequence[int | None] = ()) -> Sight:
        """Give the sight after the axes in `dims` were summed over; the others stay, or go to `moved[dim]`.

        A value then sees what all the places of the axis saw together: size + (places - 1) * step, at most the picture.
        """
        gone = [d in dims for d in self.dims]
        size = tuple(
            max(n, min(n + (p - 1) * j, limit)) if g else n
            for g, n, j, p, limit in zip(gone, self.field.size, self.field.step, self.places, self.picture, strict=True)
        )
        stay = [d if d is None or not moved else moved[d] for d in self.dims]
        return replace(
            self,
            field=ReceptiveField(size, self.field.step),
            dims=tuple(None if g else d for g, d in zip(gone, stay, strict=True)),
            places=tuple(1 if g else p for g, p in zip(gone, self.places, strict=True)),
        )

    def permuted(self, order: Sequence[int]) -> Sight:
        """Give the sight of a tensor whose dimension i was dimension `order[i]`."""
        return replace(self, dims=tuple(None if d is None else order.index(d) for d in self.dims))

    def reshaped(self, old: Sequence[int], new: Sequence[int]) -> Sight:
        """Give the sight of the same values in the same order, under another shape."""
        return replace(self, dims=tuple(None if d is None else _home(d, old, new) for d in self.dims))

    def resized(self, old: Sequence[int], new: Sequence[int]) -> Sight:
        """Give the sight of a padded, cropped or element-wise changed tensor of as many dimensions."""
        places = tuple(
            new[d] if d is not None and old[d] == p else p for d, p in zip(self.dims, self.places, strict=True)
        )
        return replace(self, places=places)

    def joined(self, other: Sight) -> Sight:
        """Give the sight of a sum or concatenation: the larger field, the axes where there are more places."""
        wider = [a >= b for a, b in zip(self.places, other.places, strict=True)]
        return replace(
            self,
            field=self.field.joined(other.field),
            dims=tuple(a if w else b for w, a, b in zip(wider, self.dims, other.dims, strict=True)),
            places=tuple(map(max, self.places, other.places)),
        )

    def _resized(self, field: ReceptiveField, shape: Sequence[int]) -> Sight:
        places = tuple(p if d is None else shape[d] for d, p in zip(self.dims, self.places, strict=True))
        return replace(self, field=field, places=places)


def _home(dim: int, old: Sequence[int], new: Sequence[int]) -> int | None:
    """Give the dimension of `new` that holds dimension `dim` of `old`, or its slowest part."""
    inner, outer = prod(old[dim + 1 :]), prod(old[dim:])
    spans = [(prod(new[i + 1 :]), prod(new[i:])) for i in range(len(new))]
    if (inner, outer) in spans:
        return spans.index((inner, outer))
    return next((i for i, (low, high) in enumerate(spans) if low < outer <= high), None)
