import json
import os
import re
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from ninefold import storage
from ninefold.errors import InvalidInput, RunError, StorageFull, UnknownName
from ninefold.records import Examples
from ninefold.training.baselines import score
from ninefold.training.crossval import PROTOCOLS, Plan, cross_validate, off_chance, table

HONEST = [name for name, kind in PROTOCOLS.items() if not kind.leaks]
TREE = partial(DecisionTreeClassifier, max_depth=4, random_state=0)
MODELS = {"lda": LinearDiscriminantAnalysis, "tree": TREE, "majority": DummyClassifier}


class Spy:
    """Write down what an estimator is shown; it says 0 of everything."""

    def __init__(self, seen):
        self.seen = seen

    def fit(self, values, labels):
        self.seen.append((values, labels))

    def predict(self, values):
        self.seen[-1] += (values,)
        return np.zeros(len(values))


class Failing(DummyClassifier):
    """Refuse training data of one size."""

    def fit(self, values, labels):
        if values.mean() > -20:
            raise ValueError("too bright\nby far")
        return super().fit(values, labels)


@pytest.fixture(scope="module")
def digits():
    """Give 480 digits, ten of which are a made-up group, written by three made-up people."""
    values, labels = load_digits(return_X_y=True)
    rows = np.arange(480)
    return Examples(values[:480] / 16, labels[:480], rows // 10, rows // 160, tuple("0123456789"), ("a", "b", "c"))


def quiet(*arguments, jobs=1):
    return cross_validate(*arguments, jobs=jobs, progress="none")


def shown(name, examples):
    """Say which rows each training saw and which it was to predict: the values hold the number of their row."""
    seen, rows = [], np.arange(len(examples.labels), dtype=float)
    quiet(examples._replace(values=rows[:, None, None]), {"spy": partial(Spy, seen)}, Plan(name))
    return [(trained[:, 0].astype(int), labels, tested[:, 0].astype(int)) for trained, labels, tested in seen]


@pytest.mark.parametrize("name", HONEST)
def test_an_estimator_sees_no_row_label_or_group_of_its_test(name, marked):
    examples = marked(subjects=5)
    for trained, labels, tested in shown(name, examples):
        assert not set(trained) & set(tested)
        assert not set(examples.groups[trained]) & set(examples.groups[tested])
        assert np.array_equal(labels, examples.labels[trained])


def test_under_the_published_split_an_estimator_sees_the_trials_of_its_test(marked):
    examples = marked()
    for trained, labels, tested in shown("segment-kfold", examples):
        assert not set(trained) & set(tested)
        assert set(examples.groups[tested]) <= set(examples.groups[trained])
        assert np.array_equal(labels, examples.labels[trained])


def test_data_that_knows_the_trial_and_not_the_class_scores_high_under_the_published_split_only(marked):
    noise, models = marked(trials=40), {"knn": partial(KNeighborsClassifier, 1)}
    (honest,), (leaking,) = (table(quiet(noise, models, Plan(name))) for name in ("trial-kfold", "segment-kfold"))
    assert leaking.accuracy > 0.9
    assert 0.35 < honest.accuracy < 0.6
    assert leaking.leaks
    assert not honest.leaks


def test_the_null_score_of_the_published_split_is_off_chance_and_that_of_trials_is_not(marked):
    noise, models = marked(trials=40), {"knn": partial(KNeighborsClassifier, 1)}
    for name, off in (("trial-kfold", False), ("segment-kfold", True)):
        assert off_chance(noise, quiet(noise, models, Plan(name)).predicted["knn"]) is off


def test_digits_are_told_apart_whoever_wrote_them(digits):
    lda, _, majority = table(quiet(digits, MODELS, Plan("leave-one-subject-out")))
    assert lda.accuracy > 0.8
    assert majority.accuracy < 0.2
    assert (lda.subjects, lda.majority) == (3, majority.accuracy)


@pytest.mark.slow
def test_the_result_is_the_same_with_any_number_of_processes(digits, tmp_path):
    alone, beside = quiet(digits, MODELS, Plan(), tmp_path / "a"), quiet(digits, MODELS, Plan(), tmp_path / "b", jobs=2)
    for name in MODELS:
        assert np.array_equal(alone.predicted[name], beside.predicted[name])
        assert np.all(alone.predicted[name] >= 0)
    assert quiet(digits, MODELS, Plan(), tmp_path / "b").taken_up == 45  # what one process kept, another takes up


def test_finished_folds_are_taken_up_and_nothing_is_trained_again(marked, tmp_path):
    first = quiet(marked(), MODELS, Plan(), tmp_path)
    (tmp_path / "folds" / "lda-s02-1.json").unlink()
    again = quiet(marked(), MODELS, Plan(), tmp_path)
    assert (first.taken_up, again.taken_up) == (0, 29)
    assert all(np.array_equal(first.predicted[name], again.predicted[name]) for name in MODELS)
    assert again.seconds["tree"] == pytest.approx(first.seconds["tree"], abs=0.01)


@pytest.mark.parametrize(
    ("data", "model", "plan"),
    [
        ({"seed": 1}, TREE, Plan()),
        ({}, partial(TREE, max_depth=3), Plan()),
        ({}, TREE, Plan(seed=1)),
        ({}, TREE, Plan(folds=4)),
    ],
)
def test_results_of_other_data_models_or_folds_are_not_taken_up(data, model, plan, marked, tmp_path):
    quiet(marked(), {"tree": TREE}, Plan(), tmp_path)
    mixed = quiet(marked(**data), {"tree": model}, plan, tmp_path)
    assert mixed.taken_up == 0
    assert np.array_equal(mixed.predicted["tree"], quiet(marked(**data), {"tree": model}, plan).predicted["tree"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprint": 3, "predicted": ["x"], "seconds": 1}', "\x00\xff"])
def test_a_damaged_file_is_computed_anew(text, marked, tmp_path):
    whole = quiet(marked(), {"tree": TREE}, Plan(), tmp_path)
    path = tmp_path / "folds" / "tree-s01-1.json"
    kept = json.loads(path.read_text())
    for damaged in (text, json.dumps(kept | {"predicted": kept["predicted"][1:]})):
        path.write_text(damaged)
        again = quiet(marked(), {"tree": TREE}, Plan(), tmp_path)
        assert again.taken_up == 9
        assert np.array_equal(again.predicted["tree"], whole.predicted["tree"])
    assert json.loads(path.read_text())["predicted"] == kept["predicted"]


def test_a_fold_that_fails_is_a_sentence_and_the_others_stay(marked, tmp_path):
    examples = marked(subjects=1)
    examples.values[examples.groups == 3] -= 1000.0  # only the training without this trial is bright
    outcome = quiet(examples, {"failing": Failing}, Plan("leave-one-trial-out"), tmp_path)
    assert outcome.failures == ("failing on fold s01-4: ValueError: too bright",)
    assert np.array_equal(outcome.predicted["failing"] < 0, examples.groups == 3)
    assert table(outcome)[0].subjects == 1


def test_a_subject_that_cannot_be_cut_is_a_sentence_and_the_others_stay(marked):
    examples = marked()
    labels = np.where(examples.subjects == 1, 1, examples.labels)
    outcome = quiet(examples._replace(labels=labels), MODELS, Plan())
    assert outcome.failures == ("s02 has no trial of class 'low' among its 20; leave this subject out",)
    assert {row.subjects for row in table(outcome)} == {1}


def test_what_estimators_warn_of_is_said_once(marked, capsys):
    models = {"mlp": partial(MLPClassifier, (2,), max_iter=1, random_state=0)}
    cross_validate(marked(), models, Plan(), jobs=1, progress="lines")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["trial-kfold: 1 of 10 trainings", "trial-kfold: 2 of 10 trainings"]
    assert len(lines) == 11
    assert re.match(r"mlp: .*Maximum iterations \(1\) reached", lines[-1])


def test_a_full_disk_ends_it_and_leaves_what_was_finished(marked, tmp_path, full_disk):
    full_disk("tree-s01-3.json")
    with pytest.raises(StorageFull, match=r"tree-s01-3\.json could not be written"):
        quiet(marked(), {"tree": TREE}, Plan(), tmp_path)
    assert len(list((tmp_path / "folds").iterdir())) == 2


def test_a_perceptron_that_was_interrupted_is_not_taken_for_trained(marked, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quiet(marked(), {"mlp": partial(MLPClassifier, (2,))}, Plan(), tmp_path)
    assert not list((tmp_path / "folds").iterdir())
    with pytest.raises(KeyboardInterrupt):
        score("mlp", "digits", limit=50)


def test_what_a_killed_writer_left_is_removed(marked, tmp_path):
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds" / f".tree-s01-1.json.77{storage.PARTIAL}").write_text("{")
    quiet(marked(), {"tree": TREE}, Plan(), tmp_path)
    assert not list((tmp_path / "folds").glob(".*"))


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_told_of(marked):
    with pytest.raises(RunError, match=r"ended one of 2 processes.*fewer jobs"):
        quiet(marked(), {"dying": partial(os._exit, 3)}, Plan(), jobs=2)


def test_a_plan_or_call_that_cannot_be_is_refused(marked):
    with pytest.raises(UnknownName, match="trial-kfold"):
        Plan("kfold-trial")
    with pytest.raises(InvalidInput, match="1 folds came"):
        Plan(folds=1)
    with pytest.raises(InvalidInput, match="leave the number out"):
        Plan("leave-one-trial-out", 3)
    with pytest.raises(InvalidInput, match="seed=-1"):
        Plan(seed=-1)
    with pytest.raises(InvalidInput, match="jobs=0"):
        quiet(marked(), MODELS, Plan(), jobs=0)
    with pytest.raises(InvalidInput, match="0 models"):
        quiet(marked(), {}, Plan())
