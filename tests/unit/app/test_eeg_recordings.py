"""`ninefold eeg` on a folder of recordings: people written as FIF, and the table of their trials."""

import json

import numpy as np
import pytest

from ninefold.app.main import run
from ninefold.data.eeg.recording import Setup
from ninefold.data.eeg.synthetic import synthetic_subject

mne = pytest.importorskip("mne", reason="needs the extra eeg")
SETUP = Setup(("AFz", "F3", "F4", "FCz", "C3", "C4", "CP3", "CP4", "POz", "O1", "O2"), 250.0, 1.0)
TRIALS, SECONDS = 10, 4


def write_people(folder, setups, *, dominance=False):
    """Write each as one run, trial after trial, with a table that says where they are."""
    folder.mkdir()
    lines = ["file,onset,seconds,rest,valence,arousal" + dominance * ",dominance"]
    for number, setup in enumerate(setups, start=1):
        one = synthetic_subject("easy", number, trials=TRIALS, seconds=SECONDS, setup=setup)
        run_of_all = np.concatenate(list(one.volts), axis=1)
        info = mne.create_info(list(setup.channels), setup.hertz, "eeg")
        mne.io.RawArray(run_of_all, info, verbose="error").save(folder / f"p{number}.fif", verbose="error")
        for trial, ratings in enumerate(one.ratings):
            onset = trial * (SECONDS + setup.rest) + setup.rest
            told = ",".join(f"{rating:.4f}" for rating in ratings[: 2 + dominance])
            lines.append(f"p{number}.fif,{onset:g},{SECONDS},{setup.rest:g},{told}")
    (folder / "trials.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("recorded") / "people", [SETUP, SETUP])


def eeg(*words):
    return run(["eeg", *map(str, words), "--folds", "2", "--jobs", "1"])


def test_the_network_and_its_null_follow_the_recordings(people, tmp_path, capsys):
    words = ("--data", people, "--models", "ccnn,lda", "--epochs", 1, "--null-subjects", 1, "--json")
    assert eeg(*words, "--out", tmp_path / "study") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["subjects"] == ["p1", "p2"]
    assert (document["trials"], document["rows"]) == (2 * TRIALS, 2 * TRIALS * SECONDS)
    assert [row["model"] for row in document["scores"]] == ["ccnn", "lda", "majority"]
    assert document["null_subjects"] == ["p1"]
    assert (tmp_path / "study" / "topography.png").is_file()


def test_channels_and_people_are_chosen_and_the_table_is_read_again(people, tmp_path, capsys):
    words = ("--data", people, "--models", "lda", "--null-subjects", 0, "--json", "--out", tmp_path / "study")
    assert eeg(*words, "--channels", "O1,F3,C4", "--subjects", 2) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["subjects"] == ["p2"]
    assert document["settings"]["channels"] == ["O1", "F3", "C4"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--models", "lda", "--channels", "O1,Fz"), 2, "no channel is called 'Fz'"),
        (("--models", "lda", "--target", "liking"), 2, "p1 has no ratings of liking; take another target"),
        (("--models", "lda", "--subjects", "1,3"), 1, "has nobody of number 3; it names p1, p2"),
    ],
    ids=["channel", "target", "person"],
)
def test_what_recordings_or_table_do_not_have_is_refused_in_a_sentence(words, code, said, people, tmp_path, capsys):
    assert eeg("--data", people, *words, "--out", tmp_path / "study") == code
    assert said in capsys.readouterr().err


def test_people_with_different_channels_are_named_and_those_of_both_can_be_chosen(tmp_path, capsys):
    other = SETUP._replace(channels=(*SETUP.channels[:-1], "Oz"))
    words = ("--data", write_people(tmp_path / "people", [SETUP, other]), "--models", "lda", "--null-subjects", 0)
    assert eeg(*words, "--out", tmp_path / "all") == 2
    assert "p1 and p2 have different channels: one has O2, Oz, the other not" in capsys.readouterr().err
    assert eeg(*words, "--channels", ",".join(SETUP.channels[:-1]), "--out", tmp_path / "some") == 0


def test_names_that_no_montage_has_are_refused_with_the_network_and_serve_the_others(tmp_path, capsys):
    other = SETUP._replace(channels=("B7", *SETUP.channels[1:]), rest=0.0)
    words = ("--data", write_people(tmp_path / "people", [other], dominance=True), "--out", tmp_path / "study")
    assert eeg(*words, "--models", "ccnn", "--baseline", "keep", "--target", "dominance") == 2
    assert "have no B7; leave them out or give positions, or leave ccnn out" in capsys.readouterr().err
    words = (*words, "--models", "lda", "--target", "dominance")
    assert eeg(*words) == 2
    assert "trials without a rest; take baseline='keep'" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
    assert eeg(*words, "--baseline", "keep") == 0
    assert not (tmp_path / "study" / "topography.png").exists()
