"""The models of a study: what stands before the network, and that the published recipe is left as it is."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from ninefold.data.eeg.deap import CHANNELS
from ninefold.training.eeg import EegSettings
from ninefold.training.eeg.models import builders
from ninefold.training.network_classifier import PAPER, QUICK


def made(**more):
    settings = EegSettings("synthetic:null", models=("ccnn",), bands=("alpha",), **more)
    return builders(settings, CHANNELS)["ccnn"]()


def test_the_quick_recipe_sees_features_scaled_by_the_rows_that_it_trains_on():
    scale, network = (step for _, step in made(seed=3).steps)
    assert isinstance(scale, StandardScaler)
    assert (network.recipe, network.seed) == (QUICK, 3)
    rows, labels = np.random.default_rng(0).normal(5, 3, (8, 32)), np.arange(8) % 2
    fitted = made().fit(rows, labels)
    np.testing.assert_allclose(fitted["scale"].mean_, rows.mean(axis=0))
    assert np.array_equal(fitted.predict(rows), fitted["ccnn"].predict(fitted["scale"].transform(rows)))


def test_the_published_recipe_sees_them_as_they_are():
    assert made(recipe="paper").recipe == PAPER


def test_other_epochs_replace_those_of_either_recipe():
    assert made(epochs=7)["ccnn"].recipe.epochs == made(recipe="paper", epochs=7).recipe.epochs == 7
