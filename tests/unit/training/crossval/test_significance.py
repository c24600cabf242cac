import numpy as np
import pytest

from ninefold.training.crossval import interval, off_chance, signed_rank
from ninefold.training.crossval.significance import too_few


def test_the_interval_holds_the_mean_and_narrows_with_subjects():
    scores = np.random.default_rng(0).normal(0.7, 0.1, size=64)
    (low, high), (few_low, few_high) = interval(scores), interval(scores[:8])
    assert low < scores.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 8, rel=0.05)  # what normal theory says
    assert high - low < few_high - few_low
    assert interval([0.7]) is None


def test_the_interval_is_the_same_for_the_same_seed():
    scores = [0.5, 0.6, 0.8]
    assert interval(scores, seed=1) == interval(scores, seed=1)
    assert interval(scores, sure=0.5)[0] > interval(scores)[0]


def test_signed_ranks_take_differences_that_rounding_makes_for_ties():
    first, second = [0.3, 0.8, 0.55, 0.6], [0.1 + 0.1, 0.7, 0.45, 0.7]
    assert signed_rank(first, second) == signed_rank([1, 1, 1, -1], [0, 0, 0, 0])


def test_six_subjects_are_the_fewest_that_can_differ_significantly():
    assert signed_rank([0.1] * 5, [0.0] * 5) > 0.05 > signed_rank(np.arange(1, 7) / 10, [0.0] * 6)


def test_subjects_that_score_alike_do_not_count_towards_the_six():
    first, second = [0.6, 0.7, 0.8, 0.9, 0.5, 0.5, 0.5, 0.2 + 0.1], [0.5] * 7 + [0.3]
    assert signed_rank(first, second) > 0.05
    assert too_few(first, second) == "of 8 subjects 4 score differently, and of so few no p-value can be below 0.05"
    assert too_few([0.6] * 6, [0.5] * 6) == ""
    assert too_few([0.6], [0.5]) == "a p-value needs two subjects at least"


def test_a_model_that_knows_the_trial_is_off_chance_and_one_that_guesses_is_not(marked):
    examples = marked()
    guessed = np.random.default_rng(1).integers(2, size=len(examples.labels))
    by_trial = np.repeat(np.random.default_rng(2).integers(2, size=40), 10)
    assert off_chance(examples, examples.labels) is True
    assert off_chance(examples, guessed) is False
    assert off_chance(examples, by_trial) is False


def test_rows_of_a_trial_do_not_count_as_many_trials(marked):
    examples = marked(trials=10, subjects=1, windows=100)
    right = examples.groups % 10 < 7  # seven trials of ten: nothing, though it would be much of a thousand rows
    assert off_chance(examples, np.where(right, examples.labels, 1 - examples.labels)) is False


def test_saying_always_the_commonest_class_is_chance(marked):
    examples = marked()
    skewed = examples._replace(labels=(examples.groups % 10 == 0).astype(np.int64))
    assert off_chance(skewed, np.zeros_like(skewed.labels)) is False


def test_too_few_trials_say_nothing(marked):
    examples = marked(subjects=1, trials=8)
    assert off_chance(examples, examples.labels) is None
