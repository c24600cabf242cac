"""Activations: ReLU, leaky ReLU, sigmoid, tanh, softmax.

Every forward takes floats x of any shape, and every backward the output's gradient dy and the same x.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold.reference.arrays import as_floats

if TYPE_CHECKING:
    from ninefold.reference.arrays import Array


# --8<-- [start:relu]
def relu(x: Array) -> Array:
    """Cut negative values to zero: y = max(x, 0).

    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


def relu_backward(grad: Array, x: Array) -> Array:
    """Let the gradient pass where x was positive: dx = dy where x > 0, else 0; the corner x = 0 counts as 0.

    >>> relu_backward(np.array([5.0, 5.0, 5.0]), np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 5.])
    """
    return np.where(x > 0, grad, 0)


# --8<-- [end:relu]


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Shrink negative values instead of cutting them: y = x where x > 0, else slope * x.

    >>> leaky_relu(np.array([-2.0, 3.0]), slope=0.5)
    array([-1.,  3.])
    """
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(grad: Array, x: Array, slope: float = 0.01) -> Array:
    """Carry the gradient back through `leaky_relu`: dx = dy where x > 0, else slope * dy.

    >>> leaky_relu_backward(np.array([4.0, 4.0]), np.array([-2.0, 3.0]), slope=0.5)
    array([2., 4.])
    """
    return np.where(x > 0, grad, slope * grad)


def sigmoid(x: Array) -> Array:
    """Squeeze every number into (0, 1): y = 1 / (1 + exp(-x)).

    For negative x it computes the equal exp(x) / (1 + exp(x)): the exponent is never positive, so nothing overflows.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = as_floats(x, "x")
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def sigmoid_backward(grad: Array, x: Array) -> Array:
    """Carry the gradient back through `sigmoid`: dx = dy * y * (1 - y).

    1 - y is computed as sigmoid(-x), which keeps its digits where y is close to 1.

    >>> sigmoid_backward(np.array([4.0]), np.array([0.0]))
    array([1.])
    """
    return grad * sigmoid(x) * sigmoid(-x)


def tanh(x: Array) -> Array:
    """Squeeze every number into (-1, 1): y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(x)


def tanh_backward(grad: Array, x: Array) -> Array:
    """Carry the gradient back through `tanh`: dx = dy * (1 - y^2).

    >>> tanh_backward(np.array([4.0]), np.array([0.0]))
    array([4.])
    """
    return grad * (1 - np.tanh(x) ** 2)


def softmax(x: Array, axis: int = -1) -> Array:
    """Turn logits into probabilities: y[i] = exp(x[i]) / sum over j of exp(x[j]).

    Subtracting the largest logit from all of them cancels in the quotient and keeps exp from overflowing.

    >>> softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x = as_floats(x, "x")
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def softmax_backward(grad: Array, x: Array, axis: int = -1) -> Array:
    """Carry the gradient back through `softmax`: dx[i] = y[i] * (dy[i] - sum over j of dy[j] * y[j]).

    It follows from dy[j]/dx[i] = y[j] * ((i == j) - y[i]).

    >>> softmax_backward(np.array([4.0, 0.0]), np.array([0.0, 0.0]))
    array([ 1., -1.])
    """
    y = softmax(x, axis)
    return y * (grad - (grad * y).sum(axis=axis, keepdims=True))
