"""Baselines: what each is, what it learns from, and what it comes to on the digits."""

import sys

import numpy as np
import pytest
from PIL import Image

from ninefold import data
from ninefold.errors import InvalidInput, MissingExtra, UnknownName
from ninefold.training.baselines import BASELINES, baseline, features_of, score


@pytest.fixture(scope="module")
def digits():
    return data.open_source("digits")


@pytest.mark.parametrize("name", sorted(BASELINES.keys() - {"majority"}))
def test_it_learns_the_digits_and_equal_seeds_give_equal_scores(name):
    found, majority = score(name, "digits", limit=400, seed=1)
    assert (found.model, found.train, found.test, found.features) == (name, 400, 359, 64)
    assert min(found.accuracy, found.balanced, found.macro_f1) > 0.6
    assert (majority.model, majority.balanced) == ("majority", 0.1)
    again = score(name, "digits", limit=400, seed=1)[0]
    assert (again.accuracy, again.macro_f1) == (found.accuracy, found.macro_f1)


def test_the_majority_says_the_commonest_class_of_the_training(digits):
    train, test = (digits.split(split).labels for split in ("train", "test"))
    (found,) = score("majority", "digits")
    assert found.accuracy == pytest.approx((test == train.mode().values).float().mean().item())


def test_features_are_scaled_by_the_rows_that_are_trained_on():
    rows, labels = np.random.default_rng(0).normal(5, 3, (40, 6)), np.arange(40) % 2
    scale = baseline("lda").fit(rows, labels)["scale"]
    np.testing.assert_allclose((scale.mean_, scale.var_), (rows.mean(0), rows.var(0)))


def test_the_layers_of_the_perceptron_halve_from_the_features_on():
    rows, labels = np.random.default_rng(0).normal(size=(40, 32)), np.arange(40) % 2
    layers = baseline("mlp").fit(rows, labels)["mlp"].coefs_
    assert [layer.shape for layer in layers] == [(32, 16), (16, 8), (8, 4), (4, 1)]


def test_pictures_become_rows_from_zero_to_one(digits):
    examples, split = features_of(digits, "test", 100), digits.split("test")
    assert examples.values.shape == (100, 64)
    assert len(set(examples.groups)) == 100
    for row in (0, 57):
        sample = split[row * len(split) // 100]
        np.testing.assert_allclose(examples.values[row], sample.image.flatten().double() / 255, rtol=1e-6)
        assert examples.labels[row] == sample.label
    assert len(features_of(digits, "test", 10**6).labels) == len(split)


def test_pictures_of_several_sizes_are_brought_to_one(tmp_path):
    for split in ("train", "validation", "test"):
        for name, shade, side in (("dark", 20, 40), ("light", 220, 52)):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(3):
                Image.new("L", (side, side + i), shade + i).save(tmp_path / split / name / f"{i}.png")
    found, _ = score("knn", "folder", tmp_path, limit=6)
    assert (found.features, found.accuracy) == (3 * 32 * 32, 1.0)


@pytest.mark.parametrize(
    ("arguments", "more", "quoted"),
    [
        (("svn", "digits"), {}, "did you mean 'svm'"),
        (("svm", "digit"), {}, "did you mean 'digits'"),
        (("svm", "lidar-scenes"), {}, "holds points"),
        (("svm", "digits"), {"seed": -1}, "seed=-1"),
        (("svm", "digits"), {"limit": 0}, "limit=0"),
        (("svm", "digits"), {"limit": 1}, "svm cannot learn from 1 pictures of 1 classes: .*; take more"),
        (("knn", "digits"), {"limit": 3}, "knn cannot learn from 3 pictures of 3 classes: .*; take more"),
    ],
)
def test_what_cannot_be_is_refused(arguments, more, quoted):
    with pytest.raises((InvalidInput, UnknownName), match=quoted):
        score(*arguments, **more)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.pipeline", None)
    with pytest.raises(MissingExtra, match="ninefold\\[train\\]"):
        baseline("svm")
