from dataclasses import replace

import numpy as np
import pytest

from ninefold.data.eeg.recording import Recording, Subject, cut
from ninefold.errors import CorruptFile, InvalidInput


@pytest.fixture
def subject():
    volts = np.random.default_rng(0).normal(size=(2, 3, 40))
    return Subject("s01", volts, 10.0, ("Fz", "Cz", "Pz"), 1.0, np.full((2, 4), 5.0))


def test_a_whole_subject_passes(subject):
    subject.check()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"channels": ("Fz", "Cz")}, "s01 has 2 trials of 3 channels, 2 names of channels"),
        ({"ratings": np.full((2, 3), 5.0)}, r"ratings of shape \(2, 3\); wanted a name per channel and 4 ratings"),
        ({"volts": np.empty((0, 3, 40)), "ratings": np.empty((0, 4))}, "s01 has 0 trials"),
        ({"rest": 4.0}, "trials of 40 samples, and 4 s of rest at 10 Hz are as long"),
    ],
)
def test_what_does_not_meet_is_refused(change, sentence, subject):
    with pytest.raises(CorruptFile, match=sentence):
        replace(subject, **change).check()


def test_trials_are_cut_with_their_rest():
    run = Recording(np.arange(200.0).reshape(2, 100), 10.0, ("Fz", "Cz"))
    subject = cut(run, [2.0, 6.0], np.full((2, 4), 5), name="s01", seconds=3, rest=1)
    assert subject.volts[1, 0].tolist() == list(range(50, 90))
    assert (subject.rest, subject.channels, subject.ratings.dtype) == (1, ("Fz", "Cz"), np.float64)


@pytest.mark.parametrize("onset", [0.5, 7.5])
def test_a_trial_beyond_the_recording_is_refused(onset):
    run = Recording(np.zeros((2, 100)), 10.0, ("Fz", "Cz"))
    with pytest.raises(InvalidInput, match=r"trial 2 of s01 reaches from .* and the recording has 10 s; leave it out"):
        cut(run, [2.0, onset], np.full((2, 4), 5.0), name="s01", seconds=3, rest=1)


@pytest.mark.parametrize(("onsets", "ratings"), [([], (0, 4)), ([2.0], (2, 4))])
def test_every_trial_to_be_cut_wants_its_ratings(onsets, ratings):
    run = Recording(np.ones((2, 100)), 10.0, ("Fz", "Cz"))
    with pytest.raises(InvalidInput, match="came for s01; wanted at least one onset, and 4 ratings for each"):
        cut(run, onsets, np.full(ratings, 5.0), name="s01", seconds=3, rest=1)
