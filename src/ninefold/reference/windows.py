"""Where a sliding window stands: the one piece of geometry that convolution, im2col and pooling share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.spec import Axes, ConvSpec, Padding, Pairs, per_axis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ninefold.reference.arrays import Array


# --8<-- [start:windows]
@dataclass(frozen=True, slots=True)
class Windows:
    """A kernel that slides over an image of 1, 2 or 3 axes and stops at `places`.

    At place i, kernel element k meets the element stride * i + dilation * k of the padded image.

    Args:
        size: the image without its padding, in elements per axis.
        places: how often the kernel stops, per axis.
        kernel, stride, padding, dilation: as in `ConvSpec`.
    """

    size: Axes
    places: Axes
    kernel: Axes
    stride: Axes
    padding: Pairs
    dilation: Axes

    @classmethod
    def of(cls, spec: ConvSpec) -> Windows:
        """Give the windows of a convolution: over its input, or, where it is transposed, over its output."""
        size, places = spec.in_size, spec.out_size
        if spec.transposed:
            size, places = places, size
        return cls(size, places, spec.kernel, spec.stride, spec.padding, spec.dilation)

    def taps(self) -> Iterator[tuple[Axes, tuple[slice, ...]]]:
        """Give each kernel element k with the slices of the padded image that it meets, one value per place."""
        for k in np.ndindex(self.kernel):
            axes = zip(k, self.places, self.stride, self.dilation, strict=True)
            yield k, tuple(slice(d * i, d * i + s * n, s) for i, n, s, d in axes)

    def pad(self, image: Array, value: float = 0) -> Array:  # (..., *size) -> (..., *padded)
        """Put `value` around the image."""
        untouched = [(0, 0)] * (image.ndim - len(self.size))
        return np.pad(image, [*untouched, *self.padding], constant_values=value)

    def crop(self, padded: Array) -> Array:  # (..., *padded) -> (..., *size)
        """Take the padding off again."""
        axes = zip(self.padding, self.size, strict=True)
        return padded[..., *(slice(before, before + n) for (before, _), n in axes)]

    @property
    def padded(self) -> Axes:
        """Size of the image with its padding."""
        return tuple(n + before + after for n, (before, after) in zip(self.size, self.padding, strict=True))


# --8<-- [end:windows]


def windows_over(
    x_shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Windows:
    """Describe windows over an input of shape (N, C, *size), where no weight is there to say their size.

    Raises:
        InvalidSpec: when the input has no 1, 2 or 3 spatial axes, or no window fits into it.
    """
    dims = len(x_shape) - 2
    if dims not in (1, 2, 3):
        raise InvalidSpec(f"an input of shape {tuple(x_shape)} came; wanted (N, C, *size) with 1, 2 or 3 spatial axes")
    weight_shape = (x_shape[1], 1, *per_axis(kernel, dims, "kernel"))
    spec = ConvSpec.of(x_shape, weight_shape, stride=stride, padding=padding, dilation=dilation, groups=x_shape[1])
    return Windows.of(spec)
