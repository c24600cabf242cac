"""im2col and col2im: held to torch, to each other, and to the convolution they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from ninefold.errors import InvalidSpec
from ninefold.reference import col2im, correlate, correlate_by_columns, im2col


@st.composite
def windows(draw):
    """Draw an image's shape, a kernel that fits into it, and how it moves."""
    axes = draw(st.integers(1, 3))
    size, kernel, stride, dilation, before, after = (
        tuple(draw(st.integers(low, high)) for _ in range(axes))
        for low, high in ((1, 6), (1, 3), (1, 3), (1, 2), (0, 2), (0, 2))
    )
    padding = tuple(zip(before, after, strict=True))
    spans = zip(size, kernel, dilation, padding, strict=True)
    assume(all(n + sum(pair) > d * (k - 1) for n, k, d, pair in spans))
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 3)), *size)
    return shape, kernel, {"stride": stride, "padding": padding, "dilation": dilation}


@given(windows())
def test_col2im_is_the_adjoint_of_im2col(drawn):
    shape, kernel, how = drawn
    rng = np.random.default_rng(0)
    image = rng.normal(size=shape)
    columns = im2col(image, kernel, **how)
    others = rng.normal(size=columns.shape)
    back = col2im(others, shape[2:], kernel, **how)
    assert back.shape == shape
    np.testing.assert_allclose(np.vdot(columns, others), np.vdot(image, back), rtol=1e-10, atol=1e-10)


@given(windows())
def test_a_product_of_matrices_is_the_correlation(drawn):
    shape, kernel, how = drawn
    rng = np.random.default_rng(0)
    image, weight = rng.normal(size=shape), rng.normal(size=(4, shape[1], *kernel))
    got = correlate_by_columns(image, weight, **how)
    np.testing.assert_allclose(got, correlate(image, weight, **how), rtol=1e-12, atol=1e-12)


def test_rows_and_columns_are_in_the_order_of_torch(rng):
    image = rng.normal(size=(2, 3, 7, 6))
    how = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    wanted = F.unfold(torch.tensor(image), (3, 2), **how)
    columns = im2col(image, (3, 2), **how)
    np.testing.assert_array_equal(columns, wanted.numpy())
    folded = F.fold(wanted, (7, 6), (3, 2), **how)
    np.testing.assert_allclose(col2im(columns, (7, 6), (3, 2), **how), folded.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: im2col(np.zeros((3, 3)), 2), "wanted .N, C, .size."),
        (lambda: im2col(np.zeros((1, 1, 3)), 4), "does not fit"),
        (lambda: col2im(np.zeros((4, 2)), (3,), 2), r"columns of shape \(4, 2\)"),
        (lambda: col2im(np.zeros((1, 2, 3)), (3,), 2), r"columns of shape \(1, 2, 3\) came where \(1, 2, 2\)"),
        (lambda: col2im(np.zeros((1, 2, 3)), (3,), 0), "kernel=.0,. has a value below 1"),
    ],
)
def test_images_and_columns_that_do_not_belong_together_are_refused(call, message):
    with pytest.raises(InvalidSpec, match=message):
        call()
