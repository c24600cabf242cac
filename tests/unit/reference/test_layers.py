"""Dense, activations, losses, SGD: held to torch and to finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ninefold import reference
from ninefold.errors import InvalidInput
from ninefold.reference import SGD

ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
}


def torch_gradients(function, arrays, grad=1.0):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    gradients = torch.autograd.grad(y, tensors, torch.as_tensor(grad, dtype=y.dtype))
    return y.detach().numpy(), *(g.numpy() for g in gradients)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_and_its_backward_are_those_of_torch_and_of_finite_differences(rng, slope, close, name):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    x, grad = 3 * rng.normal(size=(4, 7)), rng.normal(size=(4, 7))
    y, dx = torch_gradients(ACTIVATIONS[name], [x], grad)
    np.testing.assert_allclose(forward(x), y, rtol=1e-10)
    np.testing.assert_allclose(backward(grad, x), dx, rtol=1e-10, atol=1e-10)
    close(backward(grad, x), slope(forward, x, grad), 1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_activation_takes_any_number_and_keeps_its_dtype(name, dtype):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    x = np.array([[-3e4, -1.0, 0.0, 1.0, 3e4]], dtype)
    for values in (forward(x), backward(np.ones_like(x), x)):
        assert values.dtype == dtype
        assert np.isfinite(values).all()


def test_sigmoid_keeps_its_digits_on_both_sides():
    np.testing.assert_allclose(reference.sigmoid(np.array([-700.0])), np.exp([-700.0]), rtol=1e-14)
    slopes = reference.sigmoid_backward(np.ones(2), np.array([-40.0, 40.0]))
    np.testing.assert_allclose(slopes, np.exp([-40.0, -40.0]), rtol=1e-14)


def test_dense_and_its_backward_are_those_of_torch_and_of_finite_differences(rng, slope, close):
    x, weight, bias, grad = (rng.normal(size=s) for s in ((3, 4), (5, 4), (5,), (3, 5)))
    y, *wanted = torch_gradients(F.linear, [x, weight, bias], grad)
    np.testing.assert_allclose(reference.dense(x, weight, bias), y, rtol=1e-10)
    dx, dw, db = reference.dense_backward(grad, x, weight)
    for got, gradient in zip((dx, dw, db), wanted, strict=True):
        np.testing.assert_allclose(got, gradient, rtol=1e-10)
    close(dx, slope(lambda v: reference.dense(v, weight, bias), x, grad), 1e-6)
    close(dw, slope(lambda v: reference.dense(x, v, bias), weight, grad), 1e-6)
    close(db, slope(lambda v: reference.dense(x, weight, v), bias, grad), 1e-6)


def test_mean_squared_error_is_that_of_torch_and_of_finite_differences(rng, slope, close):
    prediction, target = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    loss, gradient, _ = torch_gradients(F.mse_loss, [prediction, target])
    np.testing.assert_allclose(reference.mean_squared_error(prediction, target), loss, rtol=1e-10)
    got = reference.mean_squared_error_backward(prediction, target)
    np.testing.assert_allclose(got, gradient, rtol=1e-10)
    close(got, slope(lambda v: reference.mean_squared_error(v, target), prediction, 1.0), 1e-6)


def test_cross_entropy_is_that_of_torch_and_of_finite_differences(rng, slope, close):
    logits, labels = rng.normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0])
    loss, gradient = torch_gradients(lambda z: F.cross_entropy(z, torch.tensor(labels)), [logits])
    np.testing.assert_allclose(reference.cross_entropy(logits, labels), loss, rtol=1e-10)
    got = reference.cross_entropy_backward(logits, labels)
    np.testing.assert_allclose(got, gradient, rtol=1e-10, atol=1e-12)
    close(got, slope(lambda v: reference.cross_entropy(v, labels), logits, 1.0), 1e-6)


def test_sgd_steps_as_torch_does(rng):
    start, gradients = rng.normal(size=5), rng.normal(size=(4, 5))
    theirs = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    sgd, ours = SGD(0.1, 0.9), [start]
    velocities = sgd.start(ours)
    for gradient in gradients:
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        ours, velocities = sgd.step(ours, [gradient], velocities)
    np.testing.assert_allclose(ours[0], theirs.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reference.dense(np.zeros((2, 3)), np.zeros((4, 5))), "does not meet a dense weight"),
        (lambda: reference.dense(np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(3)), "bias of shape"),
        (lambda: reference.dense_backward(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((4, 3))), "grad of shape"),
        (lambda: reference.softmax(np.array([1, 2])), "dtype int64"),
        (lambda: reference.mean_squared_error(np.zeros(2), np.zeros(3)), "target of shape"),
        (lambda: reference.mean_squared_error(np.zeros(0), np.zeros(0)), "no mean"),
        (lambda: reference.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)), "wanted .N, classes."),
        (lambda: reference.cross_entropy(np.zeros((2, 3)), np.zeros(3, int)), "labels of shape"),
        (lambda: reference.cross_entropy(np.zeros((1, 3)), np.array([3])), "from 3 to 3, and there are 3 classes"),
        (lambda: reference.cross_entropy(np.zeros((1, 3)), np.array([-1])), "from -1 to -1"),
        (lambda: reference.cross_entropy(np.zeros((1, 3)), np.array([1.0])), "labels have dtype float64"),
        (lambda: SGD(learning_rate=-1.0), "learning_rate=-1.0"),
        (lambda: SGD(learning_rate=float("nan")), "learning_rate=nan"),
        (lambda: SGD(learning_rate=0.1, momentum=1.0), "momentum=1.0"),
    ],
)
def test_what_cannot_be_right_is_refused_in_one_sentence(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
