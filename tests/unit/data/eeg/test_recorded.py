"""People in a folder of recordings with a table of their trials."""

import numpy as np
import pytest

from ninefold.data.eeg.cohort import open_cohort
from ninefold.data.eeg.recording import Setup
from ninefold.errors import CorruptFile, InvalidInput, MissingData

mne = pytest.importorskip("mne", reason="needs the extra eeg")
HERTZ, NAMES = 200.0, ("Fz", "FCz", "EXG1")


def record(path, seed=0, names=NAMES, flat=False):
    """Write twenty seconds of noise, and give the volts as the file holds them."""
    volts = 1e-5 * np.random.default_rng(seed).normal(size=(len(names), 4000)).astype(np.float32)
    volts[-1] *= not flat
    info = mne.create_info(list(names), HERTZ, "eeg")
    mne.io.RawArray(volts, info, verbose="error").save(path, fmt="single", overwrite=True, verbose="error")
    return volts


def write_table(folder, *lines):
    (folder / "trials.csv").write_text("\n".join(["file,onset,seconds,rest,valence,arousal", *lines]))


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("anna.fif", "bert.fif", "carl.fif")):
        record(tmp_path / name, seed)
    write_table(tmp_path, *(f"{name}.fif,{onset},4,1,7,3" for name in ("carl", "anna") for onset in (2, 9.5)))
    return tmp_path


def test_trials_are_cut_out_of_the_recordings_that_the_table_names(folder):
    cohort = open_cohort(str(folder))
    assert cohort.names == ("carl", "anna")
    assert cohort.setup("anna") == Setup(("Fz", "FCz"), HERTZ, 1.0)
    anna = cohort.subject("anna")
    assert (anna.name, anna.channels, anna.hertz, anna.rest) == ("anna", ("Fz", "FCz"), HERTZ, 1)
    expected = record(folder / "again_raw.fif")[:2, 1700:2700]  # the second trial, and the second before it
    np.testing.assert_allclose(anna.volts[1], expected, rtol=1e-6)
    np.testing.assert_array_equal(anna.ratings[:, :2], [[7, 3], [7, 3]])
    assert np.isnan(anna.ratings[:, 2:]).all()


def test_people_are_counted_as_they_come_in_the_table_and_channels_chosen_by_name(folder):
    cohort = open_cohort(str(folder), [2], ["EXG1", "Fz"])
    assert cohort.names == ("anna",)
    assert cohort.setup("anna").channels == cohort.subject("anna").channels == ("EXG1", "Fz")
    with pytest.raises(MissingData, match=r"trials\.csv has nobody of number 3; it names carl, anna"):
        open_cohort(str(folder), [1, 3])


def test_a_digest_changes_with_recording_table_and_channels(folder):
    digests = [open_cohort(str(folder), None, channels).digest("anna") for channels in ((), ("Fz",))]
    write_table(folder, "anna.fif,2,4,1,7,3")
    digests.append(open_cohort(str(folder)).digest("anna"))
    record(folder / "anna.fif", seed=9)
    digests.append(open_cohort(str(folder)).digest("anna"))
    assert len(set(digests)) == 4


def test_a_trial_outside_of_the_recording_and_a_flat_channel_cost_their_person(folder):
    write_table(folder, "anna.fif,17,4,1,7,3", "bert.fif,0.5,4,1,7,3", "carl.fif,2,4,1,7,3")
    record(folder / "carl.fif", names=("Fz", "Cz"), flat=True)
    cohort = open_cohort(str(folder))
    for name, kind, said in (
        ("anna", InvalidInput, "trial 1 of anna reaches from 16 to 21 s, and the recording has 20 s"),
        ("bert", InvalidInput, "trial 1 of bert reaches from -0.5 to 4.5 s"),
        ("carl", CorruptFile, r"carl\.fif: carl, trial 1: channel Cz is flat"),
    ):
        with pytest.raises(kind, match=said):
            cohort.subject(name)


def test_a_folder_without_a_table_asks_for_one(folder):
    (folder / "trials.csv").unlink()
    with pytest.raises(MissingData, match=r"holds recordings and no trials\.csv; write one"):
        open_cohort(str(folder))


def test_channels_are_not_chosen_of_other_data():
    with pytest.raises(InvalidInput, match=r"channels Fz, Cz came for synthetic:easy; .+ beside a trials\.csv only"):
        open_cohort("synthetic:easy", None, ("Fz", "Cz"))
