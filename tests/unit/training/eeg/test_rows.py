import numpy as np
import pytest

from ninefold.data.eeg.cohort import SyntheticCohort
from ninefold.data.eeg.deap import SETUP
from ninefold.data.eeg.features import Measured, finished
from ninefold.data.eeg.filters import BANDS
from ninefold.data.eeg.recording import Setup
from ninefold.errors import CorruptFile, InvalidInput
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
    assert rows_of([Person("s01", one, SETUP)], SETTINGS).labels.tolist() == [0, 1, 0]


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

    def setup(self, _name):
        return SETUP


def test_who_cannot_be_read_is_left_out_with_a_sentence():
    people, left_out = measure_all(Damaged(["s01", "s02"], ["s01"]), SETTINGS.features(), "none")
    assert [person.name for person in people] == ["s02"]
    assert left_out == ["s01.dat, trial 3: channel Cz is flat; left out"]


def test_when_nobody_can_be_read_it_is_an_error():
    with pytest.raises(CorruptFile, match=r"s02\.dat"):
        measure_all(Damaged(["s02", "s03"], ["s02", "s03"]), SETTINGS.features(), "none")


class Apart(Damaged):
    """People recorded in different ways."""

    def __init__(self, *setups):
        super().__init__([f"s0{number + 1}" for number in range(len(setups))], ())
        self.setups = dict(zip(self.names, setups, strict=True))

    def setup(self, name):
        return self.setups[name]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (SETUP._replace(hertz=256.0), "s01 was recorded at 128 Hz with 3 s of rest, and s02 at 256 Hz with 3 s"),
        (SETUP._replace(rest=0.0), "s02 at 128 Hz with 0 s"),
        (SETUP._replace(channels=(*SETUP.channels[1:], "FCz")), "different channels: one has Fp1, FCz, the other not"),
        (SETUP._replace(channels=SETUP.channels[::-1]), "different channels: their order differs"),
    ],
    ids=["rate", "rest", "channels", "order"],
)
def test_people_recorded_in_different_ways_are_refused(other, said):
    with pytest.raises(InvalidInput, match=said):
        measure_all(Apart(SETUP, other), SETTINGS.features(), "none")


def test_a_target_that_was_not_rated_is_refused(people):
    ratings = np.full((4, 4), 5.0)
    ratings[:, 3] = np.nan
    unrated = [people[0]._replace(measured=people[0].measured._replace(ratings=ratings))]
    with pytest.raises(InvalidInput, match="s01 has no ratings of liking; take another target"):
        rows_of(unrated, EegSettings("a folder", target="liking"))


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


@pytest.mark.parametrize("rest", [0.0, 0.5, 2.0])
def test_the_null_has_the_electrodes_the_rate_and_the_rest_of_the_recordings(rest):
    setup = Setup(("Fz", "B7", "Cz", "B9", "D31"), 203.7, rest)
    shape = (3, 6, len(BANDS), 5)
    own = Measured(np.zeros(shape), np.zeros(shape[:1] + shape[2:]), np.full((3, 4), 5.0))
    settings = EegSettings("a folder", window=0.7, baseline="keep")
    (noise,) = null_people([Person("anna", own, setup)], settings)
    assert noise.setup == setup
    assert noise.measured.windows.shape == shape
    assert np.isnan(noise.measured.rest).all() == (rest == 0)
    volts = np.exp(2 * noise.measured.windows) / (2 * np.pi * np.e)
    assert 1e-14 < volts.min() < volts.max() < 1e-8  # square volts: no channel is silent
