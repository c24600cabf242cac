"""Convolution and its gradients: three sums over the places where a kernel meets an image.

A convolution joins an *image*, over which the kernel slides, and *places*, one value per stop of the kernel. Dense, the
input is the image and the output the places; transposed, the other way round. Between the two, and for both kinds:

    slide      image  -> places   gather: multiply what the kernel meets, and sum
    spread     places -> image    scatter: each place's value times the kernel, added where the kernel stands
    compare    image, places -> kernel    what each kernel element met, times what came of it

Slide and spread are adjoint: <slide(image), places> = <image, spread(places)>. Forward, the gradient for the input and
the gradient for the kernel are these three and nothing else.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidSpec
from ninefold.reference.arrays import as_numbers, expect_shape
from ninefold.reference.windows import Windows
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.spec import Padding


def correlate(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Slide a kernel over an input, unflipped: the "convolution" of every deep learning library.

        y[n, o, i] = b[o] + sum over c, k of  x[n, c, stride * i + dilation * k - before] * w[o, c, k]

    Args:
        x: (N, C, *size) of 1, 2 or 3 spatial axes.
        weight: (O, C / groups, *kernel).
        bias: (O,), or None for none.
        stride: >= 1; one integer counts for all axes.
        padding: "valid", "same", "full", integers or (before, after) pairs: see `ninefold.spec.padding_pairs`.
        dilation: >= 1; one integer counts for all axes.
        groups: >= 1, dividing C and O.

    Returns:
        (N, O, *out_size), computed in the arrays' own dtype.

    Raises:
        InvalidSpec: when the shapes do not meet or the output would be empty.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv 1603.07285.

    >>> image = np.arange(1, 17).reshape(1, 1, 4, 4)
    >>> kernel = np.array([[-1, 0, 1]] * 3).reshape(1, 1, 3, 3)
    >>> correlate(image, kernel)[0, 0]
    array([[6, 6],
           [6, 6]])
    >>> correlate(image, kernel, padding="same")[0, 0]
    array([[  8,   4,   4, -10],
           [ 18,   6,   6, -21],
           [ 30,   6,   6, -33],
           [ 24,   4,   4, -26]])
    """
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    spec = ConvSpec.of(x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return run(x, weight, bias, spec)


def convolve(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Convolve in the sense of mathematics and signal processing: the kernel is flipped along every spatial axis.

        y[n, o, i] = b[o] + sum over c, k of  x[n, c, stride * i + dilation * (K - 1 - k) - before] * w[o, c, k]

    Args and result are those of `correlate`. For an even kernel, "same" puts the odd zero after the input, as
    `correlate` does; `numpy.convolve` puts it before.

    >>> convolve(np.array([[[1, 2, 3]]]), np.array([[[0, 1, 10]]]), padding="full")
    array([[[ 0,  1, 12, 23, 30]]])
    """
    flipped = flip(as_numbers(weight, "weight"))
    return correlate(x, flipped, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_transpose(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Spread each input value over the kernel's places: the adjoint of `correlate`, which makes images larger.

        y[n, o, stride * i + dilation * k - before] += x[n, c, i] * w[c, o, k]

    Args:
        x: (N, C, *size) of 1, 2 or 3 spatial axes.
        weight: (C, O / groups, *kernel).
        bias: (O,), or None for none.
        stride: >= 1; one integer counts for all axes.
        padding: how many outputs to cut off, as in `correlate`.
        output_padding: further outputs at the end, below max(stride, dilation).
        dilation: >= 1; one integer counts for all axes.
        groups: >= 1, dividing C and O.

    Returns:
        (N, O, *out_size), computed in the arrays' own dtype.

    Raises:
        InvalidSpec: when the shapes do not meet or the output would be empty.

    >>> conv_transpose(np.array([[[1, 10]]]), np.array([[[1, 2, 3]]]), stride=2)
    array([[[ 1,  2, 13, 20, 30]]])
    """
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    spec = ConvSpec.of(
        x.shape,
        weight.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        transposed=True,
        output_padding=output_padding,
    )
    return run(x, weight, bias, spec)


def correlate_single(image: ArrayLike, kernel: ArrayLike, padding: Padding = "valid") -> Array:
    """Correlate one channel with one kernel, both bare: the textbook's picture.

        y[i] = sum over k of  image[i + k - before] * kernel[k]

    Args:
        image: (*size) of 1, 2 or 3 axes.
        kernel: (*kernel) with as many axes.
        padding: as in `correlate`.

    Returns:
        (*out_size).

    Raises:
        InvalidSpec: when the axes differ in number or the output would be empty.

    >>> image = np.arange(1, 17).reshape(4, 4)
    >>> correlate_single(image, [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
    array([[6, 6],
           [6, 6]])
    """
    image, kernel = as_numbers(image, "image"), as_numbers(kernel, "kernel")
    if image.ndim != kernel.ndim or image.ndim not in (1, 2, 3):
        raise InvalidSpec(
            f"an image of shape {image.shape} and a kernel of shape {kernel.shape} came; "
            "wanted one channel and one kernel with the same 1, 2 or 3 axes"
        )
    return correlate(image[None, None], kernel[None, None], padding=padding)[0, 0]


def convolve_single(image: ArrayLike, kernel: ArrayLike, padding: Padding = "valid") -> Array:
    """Convolve one channel with one kernel, both bare: `correlate_single` with the kernel flipped.

        y[i] = sum over k of  image[i + (K - 1 - k) - before] * kernel[k]

    Args and result are those of `correlate_single`.

    >>> image = np.arange(1, 17).reshape(4, 4)
    >>> convolve_single(image, [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
    array([[-6, -6],
           [-6, -6]])
    """
    kernel = as_numbers(kernel, "kernel")
    return correlate_single(image, np.flip(kernel), padding)


def flip(weight: Array) -> Array:  # (O, C, *kernel), the same
    """Reverse a weight along every spatial axis: what turns a correlation into a convolution and back."""
    return np.flip(weight, axis=tuple(range(2, weight.ndim)))


def run(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, spec: ConvSpec) -> Array:
    """Compute the convolution that `spec` describes, dense or transposed.

    Args:
        x: `spec.input_shape`.
        weight: `spec.weight_shape`.
        bias: (O,), or None for none.
        spec: says the rest.

    Returns:
        `spec.output_shape`, computed in the arrays' own dtype.

    Raises:
        InvalidSpec: when an array has another shape than `spec` says.
    """
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    expect_shape(x, spec.input_shape, "x")
    expect_shape(weight, spec.weight_shape, "weight")
    y = _spread(x, weight, spec) if spec.transposed else _slide(x, weight, spec)
    if bias is None:
        return y
    bias = as_numbers(bias, "bias")
    expect_shape(bias, (spec.out_channels,), "bias")
    return y + bias.reshape(-1, *(1,) * spec.dims)


def input_gradient(grad: ArrayLike, weight: ArrayLike, spec: ConvSpec) -> Array:
    """Carry the loss's gradient back through a convolution, from its output y to its input x.

        dense        dx[n, c, stride * i + dilation * k - before] += dy[n, o, i] * w[o, c, k]
        transposed   dx[n, c, i] = sum over o, k of  dy[n, o, stride * i + dilation * k - before] * w[c, o, k]

    Args:
        grad: dy, `spec.output_shape`.
        weight: `spec.weight_shape`.
        spec: of the forward convolution.

    Returns:
        dx, `spec.input_shape`.

    Raises:
        InvalidSpec: when an array has another shape than `spec` says.
    """
    grad, weight = as_numbers(grad, "grad"), as_numbers(weight, "weight")
    expect_shape(grad, spec.output_shape, "grad")
    expect_shape(weight, spec.weight_shape, "weight")
    return _slide(grad, weight, spec) if spec.transposed else _spread(grad, weight, spec)


def weight_gradient(x: ArrayLike, grad: ArrayLike, spec: ConvSpec) -> Array:
    """Give the loss's gradient for a convolution's weight: how much each kernel element met of what was wanted.

        dense        dw[o, c, k] = sum over n, i of  x[n, c, stride * i + dilation * k - before] * dy[n, o, i]
        transposed   dw[c, o, k] = sum over n, i of  dy[n, o, stride * i + dilation * k - before] * x[n, c, i]

    Args:
        x: `spec.input_shape`.
        grad: dy, `spec.output_shape`.
        spec: of the forward convolution.

    Returns:
        dw, `spec.weight_shape`.

    Raises:
        InvalidSpec: when an array has another shape than `spec` says.
    """
    x, grad = as_numbers(x, "x"), as_numbers(grad, "grad")
    expect_shape(x, spec.input_shape, "x")
    expect_shape(grad, spec.output_shape, "grad")
    return _compare(grad, x, spec) if spec.transposed else _compare(x, grad, spec)


def bias_gradient(grad: ArrayLike) -> Array:
    """Give the loss's gradient for the bias, which all places of a channel share.

        db[o] = sum over n, i of  dy[n, o, i]

    Args:
        grad: dy, (N, O, *out_size).

    Returns:
        db, (O,).
    """
    grad = as_numbers(grad, "grad")
    return grad.sum(axis=(0, *range(2, grad.ndim)))


# --8<-- [start:slide]
def _slide(image: Array, weight: Array, spec: ConvSpec) -> Array:
    """Gather: (N, B, *image) and (S, B / groups, *kernel) give (N, S, *places)."""
    windows, kernels = Windows.of(spec), _kernels(weight, spec.groups)
    padded = windows.pad(image)  # (N, B, *padded)
    places = np.zeros((spec.batch, weight.shape[0], *windows.places), np.result_type(image, weight))
    total = _grouped(places, spec.groups)  # (N, G, S/G, P), a view
    for k, at in windows.taps():
        met = _grouped(padded[..., *at], spec.groups)  # (N, G, B/G, P)
        total += kernels[..., *k] @ met  # (G, S/G, B/G) @ (N, G, B/G, P)
    return places


# --8<-- [end:slide]


# --8<-- [start:spread]
def _spread(places: Array, weight: Array, spec: ConvSpec) -> Array:
    """Scatter: (N, S, *places) and (S, B / groups, *kernel) give (N, B, *image)."""
    windows, kernels = Windows.of(spec), _kernels(weight, spec.groups)
    channels = weight.shape[1] * spec.groups
    padded = np.zeros((spec.batch, channels, *windows.padded), np.result_type(places, weight))
    values = _grouped(places, spec.groups)  # (N, G, S/G, P)
    for k, at in windows.taps():
        share = kernels[..., *k].swapaxes(1, 2) @ values  # (G, B/G, S/G) @ (N, G, S/G, P)
        padded[..., *at] += share.reshape(spec.batch, channels, *windows.places)
    return windows.crop(padded)


# --8<-- [end:spread]


def _compare(image: Array, places: Array, spec: ConvSpec) -> Array:
    """Correlate: (N, B, *image) and (N, S, *places) give (S, B / groups, *kernel)."""
    windows = Windows.of(spec)
    padded, values = windows.pad(image), _grouped(places, spec.groups)  # (N, B, *padded), (N, G, S/G, P)
    weight = np.empty(spec.weight_shape, np.result_type(image, places))
    kernels = _kernels(weight, spec.groups)  # (G, S/G, B/G, *kernel), a view
    for k, at in windows.taps():
        met = _grouped(padded[..., *at], spec.groups)  # (N, G, B/G, P)
        kernels[..., *k] = (values @ met.swapaxes(2, 3)).sum(axis=0)
    return weight


def _grouped(values: Array, groups: int) -> Array:  # (N, C, *places) -> (N, G, C/G, P)
    batch, channels, *places = values.shape
    return values.reshape(batch, groups, channels // groups, prod(places))


def _kernels(weight: Array, groups: int) -> Array:  # (S, B/G, *kernel) -> (G, S/G, B/G, *kernel)
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
