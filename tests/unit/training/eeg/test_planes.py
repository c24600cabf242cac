"""The network of a study follows the plane of the recordings' channels."""

import numpy as np
import pytest

from ninefold.data.eeg.deap import CHANNELS
from ninefold.data.eeg.grid import deap_grid, raster
from ninefold.errors import InvalidInput
from ninefold.training.eeg import EegSettings
from ninefold.training.eeg.models import builders
from ninefold.training.network_classifier import NetworkClassifier, Recipe


def test_the_network_gets_the_plane_of_the_channels_in_their_order():
    network = builders(EegSettings("a folder", bands=("alpha",), recipe="paper"), CHANNELS[::-1])["ccnn"]()
    np.testing.assert_array_equal(network.grid.rows, deap_grid().rows[::-1])
    assert network.bands == 1


def test_the_network_follows_the_size_of_the_plane():
    model = NetworkClassifier("ccnn", raster(100), bands=1, recipe=Recipe(epochs=1, batch_size=4, lr=1e-4))
    rows = np.random.default_rng(0).normal(size=(4, 100))
    assert model.fit(rows, np.arange(4) % 2).predict_proba(rows).shape == (4, 2)
    assert model.model_.fusion.in_features == 64 * 10 * 10


def test_channels_without_a_plane_are_refused_with_the_network_only():
    pytest.importorskip("mne", reason="MNE is not installed")
    channels = ("Cz", "B7", "D31")
    with pytest.raises(InvalidInput, match=r"have no B7, D31; leave them out .+, or leave ccnn out of the models"):
        builders(EegSettings("a folder"), channels)
    assert [*builders(EegSettings("a folder", models=("svm",)), channels)] == ["svm", "majority"]
