"""Features are measured once per recording and settings; a damaged file costs only time."""

import numpy as np
import pytest

from ninefold.data.eeg import feature_cache
from ninefold.data.eeg.cohort import Cohort
from ninefold.data.eeg.feature_cache import measured
from ninefold.data.eeg.features import Features, measure
from ninefold.data.eeg.filters import BANDS
from ninefold.data.eeg.recording import Setup, Subject


class One(Cohort):
    """One person of noise, who counts how often the recording is read."""

    def __init__(self, seed=0):
        super().__init__(("s01",))
        self.seed, self.reads = seed, 0

    def subject(self, name):
        self.reads += 1
        volts = 1e-5 * np.random.default_rng(self.seed).normal(size=(2, 3, 640))
        return Subject(name, volts, 128.0, ("Fz", "Cz", "Pz"), 1.0, np.full((2, 4), 5.0))

    def setup(self, _name):
        return Setup(("Fz", "Cz", "Pz"), 128.0, 1.0)

    def digest(self, name):
        return f"{name} {self.seed}"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    return tmp_path / "eeg"


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_recording_is_measured_once_per_settings():
    cohort, expected = One(), measure(One().subject("s01"))
    for _ in range(2):
        assert same(measured(cohort, "s01", Features()), expected)
    assert cohort.reads == 1
    for settings in (Features(order=2), Features(bands=BANDS[1:]), Features(window=0.5)):
        assert same(measured(cohort, "s01", settings), measure(cohort.subject("s01"), settings))
    assert cohort.reads == 7


def test_another_recording_of_the_same_name_is_measured():
    measured(One(), "s01", Features())
    other = One(seed=1)
    assert same(measured(other, "s01", Features()), measure(One(seed=1).subject("s01")))
    assert other.reads == 1


@pytest.mark.parametrize("damage", [b"", b"no features", None])
def test_a_damaged_file_is_measured_again_and_mended(cache, damage):
    expected = measured(One(), "s01", Features())
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-8] if damage is None else damage)
    assert same(measured(One(), "s01", Features()), expected)
    assert file.read_bytes() == content


def test_nothing_is_kept_where_nothing_may_be(cache, monkeypatch):
    cohort = One()
    for _ in range(2):
        measured(cohort, "s01", Features(), keep=False)
    assert cohort.reads == 2
    assert not cache.exists()

    def full(path, data):  # noqa: ARG001  # as the writer's
        raise OSError

    monkeypatch.setattr(feature_cache, "write_bytes", full)
    assert np.isfinite(measured(cohort, "s01", Features()).windows).all()
