"""A convolution seen without direction: an image, over which a kernel slides, and the places where it stops.

Dense, x is the image and y the places; transposed, the other way round. The weight has one layout for both. Three sums
join the three, and an engine that can do them needs no further code for any gradient:

    slide     places[s, i] = sum over b, k of  image[b, at(i, k)] * weight[s, b, k]     dense forward
    spread    image[b, at(i, k)] += places[s, i] * weight[s, b, k]                      transposed forward
    compare   weight[s, b, k] = sum over i of  image[b, at(i, k)] * places[s, i]        gradient for the weight

with at(i, k) = stride * i + dilation * k - before, what falls outside the image counting as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import EllipsisType

    from torch import Tensor

    from ninefold.spec import Axes, ConvSpec


@final
@dataclass(frozen=True, slots=True)
class Sides:
    """The sizes of image, places and weight.

    Args:
        batch: pictures.
        groups: runs of channels that do not see each other.
        image_channels: of the image, per group.
        place_channels: of the places, per group.
        image: spatial size of the image, per axis.
        places: stops of the kernel, per axis.
        kernel: per axis.
        stride: per axis.
        dilation: per axis.
        before: zeros in front of the image, per axis.
    """

    batch: int
    groups: int
    image_channels: int
    place_channels: int
    image: Axes
    places: Axes
    kernel: Axes
    stride: Axes
    dilation: Axes
    before: Axes

    @classmethod
    def of(cls, spec: ConvSpec) -> Sides:
        """Read the sizes from a spec.

        >>> from ninefold.spec import ConvSpec
        >>> spec = ConvSpec.of((1, 4, 8), (6, 4, 3), stride=2)
        >>> Sides.of(spec).places, Sides.of(spec.input_gradient()).places
        ((3,), (3,))
        """
        image = (spec.in_channels, spec.in_size)
        places = (spec.out_channels, spec.out_size)
        if spec.transposed:
            image, places = places, image
        return cls(
            batch=spec.batch,
            groups=spec.groups,
            image_channels=image[0] // spec.groups,
            place_channels=places[0] // spec.groups,
            image=image[1],
            places=places[1],
            kernel=spec.kernel,
            stride=spec.stride,
            dilation=spec.dilation,
            before=tuple(before for before, _ in spec.padding),
        )

    @property
    def span(self) -> Axes:
        """Elements from the first met to the last, per axis: stride * (places - 1) + dilation * (kernel - 1) + 1."""
        axes = zip(self.stride, self.places, self.dilation, self.kernel, strict=True)
        return tuple(s * (p - 1) + d * (k - 1) + 1 for s, p, d, k in axes)

    def grouped(self, side: Tensor) -> Tensor:  # (N, G * C, *size) -> (N, G, C, *size)
        """Show the groups of an image or of places as an axis."""
        return side.view(side.shape[0], self.groups, -1, *side.shape[2:])

    def grouped_weight(self, weight: Tensor) -> Tensor:  # (G * S, B, *kernel) -> (G, S, B, *kernel)
        """Show the groups of a weight as an axis."""
        return weight.view(self.groups, -1, *weight.shape[1:])


def at(tensor: Tensor, slices: Iterable[slice]) -> Tensor:
    """Take slices of the last axes, as a view."""
    index: tuple[EllipsisType | slice, ...] = (..., *slices)
    return tensor[index]
