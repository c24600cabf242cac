"""The two gradients of a convolution, written as convolutions: what the pages on the backward pass derive.

`conv.input_gradient` and `conv.weight_gradient` compute the same numbers from the sums themselves; a test holds the two
forms to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.reference.arrays import as_numbers, expect_shape
from ninefold.reference.conv import correlate, flip
from ninefold.reference.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.spec import Axes, ConvSpec


# --8<-- [start:input_gradient]
def input_gradient_by_full_convolution(grad: ArrayLike, weight: ArrayLike, spec: ConvSpec) -> Array:
    """Give the gradient for the input as a full convolution of the output's error with the flipped kernel.

    At stride 1 without padding, with the kernel's input and output channels exchanged:

        dx = correlate(dy, flip(w), padding="full")

    A stride s > 1 skipped s - 1 places between two outputs: zeros stand for them in dy. What the stride left over at
    the end of the input met no kernel and gets zeros too. Padding was no input: its share is cut off.

    Args:
        grad: dy, `spec.output_shape`.
        weight: `spec.weight_shape`.
        spec: of the forward convolution, dense.

    Returns:
        dx, `spec.input_shape`.

    Raises:
        InvalidSpec: when `spec` is transposed, or an array has another shape than it says.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv 1603.07285, section 4.
    """
    _expect_dense(spec)
    grad, weight = as_numbers(grad, "grad"), as_numbers(weight, "weight")
    expect_shape(grad, spec.output_shape, "grad")
    expect_shape(weight, spec.weight_shape, "weight")
    left_over = spec.input_gradient().output_padding
    full = [(e - 1, e - 1 + extra) for e, extra in zip(spec.extent, left_over, strict=True)]
    error = insert_zeros(grad, spec.stride)
    kernel = flip(_exchange_channels(weight, spec.groups))
    padded = correlate(error, kernel, padding=full, dilation=spec.dilation, groups=spec.groups)
    return Windows.of(spec).crop(padded)


# --8<-- [end:input_gradient]


# --8<-- [start:weight_gradient]
def weight_gradient_by_valid_correlation(x: ArrayLike, grad: ArrayLike, spec: ConvSpec) -> Array:
    """Give the gradient for the kernel as a valid correlation of the padded input with the output's error.

    The sum runs over pictures and places, so pictures take the part of channels, and channels that of pictures; the
    error is the kernel. At stride 1:

        dw = correlate(x, dy)

    A stride becomes the dilation of the error and a dilation the stride: both exchange place and kernel element.

    Args:
        x: `spec.input_shape`, of at least one picture.
        grad: dy, `spec.output_shape`.
        spec: of the forward convolution, dense.

    Returns:
        dw, `spec.weight_shape`.

    Raises:
        InvalidSpec: when `spec` is transposed, or an array has another shape than it says.
    """
    _expect_dense(spec)
    x, grad = as_numbers(x, "x"), as_numbers(grad, "grad")
    expect_shape(x, spec.input_shape, "x")
    expect_shape(grad, spec.output_shape, "grad")
    kernel_only = tuple(slice(k) for k in spec.kernel)  # a remainder of the stride shows as further kernel elements
    runs = []
    for image, error in zip(np.split(x, spec.groups, axis=1), np.split(grad, spec.groups, axis=1), strict=True):
        pictures, errors = image.swapaxes(0, 1), error.swapaxes(0, 1)  # (C/G, N, *size), (O/G, N, *out_size)
        run = correlate(pictures, errors, stride=spec.dilation, padding=spec.padding, dilation=spec.stride)
        runs.append(run[..., *kernel_only].swapaxes(0, 1))  # (O/G, C/G, *kernel)
    return np.concatenate(runs)


# --8<-- [end:weight_gradient]


def insert_zeros(values: Array, stride: Axes) -> Array:
    """Put stride - 1 zeros between neighbours along every spatial axis.

    Args:
        values: (N, C, *size), no size 0.
        stride: >= 1, one per axis.

    Returns:
        (N, C, *(stride * (size - 1) + 1)).

    >>> insert_zeros(np.array([[[1, 2, 3]]]), (2,))
    array([[[1, 0, 2, 0, 3]]])
    """
    sizes = (s * (n - 1) + 1 for n, s in zip(values.shape[2:], stride, strict=True))
    spaced = np.zeros((*values.shape[:2], *sizes), values.dtype)
    spaced[..., *(slice(None, None, s) for s in stride)] = values
    return spaced


def _exchange_channels(weight: Array, groups: int) -> Array:  # (O, C/G, *kernel) -> (C, O/G, *kernel)
    runs = np.split(weight, groups)
    return np.concatenate([run.swapaxes(0, 1) for run in runs])


def _expect_dense(spec: ConvSpec) -> None:
    if spec.transposed:
        raise InvalidSpec(
            "a transposed spec came where a dense one was wanted; take its input_gradient(), which is dense"
        )
