"""The dense layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.errors import InvalidSpec
from ninefold.reference.arrays import as_numbers, expect_shape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array


def dense(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Multiply by a matrix and add a bias.

        y[n, o] = b[o] + sum over c of  x[n, c] * w[o, c]

    Args:
        x: (N, C).
        weight: (O, C), one row per output, as in `torch.nn.functional.linear`.
        bias: (O,), or None for none.

    Returns:
        (N, O).

    Raises:
        InvalidSpec: when the shapes do not meet.

    >>> import numpy as np
    >>> dense(np.array([[1, 2]]), np.array([[1, 0], [0, 1], [1, 1]]), np.array([0, 0, 10]))
    array([[ 1,  2, 13]])
    """
    x, weight = _meeting(x, weight)
    y = x @ weight.T
    if bias is None:
        return y
    bias = as_numbers(bias, "bias")
    expect_shape(bias, weight.shape[:1], "bias")
    return y + bias


def dense_backward(grad: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[Array, Array, Array]:
    """Carry the loss's gradient back through `dense`.

        dx = dy @ w        dw = dy.T @ x        db[o] = sum over n of dy[n, o]

    Args:
        grad: dy, (N, O).
        x: (N, C), the input of `dense`.
        weight: (O, C).

    Returns:
        dx (N, C), dw (O, C), db (O,).

    Raises:
        InvalidSpec: when the shapes do not meet.
    """
    x, weight = _meeting(x, weight)
    grad = as_numbers(grad, "grad")
    expect_shape(grad, (x.shape[0], weight.shape[0]), "grad")
    return grad @ weight, grad.T @ x, grad.sum(axis=0)


def _meeting(x: ArrayLike, weight: ArrayLike) -> tuple[Array, Array]:
    x, weight = as_numbers(x, "x"), as_numbers(weight, "weight")
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise InvalidSpec(
            f"an input of shape {x.shape} does not meet a dense weight of shape {weight.shape}; "
            "wanted (N, C) and (O, C) with the same C"
        )
    return x, weight
