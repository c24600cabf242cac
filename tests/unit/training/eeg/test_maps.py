import sys

import numpy as np
import pytest
from PIL import Image

from ninefold.data.eeg.cohort import SyntheticCohort
from ninefold.data.eeg.deap import SETUP
from ninefold.data.eeg.features import Measured, finished
from ninefold.data.eeg.recording import Setup
from ninefold.training.eeg import EegSettings, figures
from ninefold.training.eeg.rows import Person, measure_all

SETTINGS = EegSettings("a folder")


@pytest.fixture(scope="module")
def people():
    return measure_all(SyntheticCohort("easy", [1, 2], trials=6, seconds=4), SETTINGS.features(), "none")[0]


def test_maps_are_means_over_windows_then_trials_then_people(people):
    low, high = figures.class_means(people, SETTINGS)
    expected = np.zeros((2, 4, 32))
    for person in people:
        values = finished(person.measured, "remove", "none")
        rated = person.measured.ratings[:, 0] > 5
        expected += [values[~rated].mean(axis=(0, 1)) / 2, values[rated].mean(axis=(0, 1)) / 2]
    np.testing.assert_allclose([low, high], expected, rtol=1e-12)


def test_who_has_one_class_only_is_in_no_map(people, tmp_path, monkeypatch):
    one = people[0].measured
    alike = Person("s09", Measured(one.windows + 1, one.rest, np.full_like(one.ratings, 9.0)), SETUP)
    monkeypatch.setitem(sys.modules, "mne", None)
    without, beside = (drawn(some, tmp_path / "maps.png", monkeypatch) for some in (people, [*people, alike]))
    np.testing.assert_array_equal(without, beside)
    figures.draw_topography(tmp_path / "none.png", [alike], SETTINGS)
    assert not (tmp_path / "none.png").exists()


def drawn(people, path, monkeypatch):
    sheets = []
    monkeypatch.setattr(figures, "save_sheet", lambda sheet, to: (sheets.append(sheet), sheet.savefig(to)))
    figures.draw_topography(path, people, SETTINGS)
    return [axes.images[0].get_array() for axes in sheets[0].axes[:12]]


def test_without_mne_the_map_is_the_plane_of_cells(people, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    images = drawn(people, tmp_path / "maps.png", monkeypatch)
    low, high = figures.class_means(people, SETTINGS)
    assert all(image.shape == (9, 9) for image in images)
    assert [int(image.count()) for image in images] == [32] * 12
    assert images[0][4, 4] == low[0, 23]  # Cz, in theta
    assert images[11][4, 4] == high[3, 23] - low[3, 23]
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.width > 500


def test_with_mne_the_map_is_a_head(people, tmp_path, monkeypatch):
    pytest.importorskip("mne")
    images = drawn(people, tmp_path / "maps.png", monkeypatch)
    assert all(image.shape[0] > 9 for image in images)


@pytest.fixture
def drawn_of(tmp_path, monkeypatch):
    pytest.importorskip("mne")

    def draw(*channels):
        setup = Setup(channels, 256.0, 1.0)
        cohort = SyntheticCohort("easy", [1], trials=6, seconds=2, setup=setup)
        return drawn(measure_all(cohort, SETTINGS.features(), "none")[0], tmp_path / "maps.png", monkeypatch)

    return draw


@pytest.mark.parametrize("channels", [("Fz", "FCz", "CP3", "Oz"), ("fz", "F3-Ref", "Oz")], ids=" ".join)
def test_the_head_has_the_recordings_own_electrodes(channels, drawn_of):
    images = drawn_of(*channels)
    assert len(images) == 12
    assert all(image.shape[0] > 9 for image in images)


@pytest.mark.parametrize("channels", [("FCz", "FCz-Ref", "C3"), ("Fz", "FCz", "CPz"), ("FCz",), ("Cz",)], ids=" ".join)
def test_electrodes_in_one_place_or_line_are_drawn_on_the_plane(channels, drawn_of):
    images = drawn_of(*channels)
    assert [int(image.count()) for image in images] == [len(channels)] * 12


def test_where_no_place_is_known_nothing_is_drawn(drawn_of):
    with pytest.raises(IndexError):
        drawn_of("B7", "D31")
