import numpy as np
import pytest

from ninefold.errors import InvalidInput, UnknownName
from ninefold.training.crossval import DEFAULT, PROTOCOLS, folds, protocol

HONEST = [name for name, kind in PROTOCOLS.items() if not kind.leaks]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_row_is_tested_once_and_never_trained_on_in_that_fold(name, marked):
    examples = marked(subjects=5)
    cut = folds(protocol(name), examples)
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in cut])), np.arange(len(examples.labels)))
    for fold in cut:
        assert not np.intersect1d(fold.train, fold.test).size
        assert np.all(np.diff(fold.train) > 0)
        assert np.all(np.diff(fold.test) > 0)
        assert not fold.why_not


@pytest.mark.parametrize("name", HONEST)
def test_no_trial_is_on_both_sides_of_an_honest_fold(name, marked):
    examples = marked(subjects=5)
    for fold in folds(protocol(name), examples):
        assert not np.intersect1d(examples.groups[fold.train], examples.groups[fold.test]).size


def test_every_segment_fold_has_every_tested_trial_on_both_sides(marked):
    examples = marked()
    for fold in folds(protocol("segment-kfold"), examples):
        assert set(examples.groups[fold.test]) <= set(examples.groups[fold.train])
        assert len(fold.test) == 20  # a tenth of the subject's 200 rows


@pytest.mark.parametrize("name", HONEST)
def test_who_is_tested_is_trained_on_only_where_the_protocol_says_so(name, marked):
    examples, kind = marked(subjects=5), protocol(name)
    for fold in folds(kind, examples):
        trained, tested = set(examples.subjects[fold.train]), set(examples.subjects[fold.test])
        assert trained == tested if kind.within else not trained & tested


@pytest.mark.parametrize(("name", "count"), [(DEFAULT, 10), ("leave-one-trial-out", 40), ("segment-kfold", 20)])
def test_every_subject_has_folds_of_its_own(name, count, marked):
    cut = folds(protocol(name), marked())
    assert len(cut) == count
    assert [fold.name for fold in cut[:2]] == ["s01-1", "s01-2"]
    assert [fold.subject for fold in cut].count("s02") == count // 2


def test_folds_across_subjects_are_named_by_who_is_tested(marked):
    examples = marked(subjects=3)
    assert [fold.name for fold in folds(protocol("leave-one-subject-out"), examples)] == ["s01", "s02", "s03"]
    assert [fold.subject for fold in folds(protocol("subject-kfold"), examples, 2)] == [None, None]


def test_trials_are_dealt_so_that_each_test_has_its_share_of_every_class(marked):
    examples = marked(trials=40)
    for fold in folds(protocol(DEFAULT), examples, 10):
        assert np.bincount(examples.labels[fold.test]).tolist() == [20, 20]


def test_how_a_subject_is_cut_does_not_depend_on_who_else_is_there(marked):
    both = marked()
    one = both._replace(**{name: getattr(both, name)[200:] for name in ("values", "labels", "groups", "subjects")})
    for name in (DEFAULT, "segment-kfold"):
        alone, beside = (folds(protocol(name), examples, seed=3) for examples in (one, both))
        beside = [fold for fold in beside if fold.subject == "s02"]
        assert all(np.array_equal(a.test + 200, b.test) for a, b in zip(alone, beside, strict=True))


@pytest.mark.parametrize("name", [DEFAULT, "segment-kfold", "subject-kfold"])
def test_the_seed_decides_who_meets_whom(name, marked):
    examples = marked(subjects=6)
    first, again, other = (folds(protocol(name), examples, 2, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("name", "k", "data", "sentence"),
    [
        (DEFAULT, 21, {}, "s01 has 20 trials, fewer than the 21 folds"),
        (DEFAULT, 5, {"windows": 1, "trials": 8}, "s01 has at most 4 rows of a class, fewer than the 5 folds"),
        (DEFAULT, 1, {}, "1 folds came; wanted at least 2"),
        ("segment-kfold", 201, {}, "s01 has 200 rows, fewer than the 201 folds"),
        ("leave-one-trial-out", 4, {}, "makes a fold of every trial, and 4 folds came"),
        ("leave-one-trial-out", None, {"trials": 2}, "fold s01-1 has no row of class"),
        ("leave-one-subject-out", None, {"subjects": 1}, "needs at least 2 subjects, and 1 came; take more of them$"),
        ("subject-kfold", None, {"subjects": 4}, "needs at least 5 subjects, and 4 came; .*, or fewer folds"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_its_numbers(name, k, data, sentence, marked):
    with pytest.raises(InvalidInput, match=sentence):
        folds(protocol(name), marked(**data), k)


def test_a_subject_that_cannot_be_cut_leaves_the_others(marked):
    examples = marked()
    labels = np.where(examples.subjects == 0, 0, examples.labels)
    refused, *others = folds(protocol(DEFAULT), examples._replace(labels=labels))
    assert refused.why_not == "s01 has no trial of class 'high' among its 20; leave this subject out"
    assert len(others) == 5
    assert not any(fold.why_not for fold in others)


def test_a_value_that_is_no_number_costs_its_subject_and_is_found_by_its_trial(marked):
    examples = marked()
    examples.values[3 * 10 + 200, 5] = np.nan  # the fourth trial of the second
    *others, refused = folds(protocol(DEFAULT), examples)
    assert refused.why_not == "s02 has a value that is no number in trial 4 of 20; leave this subject out"
    assert [fold.why_not for fold in others] == [""] * 5
    with pytest.raises(InvalidInput, match="s02 has a value that is no number in trial 4"):
        folds(protocol("leave-one-subject-out"), examples)


def test_a_fold_whose_training_lacks_a_class_leaves_the_others(marked):
    examples = marked()
    labels = np.where(examples.subjects == 0, examples.groups == 7, examples.labels).astype(np.int64)
    cut = folds(protocol("leave-one-trial-out"), examples._replace(labels=labels))
    sentence = "fold s01-8 has no row of class 'high' to train on; ask for other folds"
    assert [fold.why_not for fold in cut if fold.why_not] == [sentence]


def test_a_trial_that_two_subjects_share_is_refused_where_it_would_leak(marked):
    examples = marked()
    with pytest.raises(InvalidInput, match="fold s01 has rows of group 0 in training and in test"):
        folds(protocol("leave-one-subject-out"), examples._replace(groups=examples.groups % 20))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"labels": np.zeros(3, np.int64)}, "400, 3, 400, 400 values, labels, groups and subjects"),
        ({"classes": ("low",)}, "labels 0 to 1 came with the names low"),
        ({"names": ("s01", "s01")}, "subjects 0 to 1 came with the names s01, s01"),
    ],
)
def test_examples_that_do_not_fit_together_are_refused(changed, sentence, marked):
    with pytest.raises(InvalidInput, match=sentence):
        folds(protocol(DEFAULT), marked()._replace(**changed))


def test_an_unknown_protocol_is_told_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'trial-kfold'"):
        protocol("trials-kfold")
