"""Losses: one number that says how far a prediction is from the truth, and its gradient for the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidInput, InvalidSpec
from ninefold.reference.activations import softmax
from ninefold.reference.arrays import as_floats, as_numbers, expect_shape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array


def mean_squared_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Give the mean of the squared differences: (sum over i of (p[i] - t[i])^2) / n, over all n elements.

    Args:
        prediction: floats of any shape, not empty.
        target: the same shape.

    Raises:
        InvalidInput: when one of them holds no floats.
        InvalidSpec: when the shapes differ or are empty.

    >>> mean_squared_error(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    2.0
    """
    prediction, target = _pair(prediction, target)
    return float(np.mean((prediction - target) ** 2))


def mean_squared_error_backward(prediction: ArrayLike, target: ArrayLike) -> Array:
    """Give the gradient for the prediction: 2 * (p[i] - t[i]) / n.

    >>> mean_squared_error_backward(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    array([0., 2.])
    """
    prediction, target = _pair(prediction, target)
    return 2 * (prediction - target) / prediction.size


# --8<-- [start:cross_entropy]
def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Give the mean of minus the logarithm of the probability that softmax gives the true class.

        loss = (sum over n of  log(sum over j of exp(z[n, j])) - z[n, label[n]]) / N

    The largest logit is subtracted first, as in `softmax`; the probability itself is never formed, so a loss of 1000
    is 1000, not the logarithm of 0.

    Args:
        logits: z, floats (N, classes), N >= 1.
        labels: integers (N,), 0 <= label < classes.

    Raises:
        InvalidSpec: when the shapes do not meet.
        InvalidInput: when the logits are no floats, or a label is no class.

    >>> cross_entropy(np.array([[0.0, 1000.0]]), np.array([0]))
    1000.0
    """
    logits, labels = _classes(logits, labels)
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]  # (N,)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen))


def cross_entropy_backward(logits: ArrayLike, labels: ArrayLike) -> Array:
    """Give the gradient for the logits: probability less truth, dz[n, j] = (softmax(z)[n, j] - (j == label[n])) / N.

    >>> cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    logits, labels = _classes(logits, labels)
    grad = softmax(logits)
    grad[np.arange(len(labels)), labels] -= 1
    return grad / len(labels)


# --8<-- [end:cross_entropy]


def _pair(prediction: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    prediction, target = as_floats(prediction, "prediction"), as_floats(target, "target")
    expect_shape(target, prediction.shape, "target")
    if not prediction.size:
        raise InvalidSpec(f"a prediction of shape {prediction.shape} is empty and has no mean; give at least one value")
    return prediction, target


def _classes(logits: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    logits, labels = as_floats(logits, "logits"), as_numbers(labels, "labels")
    if logits.ndim != 2 or not logits.size:
        raise InvalidSpec(f"logits of shape {logits.shape} came; wanted (N, classes) with at least one row and class")
    expect_shape(labels, logits.shape[:1], "labels")
    if labels.dtype.kind not in "iu":
        raise InvalidInput(f"labels have dtype {labels.dtype}; give class indices as integers")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise InvalidInput(
            f"labels run from {labels.min()} to {labels.max()}, and there are {logits.shape[1]} classes; "
            f"give labels from 0 to {logits.shape[1] - 1}"
        )
    return logits, labels
