"""The definition of convolution, written as loops: slow, literal, and what the rest of this room is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold.reference.arrays import as_numbers
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.spec import Padding


# --8<-- [start:correlate_loops]
def correlate_loops(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Compute `correlate` one product at a time, skipping the products with padding.

        y[n, o, i] = sum over c, k of  x[n, c, stride * i + dilation * k - before] * w[o, c, k]

    Args and result are those of `correlate`.

    >>> correlate_loops(np.array([[[1, 2, 3]]]), np.array([[[10, 1]]]))
    array([[[12, 23]]])
    """
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    spec = ConvSpec.of(x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
    y = np.zeros(spec.output_shape, np.result_type(x, weight))
    for n, o, *place in np.ndindex(y.shape):
        first_channel = o // (spec.out_channels // groups) * weight.shape[1]  # of the group that o belongs to
        for c, *k in np.ndindex(weight.shape[1:]):
            axes = zip(place, k, spec.stride, spec.dilation, spec.padding, strict=True)
            at = tuple(s * i + d * j - before for i, j, s, d, (before, _) in axes)
            if all(0 <= a < size for a, size in zip(at, spec.in_size, strict=True)):
                y[n, o, *place] += weight[o, c, *k] * x[n, first_channel + c, *at]
    return y


# --8<-- [end:correlate_loops]
