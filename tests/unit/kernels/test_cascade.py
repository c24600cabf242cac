"""Filters of second-order sections: sums of pieces agree with SciPy's recursion, for every width of vectors."""

import numpy as np
import pytest
from scipy import signal

from ninefold.kernels.llvm.cascade import Cascade
from ninefold.kernels.llvm.target import host

SECTIONS = np.stack([
    signal.butter(3, edges, "bandpass", fs=128, output="sos") for edges in ((4, 8), (31, 45), (8, 14))
])  # fmt: skip


def filtered(sections, x, length):
    y = np.stack([signal.sosfilt(each, x) for each in sections])
    return y[..., : x.shape[1] // length * length].reshape(len(sections), len(x), -1, length)


@pytest.mark.parametrize(("rows", "samples", "length"), [(1, 50, 50), (8, 300, 7), (13, 128, 1), (20, 129, 64)])
def test_sums_and_squares_of_pieces_are_those_of_the_recursion(target, rows, samples, length):
    x = np.random.default_rng(0).normal(size=(rows, samples))
    y = filtered(SECTIONS, x, length)
    found = Cascade(SECTIONS, target).sums(x, length)
    np.testing.assert_allclose(found, [y.sum(axis=3), np.square(y).sum(axis=3)], rtol=1e-10, atol=1e-13)


def test_sections_of_any_numerator_and_any_count_are_filtered():
    sections = np.array([[[0.5, 0.3, -0.2, 1, -0.7, 0.1], [2.0, -1.0, 0.25, 1, 0.2, 0.6]]])
    x = np.random.default_rng(1).normal(size=(3, 90))
    for some in (sections, sections[:, :1]):
        y = filtered(some, x, 30)
        np.testing.assert_allclose(Cascade(some, host()).sums(x, 30)[1], np.square(y).sum(axis=3), rtol=1e-12)


def test_signals_may_lie_apart_in_memory():
    x = np.random.default_rng(2).normal(size=(64, 10))
    cascade = Cascade(SECTIONS, host())
    assert (cascade.sums(x.T, 32) == cascade.sums(np.ascontiguousarray(x.T), 32)).all()
