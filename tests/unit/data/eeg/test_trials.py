"""The table of a folder of recordings: read line by line, and refused in a sentence that names the line."""

import numpy as np
import pytest

from ninefold.data.eeg.trials import TABLE, read_trials
from ninefold.errors import CorruptFile, MissingData

HEADER = "file,onset,seconds,valence,arousal\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("anna.edf", "bert.fif", "bert.edf"):
        (tmp_path / name).touch()
    return tmp_path


def write(folder, text):
    (folder / TABLE).write_text(text, encoding="utf-8")
    return folder


def test_a_line_is_a_trial_and_people_are_called_as_their_files(folder):
    lines = ("bert.fif,5,60,1,9", "anna.edf,3.5,60,7,2.5", "bert.fif,70,60,4,5")
    found = read_trials(write(folder, HEADER + "\n".join(lines)))
    assert [*found] == ["bert", "anna"]
    bert = found["bert"]
    assert (bert.path, bert.onsets, bert.seconds, bert.rest) == (folder / "bert.fif", (5, 70), 60, 0)
    nan = np.nan
    np.testing.assert_array_equal(bert.ratings, [[1, 9, nan, nan], [4, 5, nan, nan]])


def test_columns_come_in_any_order_with_more_than_is_needed(folder):
    text = "\ufeffliking, rest ,file,stimulus,arousal,valence,seconds,onset\n8,3, anna.edf,film 1,2,7,60,3\n\n"
    anna = read_trials(write(folder, text))["anna"]
    assert (anna.onsets, anna.rest) == ((3,), 3)
    np.testing.assert_array_equal(anna.ratings, [[7, 2, np.nan, 8]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column file, onset, seconds, valence, arousal, only nothing; wanted file,onset,seconds"),
        ("file,onset,valence\n", "has no column seconds, arousal, only file, onset, valence"),
        (HEADER, "has no row; wanted one for each trial"),
        (HEADER + "anna.edf,x,60,5,5", "line 2: onset is 'x'; wanted a number"),
        (HEADER + "anna.edf,1,60,5", "line 2: arousal is ''; wanted a number"),
        (HEADER + "anna.edf,1,60,nan,5", "line 2: valence is 'nan'; wanted a number"),
        (HEADER + "anna.edf,1,60,5,11", "line 2: arousal is 11; wanted 1 to 9"),
        (HEADER + "anna.edf,1,60,0,5", "line 2: valence is 0; wanted 1 to 9"),
        (HEADER + "anna.edf,-1,60,5,5", "line 2: onset -1, seconds 60, rest 0 came; wanted >= 0, > 0, >= 0"),
        (HEADER + "anna.edf,1,0,5,5", "line 2: onset 1, seconds 0, rest 0 came"),
        (HEADER + "anna.edf,1,60,5,5\nbert.fif,1,30,5,5", "line 3: seconds is 30, and 60 before; wanted the same"),
        (HEADER + "bert.fif,1,60,5,5\nbert.edf,1,60,5,5", "line 3: bert.edf came after bert.fif"),
        (HEADER + "anna.txt,1,60,5,5", r"line 2: file is 'anna.txt'; wanted the name of a .bdf, .edf, .fif file"),
        (HEADER + "../anna.edf,1,60,5,5", r"line 2: file is '../anna.edf'; wanted the name"),
        (HEADER + '"anna.edf,1,60,5,5', "cannot be read as a table"),
    ],
)
def test_what_cannot_be_is_refused(text, said, folder):
    with pytest.raises(CorruptFile) as caught:
        read_trials(write(folder, text))
    assert said in str(caught.value)
    assert TABLE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_refused(folder):
    (folder / TABLE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptFile, match="cannot be read as a table"):
        read_trials(folder)


def test_a_recording_that_is_not_there_is_named(folder):
    with pytest.raises(MissingData, match=r"line 2: carl\.edf is not in the folder; it holds anna\.edf, bert\.edf, "):
        read_trials(write(folder, HEADER + "carl.edf,1,60,5,5"))
