"""Networks as estimators: they train as their recipe says, alone, and are what scikit-learn takes for a classifier."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from torch.nn import functional as F

from ninefold import networks
from ninefold.data.eeg.grid import deap_grid, on_grid
from ninefold.errors import Diverged, InvalidInput, UnknownName
from ninefold.training.network_classifier import PAPER, NetworkClassifier, Recipe

GRID = deap_grid()
SMALL = Recipe(epochs=2, batch_size=8, lr=1e-3)
DECAYED = Recipe(epochs=2, batch_size=8, lr=1e-3, weight_decay=0.5)
FALLING = Recipe(epochs=2, batch_size=8, lr=1e-3, weight_decay=60.0, optimizer="adamw", schedule="linear")
NOISY = Recipe(epochs=2, batch_size=8, lr=1e-3, weights="lecun", noise=0.5)


def drawn(count=16, bands=1, seed=0):
    """Draw rows that tell their class by the sign of half the electrodes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows = rng.normal(size=(count, bands, 32))
    rows[:, :, :16] += np.where(labels, 2.0, -2.0)[:, None, None]
    return rows.reshape(count, -1), labels


def classifier(recipe=SMALL, **more):
    return NetworkClassifier(**{"network": "ccnn", "grid": GRID, "bands": 1, "recipe": recipe, **more})


def by_hand(rows, labels, recipe):
    """Train as a loop of torch's does."""
    torch.manual_seed(0)
    model = networks.create("ccnn", classes=2, in_channels=1)
    if recipe.weights == "lecun":
        for layer in (model.conv1, model.conv2, model.conv3, model.conv4, model.fusion, model.output):
            torch.nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            torch.nn.init.zeros_(layer.bias)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    optimizer = kind(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    values = rows.astype(np.float32)[:, None]
    generator, steps = np.random.default_rng(0), recipe.epochs * -(-len(rows) // recipe.batch_size)
    orders = (generator.permutation(len(rows)) for _ in range(recipe.epochs))
    starts = [*range(0, len(rows), recipe.batch_size), len(rows)]
    batches = (order[start:end] for order in orders for start, end in pairwise(starts))
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = recipe.lr * (1 - step / steps if recipe.schedule == "linear" else 1)
        optimizer.zero_grad()
        shown = values[batch]
        if recipe.noise:
            shown = shown + np.float32(recipe.noise) * generator.standard_normal(shown.shape, np.float32)
        images = torch.from_numpy(on_grid(shown, GRID))
        scores = model(images.contiguous(memory_format=torch.channels_last)).scores
        F.cross_entropy(scores, torch.from_numpy(labels[batch])).backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("recipe", [SMALL, DECAYED, FALLING, NOISY], ids=["plain", "decayed", "falling", "noisy"])
def test_it_trains_as_a_plain_loop_does(recipe):
    rows, labels = drawn(20)
    ours = classifier(recipe).fit(rows, labels).model_.state_dict()
    torch.testing.assert_close(ours, by_hand(rows, labels, recipe), rtol=1e-4, atol=1e-6)


def test_it_learns_what_rows_tell_and_keeps_the_names_of_classes():
    rows, labels = drawn(64, bands=2)
    model = classifier(Recipe(epochs=3, batch_size=16, lr=1e-3), bands=2).fit(rows, np.array(["calm", "keen"])[labels])
    others, truth = drawn(32, bands=2, seed=1)
    assert (model.predict(others) == np.array(["calm", "keen"])[truth]).mean() > 0.9
    probabilities = model.predict_proba(others)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(others))
    assert model.predict(others[:0]).shape == (0,)


def test_equal_seeds_give_equal_predictions_and_nothing_else_is_touched(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    rows, labels = drawn()
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, again, other = (classifier(seed=seed).fit(rows, labels) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.predict_proba(rows), again.predict_proba(rows))
    torch.testing.assert_close(first.model_.state_dict(), again.model_.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first.model_.fusion.weight, other.model_.fusion.weight)
    torch.testing.assert_close(torch.get_rng_state(), state, rtol=0, atol=0)
    assert torch.get_num_threads() == threads
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_scikit_learn_takes_it_for_a_classifier():
    rows, labels = drawn()
    model = classifier()
    assert is_classifier(model)
    assert clone(model).get_params()["recipe"] == SMALL
    assert cross_val_predict(model, rows, labels, cv=2).shape == (16,)


def test_the_published_recipe():
    published = Recipe(epochs=50, batch_size=128, lr=1e-4, weight_decay=0.5, optimizer="adam", schedule="constant")
    assert published == PAPER


def test_what_cannot_be_is_refused():
    rows, labels = drawn()
    with pytest.raises(InvalidInput, match="2 bands times 32 channels"):
        classifier(bands=2).fit(rows, labels)
    with pytest.raises(InvalidInput, match="16 rows and 15 classes"):
        classifier().fit(rows, labels[1:])
    with pytest.raises(UnknownName, match="did you mean 'ccnn'"):
        classifier(network="ccn").fit(rows, labels)
    with pytest.raises(NotFittedError):
        classifier().predict(rows)
    with pytest.raises(InvalidInput, match="epochs=0"):
        Recipe(epochs=0, batch_size=1, lr=1.0)
    with pytest.raises(InvalidInput, match="noise=-1"):
        Recipe(epochs=1, batch_size=1, lr=1.0, noise=-1.0)


def test_a_loss_that_is_no_number_is_said():
    with pytest.raises(Diverged, match="lower learning rate than 1e\\+30"):
        classifier(Recipe(epochs=5, batch_size=8, lr=1e30)).fit(*drawn())
