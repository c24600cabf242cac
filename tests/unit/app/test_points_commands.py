import json

import pytest

from ninefold import networks
from ninefold.app.main import run
from ninefold.data.points import read_ply


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
    assert list(columns) == ["x", "y", "z", "red", "green", "blue", "label"]
    colours = {tuple(map(int, row)) for row in zip(*(columns[name] for name in ("label", "red")), strict=True)}
    assert len(colours) == len(set(columns["label"])) == 5


def test_models_tells_what_the_work_was_counted_on(capsys):
    assert run(["models", "minkunet14"]) == 0
    assert networks.card("minkunet14").counted_on in capsys.readouterr().out


@pytest.mark.parametrize("command", [["summary", "minkunet14"], ["export", "minkunet14", "--out", "model.onnx"]])
def test_what_is_for_pictures_is_refused_with_the_networks_name(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(command) != 0
    assert "minkunet14 reads points" in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()
