import json
from pathlib import Path

import pytest

from ninefold.app.main import run
from ninefold.data.eeg.synthetic import synthetic_files


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    synthetic_files(folder, "easy", [1, 2], trials=12, seconds=8)
    return folder


def eeg(*words, jobs="1"):
    return run(["eeg", *map(str, words), "--jobs", jobs])


def scores(text):
    return {row["model"]: row for row in json.loads(text)["scores"]}


@pytest.mark.slow
def test_noise_scores_under_the_published_protocol_and_the_table_says_why_not_to_believe_it(tmp_path, capsys):
    words = ("--data", "synthetic:null", "--models", "lda,svm", "--subjects", "1-2")
    leaky = ("--protocol", "segment-kfold", "--baseline", "remove", "--folds", 4, "--out", tmp_path / "leaks")
    assert eeg(*words, *leaky) == 0
    shown = capsys.readouterr().out
    assert "segment-kfold (it leaks)" in shown
    assert "accuracy, leaking" in shown
    assert shown.count(", off chance") == 2
    assert "the same rest is subtracted from all windows of a trial" in shown
    assert eeg(*words, *leaky, "--json") == 0
    found = scores(capsys.readouterr().out)
    assert found["lda"]["balanced"] > 0.75
    assert found["svm"]["balanced"] > 0.95
    assert found["svm"]["leaks"] is found["svm"]["null_off_chance"] is True

    honest = ("--protocol", "trial-kfold", "--baseline", "remove", "--out", tmp_path / "honest")
    assert eeg(*words, *honest, "--json") == 0
    found = scores(capsys.readouterr().out)
    for name in ("lda", "svm"):
        assert 0.35 < found[name]["balanced"] < 0.65  # three standard deviations of 80 trials
        assert 0.35 < found[name]["null"] < 0.65
        assert found[name]["leaks"] is found[name]["null_off_chance"] is False


def test_a_folder_of_deaps_files_scores_as_the_people_it_was_written_from(tmp_path, capsys):
    synthetic_files(tmp_path / "people", "realistic", [1])
    found = []
    for data, out in (("synthetic:realistic", "direct"), (tmp_path / "people", "files")):
        words = ("--data", data, "--subjects", 1, "--models", "lda", "--null-subjects", 0, "--json")
        assert eeg(*words, "--out", tmp_path / out) == 0
        found.append(json.loads(capsys.readouterr().out))
    direct, files = found
    assert direct["scores"] == files["scores"]
    assert direct["per_subject"] == files["per_subject"]


@pytest.mark.slow
def test_the_network_beside_the_others_in_several_processes(people, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("--data", people, "--models", "ccnn,mlp", "--folds", 2, "--epochs", 1, "--bands", "alpha,gamma")
    assert eeg(*words, "--null-subjects", 1, jobs="2") == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[3:6]] == ["ccnn", "mlp", "majority"]
    assert "null (1 person)" in out
    folder = Path("runs") / f"eeg-{people.name}-valence"
    assert f"all of it is in {folder}" in err
    assert (folder / "accuracies.png").is_file()


def test_the_paper_is_one_option_and_its_figure_stands_beside(people, tmp_path, capsys):
    words = ("--data", people, "--preset", "paper", "--models", "mlp", "--target", "arousal", "--null-subjects", 1)
    assert eeg(*words, "--out", tmp_path / "study") == 0
    out = capsys.readouterr().out
    assert "published on DEAP" in out
    assert "0.8868, sd 0.0504" in out
    settings = json.loads((tmp_path / "study" / "report.json").read_text())["settings"]
    assert (settings["protocol"], settings["folds"], settings["recipe"]) == ("segment-kfold", 10, "paper")


def test_a_folder_is_named_by_itself_taken_up_again_and_numbered_for_other_settings(
    people, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ("--data", people, "--models", "lda", "--folds", 2, "--null-subjects", 0)
    for more, number in (((), ""), ((), ""), (("--seed", 1), "-2")):
        assert eeg(*words, *more) == 0
        assert f"all of it is in runs/eeg-{people.name}-valence{number}\n" in capsys.readouterr().err


def test_a_damaged_file_is_one_sentence_and_exit_code_one(tmp_path, capsys):
    synthetic_files(tmp_path / "people", "easy", [1, 2], trials=10, seconds=6)
    path = tmp_path / "people" / "s02.dat"
    path.write_bytes(path.read_bytes()[:1000])
    words = ("--data", tmp_path / "people", "--models", "lda", "--folds", 2, "--null-subjects", 0)
    assert eeg(*words, "--out", tmp_path / "study") == 1
    out, err = capsys.readouterr()
    assert "1 person, 10 trials" in out
    assert next(line for line in err.splitlines() if "s02.dat" in line).endswith("left out")


def test_a_model_that_cannot_learn_from_so_few_windows_leaves_the_others(tmp_path, capsys):
    synthetic_files(tmp_path / "people", "easy", [1], trials=8, seconds=1)
    words = ("--data", tmp_path / "people", "--models", "knn,tree", "--folds", 2, "--null-subjects", 0)
    assert eeg(*words, "--out", tmp_path / "study") == 1
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["tree", "majority"]
    assert "knn on fold s01-1: ValueError: Expected n_neighbors" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--data", "nowhere"], 1, "nowhere is no folder"),
        (["--data", "synthetic:real"], 2, "did you mean 'realistic'"),
        (["--data", "synthetic:null", "--protocol", "loso"], 2, "no protocol is called 'loso'"),
        (["--data", "synthetic:null", "--subjects", "4-1"], 2, "4-1"),
        (["--data", "synthetic:null", "--preset", "fast"], 2, "no preset is called 'fast'"),
        (["--data", "synthetic:null", "--models", ""], 2, "no model came"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_a_sentence(words, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert eeg(*words) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_settings_is_refused(people, tmp_path, capsys):
    words = ("--data", people, "--models", "lda", "--folds", 2, "--null-subjects", 0, "--out", tmp_path / "study")
    assert eeg(*words) == 0
    assert eeg(*words, "--target", "arousal") == 1
    assert "was started with target='valence', and target='arousal' came" in capsys.readouterr().err
