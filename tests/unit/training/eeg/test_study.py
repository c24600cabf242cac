import json
import multiprocessing
import os
import signal
import sys
import time

import numpy as np
import pytest

from ninefold.data.eeg.synthetic import synthetic_files
from ninefold.errors import InvalidInput, MissingData, RunError
from ninefold.training.crossval import Row, protocol
from ninefold.training.eeg import EegSettings, study
from ninefold.training.eeg.published import published
from ninefold.training.eeg.sentences import remarks


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    synthetic_files(folder, "null", [1, 2], trials=14, seconds=12)
    return folder


def studied(people, out, **more):
    settings = EegSettings(str(people), **{"models": ("lda",), "folds": 3, **more})
    return study(settings, out, jobs=1, progress="none")


def test_a_study_writes_everything(people, tmp_path):
    report = studied(people, tmp_path / "study")
    assert {path.name for path in (tmp_path / "study").iterdir()} == {
        *("config.yaml", "folds", "null", "report.json", "accuracies.png", "topography.png")
    }
    assert len(list((tmp_path / "study" / "folds").iterdir())) == 2 * 2 * 3  # models, people, folds
    document = json.loads((tmp_path / "study" / "report.json").read_text())
    assert document["subjects"] == ["s01", "s02"]
    assert (document["trials"], document["rows"]) == (28, 336)
    assert [row["model"] for row in document["scores"]] == ["lda", "majority"]
    assert [one["subject"] for one in document["per_subject"]["lda"]] == ["s01", "s02"]
    mean = np.mean([one["accuracy"] for one in document["per_subject"]["lda"]])
    assert mean == pytest.approx(report.scores[0].accuracy)
    assert document["protocol"]["leaks"] is False
    assert document["null_subjects"] == ["s01", "s02"]
    assert document["failures"] == []


def test_a_study_that_was_done_is_not_done_again(people, tmp_path):
    first = studied(people, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("**/folds/*")}
    again = studied(people, tmp_path)
    assert (again.scores, again.per_subject) == (first.scores, first.per_subject)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("**/folds/*")} == kept


def test_a_folder_that_another_process_studies_in_is_refused(people, taken):
    with pytest.raises(RunError, match=r"process \d+ is working in .*taken"):
        studied(people, taken)
    assert not (taken / "config.yaml").exists()


def _study_and_stop(people, out):
    def watch(_frame, event, _argument):
        if event == "call" and len(list(out.glob("folds/*.json"))) >= 3:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    studied(people, out)


def test_a_killed_study_goes_on_and_ends_as_one_that_was_not(people, tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_study_and_stop, args=(people, tmp_path / "killed"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed" / "folds").glob("*.json")}
    assert len(kept) == 3
    time.sleep(0.01)
    killed, whole = studied(people, tmp_path / "killed"), studied(people, tmp_path / "whole")
    assert killed.scores == whole.scores
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_damaged_file_and_a_missing_class_cost_only_their_people(tmp_path):
    synthetic_files(tmp_path / "people", "easy", [1, 2, 3], trials=10, seconds=6)
    path = tmp_path / "people" / "s02.dat"
    path.write_bytes(path.read_bytes()[:1000])
    report = studied(tmp_path / "people", tmp_path / "study", folds=2)
    assert report.subjects == ("s01", "s03")
    (sentence,) = report.failures
    assert "s02.dat" in sentence
    assert sentence.endswith("left out")


def test_what_cannot_be_found_leaves_no_folder(tmp_path):
    with pytest.raises(MissingData, match="is no folder"):
        studied(tmp_path / "nowhere", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_more_folds_than_trials_name_a_person(people, tmp_path):
    with pytest.raises(InvalidInput, match="s01 has 14 trials"):
        studied(people, tmp_path, folds=20)


def test_the_published_figures_are_those_of_the_abstract():
    headline = [one for one in published() if one.model == "ccnn" and len(one.bands) == 4 and one.baseline == "remove"]
    assert {one.target: round(one.accuracy, 4) for one in headline} == {"arousal": 0.9024, "valence": 0.8945}
    assert len(published()) == 2 * 15 * 4
    assert all(0.5 < one.accuracy < 0.91 and 0.04 < one.sd < 0.11 for one in published())


def test_published_figures_stand_beside_the_published_protocol_only(people, tmp_path):
    report = studied(people, tmp_path / "leak", protocol="segment-kfold", folds=10, models=("lda", "mlp"))
    beside = report.beside("mlp")
    assert (beside.accuracy, beside.target, beside.baseline) == (0.8782, "valence", "remove")
    assert report.beside("lda") is None
    assert studied(people, tmp_path / "honest").published == ()


def row(**more):
    figures = {"accuracy": 0.9, "sd": 0.1, "interval": (0.8, 1.0), "balanced": 0.9, "macro_f1": 0.9, "majority": 0.6}
    return Row(
        **{"model": "svm", "subjects": 8, **figures, "null": 0.93, "null_off_chance": True, "leaks": True, **more}
    )


def test_a_null_off_chance_is_called_out_with_its_reason():
    settings = EegSettings("synthetic:null", protocol="segment-kfold")
    leak, off = remarks(settings, protocol("segment-kfold"), [row()])
    assert leak.startswith("segment-kfold leaks: ")
    assert "svm 0.930" in off
    assert "the same rest is subtracted" in off
    kept = remarks(EegSettings("synthetic:null", baseline="keep"), protocol("segment-kfold"), [row()])[1]
    assert "windows of a trial are alike" in kept
    (honest,) = remarks(EegSettings("synthetic:null"), protocol("trial-kfold"), [row(leaks=False)])
    assert "something that training and test share" in honest


def test_what_is_too_little_to_judge_by_is_said():
    settings, kind = EegSettings("synthetic:null"), protocol("trial-kfold")
    assert remarks(settings, kind, [row(null=0.5, null_off_chance=False)]) == ()
    (few,) = remarks(settings, kind, [row(null_off_chance=None)])
    assert "fewer than ten trials" in few
    (people,) = remarks(settings, kind, [row(subjects=3, null_off_chance=False)])
    assert "3 people" in people
    (alone,) = remarks(settings, protocol("leave-one-trial-out"), [row(null_off_chance=False)])
    assert alone.endswith("compare with 0.5 rather than with the majority")
    (tests,) = remarks(settings, kind, [row(null_off_chance=False)] * 3)
    assert tests == "the p-values are of 3 tests, and not corrected for their number"
    (none,) = remarks(EegSettings("synthetic:null", null_subjects=0), kind, [row(null=None, null_off_chance=None)])
    assert "no null" in none
