"""im2col: lay every window out as a column, so that convolution becomes one matrix product; and its adjoint, col2im.

Rows are ordered by channel, then kernel element; columns by place: both row-major, as in `torch.nn.functional.unfold`.
A kernel of k elements repeats each input element up to k times: the price of the single product is that memory.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.reference.arrays import as_numbers, expect_shape
from ninefold.reference.windows import windows_over
from ninefold.spec import ConvSpec, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.spec import Padding


# --8<-- [start:im2col]
def im2col(
    x: ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Copy what a kernel meets at each of its places into one column per place.

        columns[n, (c, k), i] = x[n, c, stride * i + dilation * k - before]

    Args:
        x: (N, C, *size) of 1, 2 or 3 spatial axes.
        kernel: spatial size of the kernel, >= 1; one integer counts for all axes.
        stride, padding, dilation: as in `correlate`.

    Returns:
        (N, C * kernel elements, places).

    Raises:
        InvalidSpec: when no window fits into the input.

    Source: K. Chellapilla, S. Puri, P. Simard, "High Performance Convolutional Neural Networks for Document
    Processing", IWFHR 2006, section 3; there a window is a row, here it is a column.

    One channel: a 2x2 kernel stops at four places of a 3x3 image, and each column is one 2x2 window.

    >>> image = np.arange(9).reshape(1, 1, 3, 3)
    >>> im2col(image, 2)[0]
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])

    Several channels: their rows stand below each other.

    >>> im2col(np.array([[[1, 2, 3], [10, 20, 30]]]), 2)[0]
    array([[ 1,  2],
           [ 2,  3],
           [10, 20],
           [20, 30]])

    A batch: one matrix per picture.

    >>> im2col(np.zeros((5, 3, 8, 8)), 3, stride=2, padding=1).shape
    (5, 27, 16)
    """
    x = as_numbers(x, "x")
    windows = windows_over(x.shape, kernel, stride=stride, padding=padding, dilation=dilation)
    batch, channels = x.shape[:2]
    padded = windows.pad(x)
    columns = np.empty((batch, channels, *windows.kernel, *windows.places), x.dtype)
    for k, at in windows.taps():
        columns[:, :, *k] = padded[..., *at]
    return columns.reshape(batch, channels * prod(windows.kernel), prod(windows.places))


# --8<-- [end:im2col]


# --8<-- [start:col2im]
def col2im(
    columns: ArrayLike,
    size: Sequence[int],
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Add every column back to where `im2col` took it from: the adjoint of `im2col`, not its inverse.

        x[n, c, stride * i + dilation * k - before] += columns[n, (c, k), i]

    An element that lies in m windows comes back m times as large.

    Args:
        columns: (N, C * kernel elements, places).
        size: spatial size of the image, in elements per axis.
        kernel, stride, padding, dilation: as in `im2col`.

    Returns:
        (N, C, *size).

    Raises:
        InvalidSpec: when the columns do not belong to an image of this size.

    >>> image = np.array([[[1, 2, 3, 4]]])
    >>> col2im(im2col(image, 2), (4,), 2)
    array([[[1, 4, 6, 4]]])
    """
    columns = as_numbers(columns, "columns")
    if columns.ndim != 3:
        raise InvalidSpec(f"columns of shape {columns.shape} came; wanted (N, C * kernel elements, places)")
    elements = max(1, prod(per_axis(kernel, len(size), "kernel")))  # a kernel of 0 is refused below, with its sentence
    batch, channels = columns.shape[0], columns.shape[1] // elements
    windows = windows_over((batch, channels, *size), kernel, stride=stride, padding=padding, dilation=dilation)
    expect_shape(columns, (batch, channels * elements, prod(windows.places)), "columns")
    spread = columns.reshape(batch, channels, *windows.kernel, *windows.places)
    padded = np.zeros((batch, channels, *windows.padded), columns.dtype)
    for k, at in windows.taps():
        padded[..., *at] += spread[:, :, *k]
    return windows.crop(padded)


# --8<-- [end:col2im]


# --8<-- [start:correlate_by_columns]
def correlate_by_columns(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Compute `correlate` as one matrix product per picture: kernels as rows times windows as columns.

        y[n] = W @ im2col(x)[n],    W = w reshaped to (O, C * kernel elements)

    Args and result are those of `correlate`, without groups.

    Several kernels: each is one row of W, and gives one row of the result.

    >>> image = np.arange(9).reshape(1, 1, 3, 3)
    >>> kernels = np.array([[[[1, 0], [0, 0]]], [[[1, 1], [1, 1]]]])
    >>> correlate_by_columns(image, kernels)[0]
    array([[[ 0,  1],
            [ 3,  4]],
    <BLANKLINE>
           [[ 8, 12],
            [20, 24]]])
    """
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    spec = ConvSpec.of(x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation)
    columns = im2col(x, spec.kernel, stride=spec.stride, padding=spec.padding, dilation=spec.dilation)
    rows = weight.reshape(spec.out_channels, -1)  # (O, C * kernel elements)
    return (rows @ columns).reshape(spec.output_shape)


# --8<-- [end:correlate_by_columns]
