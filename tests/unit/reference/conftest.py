"""What the tests of the reference share: chance, finite differences, and random convolutions."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def slope():
    """Give the central difference of <f(x), grad> for every element of x: what a backward must give."""

    def slope(f, x, grad, step=1e-5):
        numeric = np.empty_like(x)
        for at in np.ndindex(x.shape):
            ahead, behind = x.copy(), x.copy()
            ahead[at] += step
            behind[at] -= step
            numeric[at] = np.sum((f(ahead) - f(behind)) * grad) / (2 * step)
        return numeric

    return slope


@pytest.fixture
def close():
    """Hold two arrays to each other by the relative error of the whole: |got - wanted| / |wanted|."""

    def close(got, wanted, tolerance):
        got, wanted = np.asarray(got), np.asarray(wanted)
        assert got.shape == wanted.shape
        assert np.linalg.norm(got - wanted) <= tolerance * np.linalg.norm(wanted)

    return close
