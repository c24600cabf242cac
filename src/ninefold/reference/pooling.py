"""Max and average pooling: one number for each window, channel by channel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.reference.arrays import as_floats, as_numbers, expect_shape
from ninefold.reference.windows import Windows, windows_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.spec import Padding


def max_pool(
    x: ArrayLike, kernel: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = 0
) -> Array:
    """Take the largest value of each window; padding never wins.

        y[n, c, i] = max over k of  x[n, c, stride * i + k - before]

    Args:
        x: floats (N, C, *size) of 1, 2 or 3 spatial axes.
        kernel: size of the window, >= 1; one integer counts for all axes.
        stride: >= 1; None for the kernel's size, so that windows touch and do not overlap.
        padding: as in `correlate`, below the kernel's size, so that every window meets the input.

    Returns:
        (N, C, *out_size).

    Raises:
        InvalidInput: when x holds no floats.
        InvalidSpec: when no window fits into the input, or one would meet padding only.

    >>> max_pool(np.array([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    array([[[5., 3.]]])
    """
    return _met(*_pooled(x, kernel, stride, padding), -np.inf).max(axis=0)


def max_pool_backward(
    grad: ArrayLike,
    x: ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> Array:
    """Hand each window's gradient to the element that won, the first of them where several are equal.

        dx[n, c, stride * i + k - before] += dy[n, c, i]    where k = argmax over k of  x[n, c, stride * i + k - before]

    Args:
        grad: dy, (N, C, *out_size).
        x: the input of `max_pool`, whose further arguments follow.

    Returns:
        dx, (N, C, *size).

    Raises:
        InvalidSpec: when `grad` does not have the output's shape.

    >>> max_pool_backward(np.array([[[10.0, 20.0]]]), np.array([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    array([[[ 0., 10.,  0., 20.]]])
    """
    x, windows = _pooled(x, kernel, stride, padding)
    winner = _met(x, windows, -np.inf).argmax(axis=0)  # (N, C, *places)
    grad = as_numbers(grad, "grad")
    expect_shape(grad, winner.shape, "grad")
    padded = np.zeros((*x.shape[:2], *windows.padded), grad.dtype)
    for number, (_, at) in enumerate(windows.taps()):
        padded[..., *at] += np.where(winner == number, grad, 0)
    return windows.crop(padded)


def average_pool(
    x: ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Take the mean of each window.

        y[n, c, i] = (sum over k of  x[n, c, stride * i + k - before]) / m[i]

    Args:
        x, kernel, stride, padding: as in `max_pool`.
        count_include_pad: True: m[i] is the kernel's size, and padding counts as zeros, as is the default in torch;
            False: m[i] is the number of window i's elements that are no padding.

    Returns:
        (N, C, *out_size).

    Raises:
        InvalidInput: when x holds no floats.
        InvalidSpec: when no window fits into the input, or one would meet padding only.

    >>> average_pool(np.array([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    array([[[3. , 2.5]]])
    """
    x, windows = _pooled(x, kernel, stride, padding)
    return _met(x, windows, 0).sum(axis=0) / _counts(windows, count_include_pad, x.dtype)


def average_pool_backward(
    grad: ArrayLike,
    x: ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Share each window's gradient equally among its elements.

        dx[n, c, stride * i + k - before] += dy[n, c, i] / m[i]

    Args:
        grad: dy, (N, C, *out_size).
        x: the input of `average_pool`, whose further arguments follow; only its shape and dtype matter.

    Returns:
        dx, (N, C, *size).

    Raises:
        InvalidSpec: when `grad` does not have the output's shape.

    >>> average_pool_backward(np.array([[[10.0, 20.0]]]), np.zeros((1, 1, 4)), 2)
    array([[[ 5.,  5., 10., 10.]]])
    """
    x, windows = _pooled(x, kernel, stride, padding)
    grad = as_numbers(grad, "grad")
    expect_shape(grad, (*x.shape[:2], *windows.places), "grad")
    share = grad / _counts(windows, count_include_pad, grad.dtype)
    padded = np.zeros((*x.shape[:2], *windows.padded), grad.dtype)
    for _, at in windows.taps():
        padded[..., *at] += share
    return windows.crop(padded)


def _pooled(
    x: ArrayLike, kernel: int | Sequence[int], stride: int | Sequence[int] | None, padding: Padding
) -> tuple[Array, Windows]:
    x = as_floats(x, "x")
    windows = windows_over(x.shape, kernel, stride=kernel if stride is None else stride, padding=padding)
    if min(windows.size) < 1 or any(max(pair) >= k for pair, k in zip(windows.padding, windows.kernel, strict=True)):
        raise InvalidSpec(
            f"padding={windows.padding} around an input of {windows.size} leaves a window of {windows.kernel} that "
            "meets padding only; use padding below the kernel's size, and an input that is not empty"
        )
    return x, windows


def _met(
    x: Array, windows: Windows, padding_value: float
) -> Array:  # (N, C, *size) -> (kernel elements, N, C, *places)
    padded = windows.pad(x, padding_value)
    return np.stack([padded[..., *at] for _, at in windows.taps()])


def _counts(windows: Windows, count_include_pad: bool, dtype: np.dtype) -> Array:  # () or (*places)
    if count_include_pad:
        return np.asarray(prod(windows.kernel), dtype)
    return _met(np.ones(windows.size, dtype), windows, 0).sum(axis=0)
