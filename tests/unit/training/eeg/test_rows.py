import numpy as np
import pytest

from ninefold.data.eeg.cohort import SyntheticCohort
from ninefold.data.eeg.features import Measured, finished
from ninefold.errors import CorruptFile
from ninefold.training.eeg import EegSettings
from ninefold.training.eeg.null import null_people
from ninefold.training.eeg.rows import Person, measure_all, rows_of

SETTINGS = EegSettings("a folder", bands=("alpha", "gamma"), target="arousal")


@pytest.fixture(scope="module")
def people():
    return measure_all(SyntheticCohort("easy", [1, 2, 3], trials=4, seconds=5), SETTINGS.features(), "none")[0]


def test_a_row_is_a_window_in_the_wanted_bands_scaled_over_all(people):
    examples = rows_of(people, SETTINGS)
    assert examples.values.shape == (3 * 4 * 5, 2, 32)
    expected = finished(people[1].measured)[2, 3, [1, 3]]  # second person, third trial, fourth window
    np.testing.assert_array_equal(examples.values[20 + 2 * 5 + 3], expected)


def test_a_group_is_a_trial_and_no_two_people_share_one(people):
    examples = rows_of(people, SETTINGS)
    np.testing.assert_array_equal(examples.groups, np.arange(12).repeat(5))
    np.testing.assert_array_equal(examples.subjects, np.arange(3).repeat(20))
    assert examples.names == ("s01", "s02", "s03")


def test_a_rating_of_five_is_low():
    ratings = np.full((3, 4), 9.0)
    ratings[:, 1] = 5.0, 5.1, 4.9
    one = Measured(np.zeros((3, 1, 4, 2)), np.zeros((3, 4, 2)), ratings)
    assert rows_of([Person("s01", one)], SETTINGS).labels.tolist() == [0, 1, 0]


class Damaged(SyntheticCohort.__base__):
    def __init__(self, names, wrong):
        super().__init__(names)
        self.whole, self.wrong = SyntheticCohort("easy", [1, 2, 3], trials=4, seconds=5), wrong

    def subject(self, name):
        if name in self.wrong:
            raise CorruptFile(f"{name}.dat, trial 3: channel Cz is flat")
        return self.whole.subject(name)

    def digest(self, name):
        return f"{name} {name in self.wrong}"


def test_who_cannot_be_read_is_left_out_with_a_sentence():
    people, left_out = measure_all(Damaged(["s01", "s02"], ["s01"]), SETTINGS.features(), "none")
    assert [person.name for person in people] == ["s02"]
    assert left_out == ["s01.dat, trial 3: channel Cz is flat; left out"]


def test_when_nobody_can_be_read_it_is_an_error():
    with pytest.raises(CorruptFile, match=r"s02\.dat"):
        measure_all(Damaged(["s02", "s03"], ["s02", "s03"]), SETTINGS.features(), "none")


def test_the_null_has_other_recordings_and_the_same_ratings(people):
    (noise,) = null_people(people, EegSettings("a folder", null_subjects=1))
    one = people[0].measured
    assert noise.name == "s01"
    np.testing.assert_array_equal(noise.measured.ratings, one.ratings)
    assert noise.measured.windows.shape == one.windows.shape
    assert (noise.measured.windows != one.windows).all()


def test_the_null_of_made_up_noise_is_other_noise():
    settings = EegSettings("synthetic:null", window=0.3, overlap=0.4)
    people, _ = measure_all(SyntheticCohort("null", [1], trials=2, seconds=3), settings.features(), "none")
    (noise,) = null_people(people, settings)
    assert noise.measured.windows.shape == people[0].measured.windows.shape
    assert (noise.measured.windows != people[0].measured.windows).all()


def test_the_null_has_as_many_people_as_the_protocol_needs(people):
    for protocol, folds, wanted in (
        ("trial-kfold", None, 1),
        ("leave-one-subject-out", None, 2),
        ("subject-kfold", 3, 3),
    ):
        settings = EegSettings("a folder", protocol=protocol, folds=folds, null_subjects=1)
        assert len(null_people(people, settings)) == wanted
    assert null_people(people, EegSettings("a folder", null_subjects=0)) == []
