"""Rows that know their trial and not their class: what leaks tells the one, and only that."""

import numpy as np
import pytest

from ninefold.records import Examples


@pytest.fixture(scope="session")
def marked():
    """Give trials whose rows share a vector of the trial, with labels that nothing in the rows tells."""

    def make(subjects=2, trials=20, windows=10, channels=8, seed=0):
        random, rows = np.random.default_rng(seed), subjects * trials * windows
        values = random.normal(size=(rows, channels))
        values += 3 * np.repeat(random.normal(size=(subjects * trials, channels)), windows, axis=0)
        labels = np.concatenate([random.permutation(np.arange(trials) % 2) for _ in range(subjects)])
        return Examples(
            values,
            np.repeat(labels, windows),
            np.repeat(np.arange(subjects * trials), windows),
            np.repeat(np.arange(subjects), trials * windows),
            ("low", "high"),
            tuple(f"s{number:02}" for number in range(1, subjects + 1)),
        )

    return make
