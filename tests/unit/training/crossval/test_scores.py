import numpy as np
import pytest

from ninefold.records import Examples
from ninefold.training.crossval import Outcome, figures, pairs, protocol, table

LABELS = np.array([0, 0, 0, 1, 0, 0, 1, 1])
EXAMPLES = Examples(np.zeros((8, 1)), LABELS, np.arange(8), np.repeat([0, 1], 4), ("low", "high"), ("s01", "s02"))
GOOD = np.array([0, 0, 1, 1, 0, 0, 1, 1])
MAJORITY = np.zeros(8, np.int64)


def outcome(name="trial-kfold", **predicted):
    return Outcome(EXAMPLES, protocol(name), predicted, {}, (), 0)


def test_figures_are_those_of_the_definitions():
    first, second = figures(EXAMPLES, GOOD)
    assert first == ("s01", 4, 0.75, pytest.approx((2 / 3 + 1) / 2), pytest.approx((4 / 5 + 2 / 3) / 2))
    assert second == ("s02", 4, 1.0, 1.0, 1.0)


def test_rows_that_no_fold_predicted_count_neither_way():
    (first,) = figures(EXAMPLES, np.array([0, 0, -1, 1, -1, -1, -1, -1]))
    assert (first.subject, first.rows, first.accuracy) == ("s01", 3, 1.0)


def test_the_table_has_means_over_subjects_beside_majority_and_null():
    data, noise = outcome(good=GOOD, majority=MAJORITY), outcome("segment-kfold", good=LABELS)
    good, majority = table(data, noise)
    assert (good.accuracy, good.subjects, good.majority, good.leaks) == (0.875, 2, 0.625, False)
    assert good.sd == pytest.approx(np.std([0.75, 1.0], ddof=1))
    assert good.interval == (0.75, 1.0)
    assert (good.null, good.null_off_chance) == (1.0, None)  # eight trials are too few to tell
    assert (majority.balanced, majority.null) == (0.5, None)


def test_a_protocol_that_leaks_is_marked_in_every_row():
    assert [row.leaks for row in table(outcome("segment-kfold", a=GOOD, b=LABELS))] == [True, True]


def test_a_model_whose_folds_all_failed_has_no_row():
    (row,) = table(outcome(failed=np.full(8, -1), good=GOOD))
    assert (row.model, row.majority) == ("good", None)


def test_models_are_compared_over_the_rows_that_both_predicted():
    partly = np.where(np.arange(8) == 2, -1, GOOD)
    (pair,) = pairs(outcome(good=GOOD, partly=partly))
    assert (pair.first, pair.second, pair.subjects, pair.difference, pair.p) == ("good", "partly", 2, 0.0, 1.0)
    assert pair.remark == "of 2 subjects 0 score differently, and of so few no p-value can be below 0.05"


def test_every_pair_of_models_is_there_and_one_subject_gives_no_p():
    found = pairs(outcome(a=GOOD, b=MAJORITY, c=np.array([0, 0, 0, 0, -1, -1, -1, -1])))
    assert [(pair.first, pair.second) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p for pair in found] == [1.0, None, None]


def test_models_that_share_no_row_have_no_difference():
    (pair,) = pairs(outcome(a=GOOD, failed=np.full(8, -1)))
    assert (pair.subjects, pair.difference, pair.p) == (0, None, None)
