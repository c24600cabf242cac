"""Differential entropy beside the ways in which it is usually computed, on a person small enough for a test."""

import pytest

from ninefold.errors import InvalidInput
from ninefold.training.contest import eeg
from ninefold.training.contest.rounds import Times


def test_all_ways_agree():
    rows = eeg.contest(rounds=1, trials=2, seconds=4)
    assert [row.contestant for row in rows] == ["ninefold", "sosfilt", "published", "toolbox"]
    assert all(row.max_abs_error < 1e-9 for row in rows)
    assert all(row.ms >= row.min_ms > 0 for row in rows)


def test_times_of_a_part_are_scaled_up_to_the_whole(monkeypatch):
    seconds = {"ninefold": Times(0.2, 0.1), "sosfilt": Times(1, 1), "published": Times(2, 2), "toolbox": Times(3, 2)}
    monkeypatch.setattr(eeg, "alternate", lambda _calls, _rounds: seconds)
    ours, _, published, toolbox = eeg.contest(rounds=1, trials=5, seconds=1)
    assert (ours.ms, ours.min_ms, ours.ratio, ours.share) == (200, 100, 1, 1)
    assert (published.ratio, published.min_ratio) == (10, 20)
    assert (toolbox.ms, toolbox.share) == (pytest.approx(15_000), pytest.approx(0.2))
    assert (toolbox.ratio, toolbox.min_ratio) == (pytest.approx(75), pytest.approx(100))


def test_a_contest_of_no_rounds_or_trials_is_refused():
    with pytest.raises(InvalidInput, match="rounds=0"):
        eeg.contest(rounds=0, trials=1, seconds=1)
    with pytest.raises(InvalidInput, match="trials is 0"):
        eeg.contest(rounds=1, trials=0)
