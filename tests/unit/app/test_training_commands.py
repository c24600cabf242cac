"""`train`, `evaluate` and `predict`: one short run, from the options to the files."""

import json

import pytest

from ninefold.app.commands.train import _chosen
from ninefold.app.main import run
from ninefold.training import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("app") / "run"


@pytest.fixture(scope="module")
def trained(folder):
    arguments = ["train", "lenet5", "--data", "digits", "--epochs", "1", "--batch-size", "128", "--lr", "0.02"]
    options = ["--optimizer", "adam", "--schedule", "constant", "--weight-decay", "0", "--augment", "shift,rotate"]
    assert run([*arguments, *options, "--size", "32", "--seed", "3", "--out", str(folder), "--json"]) == 0
    return folder


def test_every_option_reaches_the_settings(trained):
    assert Settings.from_yaml((trained / "config.yaml").read_text()) == Settings(
        network="lenet5",
        data="digits",
        epochs=1,
        batch_size=128,
        lr=0.02,
        optimizer="adam",
        schedule="constant",
        weight_decay=0.0,
        augment=("shift", "rotate"),
        size=(32, 32),
        seed=3,
    )


def test_training_again_into_the_same_folder_is_refused(trained, capsys):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    assert run(["train", "lenet5", "--data", "digits", "--out", str(trained)]) == 1
    assert "--resume" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_evaluate_prints_what_it_writes(trained, capsys):
    assert run(["evaluate", str(trained), "--json"]) == 0
    out, _ = capsys.readouterr()
    printed = json.loads(out)
    assert printed.pop("run") == str(trained)
    assert printed == json.loads((trained / "report.json").read_text())
    assert printed["images"] == 359


def test_evaluate_gives_the_same_on_kernels(trained, capsys):
    assert run(["evaluate", str(trained), "--split", "validation", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert run(["evaluate", str(trained), "--split", "validation", "--json", "--compile"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["value"] == pytest.approx(plain["value"], abs=0.006)  # one picture of 180 at most
    assert json.loads(out)["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    assert "not compiled" not in err


def test_predict_gives_the_same_on_kernels(trained, tmp_path, capsys):
    assert run(["data", "digits", "--pictures", str(tmp_path), "--count", "2"]) == 0
    pictures = sorted(map(str, tmp_path.glob("*.png")))
    capsys.readouterr()
    found = []
    for options in ([], ["--compile"]):
        assert run(["predict", str(trained), *pictures, "--json", "--top", "10", *options]) == 0
        found.append(
            {
                (p["image"], c["class"]): c["probability"]
                for p in json.loads(capsys.readouterr().out)
                for c in p["classes"]
            }
        )
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_a_network_that_cannot_be_compiled_runs_as_it_is_and_says_why(trained, tmp_path, capsys, monkeypatch):
    from ninefold.compiler import compiled
    from ninefold.errors import Unsupported

    def refuse(*_):
        raise Unsupported("it is not to be captured")

    monkeypatch.setattr(compiled, "captured", refuse)
    assert run(["data", "digits", "--pictures", str(tmp_path), "--count", "1"]) == 0
    capsys.readouterr()
    assert run(["predict", str(trained), *map(str, tmp_path.glob("*.png")), "--compile"]) == 0
    out, err = capsys.readouterr()
    assert err == "the network was not compiled: it is not to be captured\n"
    assert "probability" in out


def test_evaluate_prints_a_table_for_people(trained, capsys):
    assert run(["evaluate", str(trained), "--split", "validation"]) == 0
    titles, _, values = capsys.readouterr().out.splitlines()
    report = json.loads((trained / "report-validation.json").read_text())
    assert titles.split()[:6] == ["network", "data", "split", "images", "accuracy", "loss"]
    assert values.split()[:5] == ["lenet5", "digits", "validation", "180", f"{report['value']:.4f}"]


def test_predict_names_the_most_probable_classes_of_each_picture(trained, tmp_path, capsys):
    assert run(["data", "digits", "--pictures", str(tmp_path), "--count", "3"]) == 0
    pictures = [str(path) for path in sorted(tmp_path.iterdir())]
    capsys.readouterr()
    assert run(["predict", str(trained), *pictures, "--top", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in found] == pictures
    for one in found:
        first, second = (each["probability"] for each in one["classes"])
        assert 0 <= second <= first <= 1
    assert run(["predict", str(trained), *pictures, "--top", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3 * 2


def test_predict_names_the_picture_that_is_not_there(trained, capsys):
    assert run(["predict", str(trained), "no-such.png"]) == 1
    assert "no-such.png" in capsys.readouterr().err


def test_without_out_a_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        run_folder = _chosen(Settings("lenet5", "digits"), resume=False)
        names.append(str(run_folder))
        run_folder.mkdir(parents=True)
    assert names == ["runs/lenet5-digits", "runs/lenet5-digits-2", "runs/lenet5-digits-3"]


def test_a_refused_call_names_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "lenett", "--data", "digits"]) == 2
    assert "run folder" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_processes_that_were_started_together_must_be_told_their_folder(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run(["train", "lenet5", "--data", "digits", "--devices", "2"]) == 2
    assert "--out" in capsys.readouterr().err


def test_only_the_first_process_prints_the_result(tmp_path, monkeypatch, capsys):
    from ninefold import training

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(training, "train", lambda *_, **__: None, raising=False)
    assert run(["train", "lenet5", "--data", "digits", "--out", str(tmp_path / "x"), "--json"]) == 0
    assert capsys.readouterr().out == ""
