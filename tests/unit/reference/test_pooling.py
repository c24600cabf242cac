"""Pooling, forward and backward: held to torch and to finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ninefold.errors import InvalidInput
from ninefold.reference import average_pool, average_pool_backward, max_pool, max_pool_backward

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
CASES = [
    ((7,), 2, None, 0),
    ((7,), 3, 1, 1),
    ((6, 7), (2, 3), (1, 2), (1, 0)),
    ((6, 7), 3, 2, 1),
    ((5, 6, 4), 2, 2, 1),
    ((5, 6, 4), (3, 2, 1), None, 0),
]


def agrees_with_torch(x, ours, theirs):
    y, backward = ours
    tensor = torch.tensor(x, requires_grad=True)
    wanted = theirs(tensor)
    grad = np.random.default_rng(1).normal(size=y.shape)
    (dx,) = torch.autograd.grad(wanted, tensor, torch.tensor(grad))
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(backward(grad), dx.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), CASES)
def test_max_pooling_is_that_of_torch(rng, size, kernel, stride, padding):
    for x in (rng.normal(size=(2, 3, *size)), rng.integers(0, 3, size=(2, 3, *size)).astype(float)):  # the latter ties
        agrees_with_torch(
            x,
            (
                max_pool(x, kernel, stride=stride, padding=padding),
                lambda grad, x=x: max_pool_backward(grad, x, kernel, stride=stride, padding=padding),
            ),
            lambda t: MAX[len(size)](t, kernel, stride, padding),
        )


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), CASES)
def test_average_pooling_is_that_of_torch(rng, size, kernel, stride, padding, count):
    x = rng.normal(size=(2, 3, *size))
    how = {"stride": stride, "padding": padding, "count_include_pad": count}
    agrees_with_torch(
        x,
        (average_pool(x, kernel, **how), lambda grad: average_pool_backward(grad, x, kernel, **how)),
        lambda t: AVERAGE[len(size)](t, kernel, stride, padding, count_include_pad=count),
    )


def test_backward_is_the_slope_of_finite_differences(rng, slope, close):
    x, grad = rng.permutation(60.0 * np.arange(60)).reshape(1, 2, 5, 6) / 60, rng.normal(size=(1, 2, 3, 3))
    how = {"stride": 2, "padding": 1}
    close(max_pool_backward(grad, x, 3, **how), slope(lambda v: max_pool(v, 3, **how), x, grad), 1e-6)
    how["count_include_pad"] = False
    close(average_pool_backward(grad, x, 3, **how), slope(lambda v: average_pool(v, 3, **how), x, grad), 1e-6)


def test_padding_never_wins_even_against_negative_values():
    np.testing.assert_array_equal(max_pool(np.array([[[-3.0, -1.0]]]), 2, stride=1, padding=1), [[[-3, -1, -1]]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_dtype_stays_itself(rng, dtype):
    x = rng.normal(size=(1, 1, 6)).astype(dtype)
    y = max_pool(x, 2)
    assert y.dtype == average_pool(x, 2).dtype == average_pool(x, 3, padding=1, count_include_pad=False).dtype == dtype
    assert max_pool_backward(y, x, 2).dtype == average_pool_backward(y, x, 2).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_pool(np.zeros((1, 1, 4), int), 2), "dtype int64"),
        (lambda: max_pool(np.zeros((4, 4)), 2), "wanted .N, C, .size."),
        (lambda: max_pool(np.zeros((1, 1, 4)), 5), "does not fit"),
        (lambda: average_pool(np.zeros((1, 1, 4)), 2, padding=2), "padding only"),
        (lambda: average_pool(np.zeros((1, 1, 0)), 2, padding=1), "padding only"),
        (lambda: max_pool_backward(np.zeros((1, 1, 3)), np.zeros((1, 1, 4)), 2), "grad of shape"),
        (lambda: average_pool_backward(np.zeros((1, 1, 3)), np.zeros((1, 1, 4)), 2), "grad of shape"),
    ],
)
def test_pooling_that_means_nothing_is_refused(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
