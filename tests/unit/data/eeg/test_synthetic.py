import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from ninefold.data.eeg.deap import CHANNELS, deap_files, read_deap
from ninefold.data.eeg.features import finished, measure
from ninefold.data.eeg.synthetic import Preset, synthetic_channels, synthetic_files, synthetic_subject
from ninefold.errors import InvalidInput, UnknownName


@pytest.fixture(scope="module")
def person():
    return synthetic_subject("realistic", 1, trials=20, seconds=12)


def test_a_person_is_whole(person):
    person.check()
    assert person.volts.shape == (20, 32, 15 * 128)
    assert (person.name, person.channels, person.hertz, person.rest) == ("s01", CHANNELS, 128, 3)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_person_is_the_same_whoever_was_made_before_and_wherever(threads):
    synthetic_subject("easy", 1, trials=2, seconds=2)
    here = synthetic_subject("easy", 2, trials=2, seed=3)
    code = (
        "import hashlib; from ninefold.data.eeg.synthetic import synthetic_subject as make;"
        "print(hashlib.sha256(make('easy', 2, trials=2, seed=3).volts.tobytes()).hexdigest())"
    )
    asked = os.environ | {"OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(here.volts.tobytes()).hexdigest()


@pytest.mark.parametrize("change", [{"number": 2}, {"seed": 1}, {"preset": "easy"}])
def test_another_number_seed_or_preset_is_another_person(change):
    made = {"preset": "realistic", "number": 1, "seed": 0}
    first, second = (synthetic_subject(**asked, trials=1, seconds=1) for asked in (made, made | change))
    assert not np.allclose(first.volts, second.volts, rtol=0.01, atol=0)


def test_ratings_lie_from_1_to_9_and_some_on_the_threshold():
    ratings = np.stack([synthetic_subject("null", n, trials=200, seconds=1).ratings for n in (1, 2)])
    assert ratings.min() >= 1
    assert ratings.max() <= 9
    assert 0.01 < np.mean(ratings == 5) < 0.2
    assert np.corrcoef(ratings[0, :, 0], ratings[1, :, 0])[0, 1] > 0.05  # trial k is the same stimulus for all


def test_potentials_lie_between_4_and_45_hertz_about_10_microvolts_strong(person):
    power = np.mean(np.abs(np.fft.rfft(person.volts)) ** 2, axis=(0, 1))
    hertz = np.fft.rfftfreq(person.volts.shape[2], 1 / 128)
    assert power[(hertz > 3.5) & (hertz < 45.5)].sum() / power.sum() > 0.999
    assert hertz[power.argmax()] == pytest.approx(10, abs=1)
    assert 2e-6 < np.sqrt(np.mean(person.volts**2)) < 5e-5


def test_potentials_are_to_the_average_of_all_electrodes(person):
    assert np.abs(person.volts.mean(axis=1)).max() < 1e-18


def test_near_electrodes_are_more_alike_than_distant_ones(person):
    alike = np.corrcoef(np.concatenate(list(person.volts), axis=1))
    back, near, far = (CHANNELS.index(name) for name in ("O1", "PO3", "AF4"))
    assert alike[back, near] > alike[back, far] + 0.3


def test_valence_shows_in_alpha_on_both_sides_of_the_front_and_not_at_rest():
    clear = Preset(effect=0.3, shared=1.0, trial=0.0, stimulus=0.0)
    subject = synthetic_subject(clear, 1, trials=40, seconds=10)
    left, right = (CHANNELS.index(name) for name in ("F3", "F4"))
    measured = measure(subject)
    stimulus, rest = (x[:, 1, left] - x[:, 1, right] for x in (measured.windows.mean(axis=1), measured.rest))
    assert np.corrcoef(stimulus, subject.ratings[:, 0])[0, 1] > 0.9
    assert abs(np.corrcoef(rest, subject.ratings[:, 0])[0, 1]) < 0.5


def accuracy(preset, folds, baseline):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import cross_val_score

    scores = []
    for number in (1, 2):
        subject = synthetic_subject(preset, number, seconds=30)
        rows = finished(measure(subject), baseline)  # (T, W, B, C)
        labels, trials = (np.repeat(of, rows.shape[1]) for of in (subject.ratings[:, 0] > 5, np.arange(len(rows))))
        x = rows.reshape(len(labels), -1)
        groups = trials if folds.__class__.__name__ == "StratifiedGroupKFold" else None
        scores.append(cross_val_score(LinearDiscriminantAnalysis(), x, labels, cv=folds, groups=groups).mean())
    return np.mean(scores)


def test_presets_tell_as_much_as_they_say():
    from sklearn.model_selection import KFold, StratifiedGroupKFold

    trials = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    assert accuracy("easy", trials, "keep") > 0.75
    assert accuracy("null", trials, "keep") < 0.6
    assert accuracy("null", trials, "remove") < 0.6
    assert accuracy("null", KFold(10, shuffle=True, random_state=0), "remove") > 0.75  # a trial is known by its rest


def test_files_hold_what_is_made_directly(tmp_path):
    synthetic_files(tmp_path / "new", "easy", [1, 12], trials=2, seconds=2)
    files = deap_files(tmp_path / "new")
    assert [path.name for path in files.values()] == ["s01.dat", "s12.dat"]
    subject, read = synthetic_subject("easy", 12, trials=2, seconds=2), read_deap(files[12])
    np.testing.assert_allclose(read.volts, subject.volts, rtol=1e-14)
    np.testing.assert_array_equal(read.ratings, subject.ratings)
    assert (read.name, read.channels, read.hertz, read.rest) == ("s12", CHANNELS, subject.hertz, subject.rest)


def test_eight_channels_of_the_body_follow_the_electrodes():
    volts, _ = synthetic_channels("null", 1, trials=2, seconds=20)
    assert volts.shape == (2, 40, 23 * 128)
    assert (np.ptp(volts, axis=2) > 0).all()
    breath = np.abs(np.fft.rfft(volts[0, 37]))
    assert np.fft.rfftfreq(23 * 128, 1 / 128)[breath.argmax()] == pytest.approx(0.25, abs=0.03)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(UnknownName, match="no preset is called 'nul'; did you mean 'null'"):
        synthetic_subject("nul", 1)
    for wrong in ({"number": 0}, {"trials": 0}, {"seconds": 0}, {"seed": -1}):
        with pytest.raises(InvalidInput, match=rf"{next(iter(wrong))} is -?\d; wanted [01] or more"):
            synthetic_subject(**{"preset": "null", "number": 1} | wrong)
