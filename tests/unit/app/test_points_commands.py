import json

import pytest

from ninefold import data, networks
from ninefold.app.main import run
from ninefold.data.points import read_ply
from ninefold.training.weights import ModelCard, save_weights


def test_data_tells_how_many_scans_a_source_has(capsys):
    assert run(["data", "indoor-rooms"]) == 0
    text = capsys.readouterr().out
    assert "floor, wall, cabinet, table, ball" in text
    assert text.splitlines()[-1].split() == ["scans", "64", "16", "16"]
    assert run(["data", "indoor-rooms", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"train": 64, "validation": 16, "test": 16}


def test_data_writes_scans_as_coloured_points(tmp_path, capsys):
    assert run(["data", "indoor-rooms", "--pictures", str(tmp_path / "scans"), "--count", "1"]) == 0
    (path,) = (tmp_path / "scans").glob("*.ply")
    assert str(path) in capsys.readouterr().err
    columns = read_ply(path)
    assert list(columns) == ["x", "y", "z", "brightness", "red", "green", "blue", "label"]
    colours = {tuple(map(int, row)) for row in zip(*(columns[name] for name in ("label", "red")), strict=True)}
    assert len(colours) == len(set(columns["label"])) == 5


def test_models_tells_what_the_work_was_counted_on(capsys):
    assert run(["models", "minkunet14"]) == 0
    assert networks.card("minkunet14").counted_on in capsys.readouterr().out


def test_a_summary_adds_up_to_the_card(capsys):
    card = networks.card("minkunet14")
    for by in ("layer", "stage"):
        assert run(["summary", "minkunet14", "--by", by, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        sums = [sum(row[key] for row in document["rows"]) for key in ("parameters", "macs")]
        assert sums == [document["parameters"], document["macs"]] == [card.parameters, card.macs]
        assert run(["summary", "minkunet14", "--by", by]) == 0
        *_, foot, counted = capsys.readouterr().out.splitlines()
        assert foot.split()[-2:] == [f"{number:,}" for number in sums]
        assert card.counted_on in counted


@pytest.mark.parametrize(
    "command", [["summary", "minkunet14", "--input", "3x32x32"], ["export", "minkunet14", "--out", "model.onnx"]]
)
def test_what_is_for_pictures_is_refused_with_the_networks_name(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(command) != 0
    assert "minkunet14 reads points" in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()


def test_predict_says_what_the_points_of_a_scan_are(labeller, tmp_path, capsys):
    scans, out = tmp_path / "scans", tmp_path / "labels"
    assert run(["data", "indoor-rooms", "--pictures", str(scans), "--count", "1"]) == 0
    (scan,) = scans.glob("*.ply")
    capsys.readouterr()
    assert run(["predict", str(labeller), str(scan), "--out", str(out), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["labels"] == str(out / f"{scan.stem}.label")
    assert told["points"] == len(read_ply(scan)["x"]) == sum(c["points"] for c in told["classes"])
    assert sum(c["share"] for c in told["classes"]) == pytest.approx(1)
    first = told["classes"][0]
    assert run(["predict", str(labeller), str(scan), "--top", "1"]) == 0
    words = capsys.readouterr().out.splitlines()[-1].split()
    assert words == [str(scan), first["class"], f"{first['points']:,}", *(f"{first[k]:.4f}" for k in list(first)[2:])]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["a.png"], "labels points, and a.png came"), (["a.bin", "--compile"], "only networks over pictures")],
)
def test_predict_refuses_what_is_for_pictures(labeller, words, said, capsys):
    assert run(["predict", str(labeller), *words]) != 0
    assert said in capsys.readouterr().err


@pytest.fixture
def labeller(tmp_path):
    """Give the folder of a run on rooms whose network knows nothing."""
    source, folder = data.open_source("indoor-rooms"), tmp_path / "run"
    network = networks.create("minkunet14", classes=len(source.classes), in_channels=source.channels)
    facts = source.classes, source.channels, (), (0.0,) * 4, (1.0,) * 4, 1
    folder.mkdir()
    save_weights(folder / "model.safetensors", network, ModelCard("minkunet14", *facts, 0.1, source.features))
    return folder
