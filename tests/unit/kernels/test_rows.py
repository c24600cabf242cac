"""Kernels over rows of features against the same in float64, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.row_norm import NormGradientNumbers, NormNumbers
from ninefold.kernels.llvm.rows import BLOCK, RowEnding, RowMask, RowMoments, RowNormGradient, RowProducts, counts
from ninefold.kernels.llvm.target import host, narrowed

ROWS = [2, BLOCK - 1, BLOCK + 1, 2 * BLOCK + 5]
CHANNELS = [16, 20, 31, 150]


def computed(bench, kernel, parts, shape, operands):
    """Call a kernel part by part on x, weight, bias and residual; give y."""
    x, weight, bias, residual = (None if a is None else bench.numbers(a) for a in operands)
    y = bench.numbers(np.full(shape, np.nan))
    fn = build([kernel], bench.target).kernel(kernel.name)
    first = [None if a is None else a.first for a in (x, weight, bias, y, residual)]
    for start, stop in parts:
        fn(*first, None, start, stop, 0, 1)
    assert np.isnan(y.buffer.slack).all()
    return y.buffer.array.reshape(shape)


def halves(units):
    """Cut units of work into two parts, the later one first."""
    return [part for part in ((units // 2, units), (0, units // 2)) if part[0] < part[1]]


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("rows", ROWS)
def test_a_norms_numbers_are_those_of_all_rows(bench, rng, rows, channels):
    x, gamma, beta = rng.normal(30, 2, (rows, channels)), rng.normal(size=channels), rng.normal(size=channels)
    x, lanes, known = x.astype(np.float32), bench.target.lanes, counts(rows)
    blocks = -(-rows // BLOCK)
    parts = computed(bench, RowMoments(channels, lanes), halves(blocks), (blocks, 2, channels), (x, known, None, None))
    numbers = computed(bench, NormNumbers(channels, lanes, 1e-3), [(0, 1)], (5, channels), (parts, known, gamma, beta))
    exact = x.astype(np.float64)
    mean, scale = exact.mean(0), 1 / np.sqrt(exact.var(0) + 1e-3)
    wanted = [gamma * scale, beta - mean * gamma * scale, mean, scale, exact.var(0, ddof=1)]
    np.testing.assert_allclose(numbers, wanted, rtol=3e-5, atol=1e-3 if rows == 2 else 1e-4)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("channels", CHANNELS)
def test_gradients_are_those_of_the_formula(bench, rng, channels, relu):
    rows, lanes, known = BLOCK + 70, bench.target.lanes, counts(BLOCK + 70)
    x, dy = (rng.normal(size=(rows, channels)).astype(np.float32) for _ in range(2))
    numbers = rng.uniform(0.5, 2, (5, channels)).astype(np.float32)
    factor, shift, mean, scale, _ = numbers.astype(np.float64)
    masked = np.where(x * factor + shift > 0, dy, 0) if relu else dy.astype(np.float64)
    plain, crossed = masked.sum(0), (masked * (x - mean)).sum(0)
    parts = computed(bench, RowProducts(channels, lanes, relu), halves(2), (2, 2, channels), (x, known, numbers, dy))
    np.testing.assert_allclose(parts.sum(0), [plain, crossed], rtol=1e-4, atol=1e-3)
    for of_rows in (True, False):
        kernel = NormGradientNumbers(channels, lanes, of_rows)
        found = computed(bench, kernel, [(0, 1)], (7, channels), (parts, known, numbers, None))
        slope, offset = -factor * scale**2 * crossed / rows * of_rows, -factor * plain / rows * of_rows
        wanted = [factor, shift, mean, slope, offset, scale * crossed, plain]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
        kernel = RowNormGradient(channels, lanes, relu)
        dx = computed(bench, kernel, halves(rows), (rows, channels), (x, None, found, dy))
        np.testing.assert_allclose(dx, masked * factor + slope * (x - mean) + offset, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_rows_end_with_every_choice_of_parts(bench, rng, channels, normed, residual, relu):
    x, other, numbers = (rng.normal(size=(n, channels)) for n in (37, 37, 2))
    kernel = RowEnding(channels, bench.target.lanes, normed, residual, relu)
    y = computed(bench, kernel, halves(37), (37, channels), (x, None, numbers, other))
    wanted = (x * numbers[0] + numbers[1] if normed else x) + (other if residual else 0)
    np.testing.assert_allclose(y, np.maximum(wanted, 0) if relu else wanted, rtol=1e-5, atol=1e-5)


def test_a_mask_keeps_gradients_of_positive_values_only(bench, rng):
    y, dy = rng.normal(size=(9, 20)).clip(0), rng.normal(size=(9, 20)).astype(np.float32)
    masked = computed(bench, RowMask(20, bench.target.lanes), halves(9), (9, 20), (y, None, None, dy))
    np.testing.assert_array_equal(masked, np.where(y > 0, dy, 0))


def test_a_relu_keeps_what_is_no_number(bench):
    y = computed(
        bench,
        RowEnding(16, bench.target.lanes, False, False, True),
        [(0, 1)],
        (1, 16),
        ([np.nan] * 16, None, None, None),
    )
    assert np.isnan(y).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidSpec, match="rows of 15 channels"):
        RowMask(15, 16)
    with pytest.raises(InvalidSpec, match="in vectors of 16"):
        RowMask(32, 16).functions(narrowed(4))
    with pytest.raises(InvalidSpec, match="wanted an even number"):
        RowMask(17, 16, halves=True)
    with pytest.raises(InvalidSpec, match="multiplies none"):
        RowMask(32, 4, halves=True).functions(narrowed(4))
    with pytest.raises(TypeError, match="the grid of RowMask"):
        _ = RowMask(host().lanes, host().lanes).grid
