import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidInput
from ninefold.spec import ConvSpec, SparseSpec

KINDS = ("sparse", "submanifold", "transposed")


@st.composite
def cases(draw):
    dims = draw(st.integers(1, 3))
    axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))  # noqa: E731
    kind = draw(st.sampled_from(KINDS))
    size, dilation = axis(3, 5), axis(1, 2)
    kernel = tuple(draw(st.sampled_from((1, 3))) for _ in range(dims)) if kind == "submanifold" else axis(1, 3)
    stride, padding = ((1,) * dims, (0,) * dims) if kind == "submanifold" else (axis(1, 2), axis(0, 1))
    if kind == "sparse":
        size = tuple(n + d * (k - 1) for n, k, d in zip(size, kernel, dilation, strict=True))
    if kind == "transposed":
        padding = (0,) * dims
    spec = SparseSpec(size, kernel, stride, padding, dilation, kind)
    return spec, draw(st.sampled_from((0.0, 0.2, 1.0))), draw(st.integers(0, 2**32 - 1))


def dense_of(rows, sites, size, batch):
    grid = np.zeros((batch, rows.shape[1], *size))
    for row, (picture, *site) in zip(rows, sites, strict=True):
        grid[(picture, slice(None), *site)] = row
    return grid


def dense_spec(spec, channels, out_channels):
    kernel = (channels, out_channels) if spec.kind == "transposed" else (out_channels, channels)
    padding = tuple(d * (k // 2) for k, d in zip(spec.kernel, spec.dilation, strict=True))
    padding = padding if spec.kind == "submanifold" else spec.padding
    return ConvSpec.of(
        (2, channels, *spec.size),
        (*kernel, *spec.kernel),
        stride=spec.stride,
        padding=padding,
        dilation=spec.dilation,
        transposed=spec.kind == "transposed",
    )


def drawn(case):
    spec, share, seed = case
    random = np.random.default_rng(seed)
    sites = np.argwhere(random.random((2, *spec.size)) < share)
    random.shuffle(sites)
    x, weight = random.standard_normal((len(sites), 3)), random.standard_normal((spec.volume, 3, 2))
    return spec, sites, x, weight, random


def dense_weight(weight, spec):
    axes = (1, 2, 0) if spec.kind == "transposed" else (2, 1, 0)
    return weight.transpose(axes).reshape(*weight.transpose(axes).shape[:2], *spec.kernel)


@given(cases())
def test_active_sites_get_what_the_dense_convolution_gives(case):
    spec, sites, x, weight, _ = drawn(case)
    book = reference.rulebook(sites, spec)
    y = reference.sparse_convolve(x, weight, None, book)
    dense = reference.run(dense_of(x, sites, spec.size, 2), dense_weight(weight, spec), None, dense_spec(spec, 3, 2))
    active = np.array(book.sites, int).reshape(-1, 1 + spec.dims)
    np.testing.assert_allclose(y, dense[(active[:, 0], slice(None), *active[:, 1:].T)], atol=1e-12)
    if spec.kind != "submanifold":
        np.testing.assert_allclose(dense_of(y, book.sites, spec.out_size, 2), dense, atol=1e-12)


@given(cases())
def test_gradients_are_the_adjoints_of_the_sum(case):
    spec, sites, x, weight, random = drawn(case)
    book = reference.rulebook(sites, spec)
    dy = random.standard_normal((len(book.sites), 2))
    total = (reference.sparse_convolve(x, weight, None, book) * dy).sum()
    dx = reference.sparse_input_gradient(dy, weight, book, len(x))
    np.testing.assert_allclose((dx * x).sum(), total, atol=1e-9)
    np.testing.assert_allclose((reference.sparse_weight_gradient(x, dy, book) * weight).sum(), total, atol=1e-9)


@pytest.mark.parametrize("kind", ["max", "mean", "sum"])
def test_pooling_takes_present_sites_only_and_its_gradient_is_its_slope(kind):
    spec = SparseSpec.of((6, 6), 2, stride=2)
    random = np.random.default_rng(0)
    sites = np.argwhere(random.random((1, 6, 6)) < 0.5)
    x = random.standard_normal((len(sites), 3)) - 5
    book = reference.rulebook(sites, spec)
    y = reference.sparse_pool(x, book, kind)
    first = [row for row, site in enumerate(sites) if tuple(site[1:] // 2) == book.sites[0][1:]]
    np.testing.assert_allclose(y[0], {"max": np.max, "mean": np.mean, "sum": np.sum}[kind](x[first], axis=0))
    dy, step = random.standard_normal(y.shape), 1e-6 * random.standard_normal(x.shape)
    slope = (reference.sparse_pool_backward(x, dy, book, kind) * step).sum()
    change = ((reference.sparse_pool(x + step, book, kind) - y) * dy).sum()
    np.testing.assert_allclose(slope, change, rtol=1e-6)


def test_a_site_that_comes_twice_or_lies_outside_is_named():
    spec = SparseSpec.of((4, 4), 3, kind="submanifold")
    with pytest.raises(InvalidInput, match=r"rows 0 and 2 are both site \(0, 1, 1\)"):
        reference.rulebook([(0, 1, 1), (0, 2, 1), (0, 1, 1)], spec)
    with pytest.raises(InvalidInput, match=r"row 1 is site \(0, 4, 0\), outside a grid of \(4, 4\)"):
        reference.rulebook([(0, 1, 1), (0, 4, 0)], spec)
