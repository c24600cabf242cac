"""`ninefold export`: from a name or a run to an ONNX file, and what it refuses."""

import json

import pytest
from safetensors.torch import save_file

from ninefold import networks
from ninefold.app.main import run
from ninefold.training.weights import ModelCard, save_weights

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def facts(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def shape(path):
    return [dim.dim_value for dim in onnx.load(path).graph.input[0].type.tensor_type.shape.dim][1:]


@pytest.fixture
def folder(tmp_path):
    card = ModelCard("resnet20", ("no", "yes"), 1, (28, 20), (0.25,), (0.5,), 3)
    (tmp_path / "run").mkdir()
    save_weights(tmp_path / "run" / "model.safetensors", card.create(), card)
    return tmp_path / "run"


def test_a_run_keeps_its_size_and_what_its_pictures_need(folder, tmp_path):
    assert run(["export", str(folder), "--out", str(tmp_path / "m.onnx")]) == 0
    assert shape(tmp_path / "m.onnx") == [1, 28, 20]
    told = facts(tmp_path / "m.onnx")
    assert json.loads(told["classes"]) == ["no", "yes"]
    assert (told["network"], told["mean"], told["std"]) == ("resnet20", "[0.25]", "[0.5]")


def test_a_network_takes_weights_classes_and_size(tmp_path, capsys):
    save_file(networks.create("resnet20").state_dict(), tmp_path / "w.safetensors")
    options = ["--checkpoint", str(tmp_path / "w.safetensors"), "--classes", "4", "--size", "24", "--opset", "19"]
    assert run(["export", "resnet20", "--out", str(tmp_path / "m.onnx"), *options, "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["network"], told["input"], told["opset"]) == ("resnet20", [3, 24, 24], 19)
    assert told["bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert "head.fc.weight, head.fc.bias have other shapes" in err
    assert shape(tmp_path / "m.onnx") == [3, 24, 24]


def test_fresh_weights_are_told(tmp_path, capsys):
    assert run(["export", "lenet5", "--out", str(tmp_path / "m.onnx")]) == 0
    assert "the weights in the file are fresh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["resnet-20"], "did you mean 'resnet20'"),
        (["lenet5", "--size", "30"], "32x32 only"),
        (["lenet5", "--opset", "11"], "opset=11"),
        (["RUN", "--classes", "3"], "has its weights and classes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(folder, tmp_path, capsys, arguments, told):
    words = [str(folder) if word == "RUN" else word for word in arguments]
    assert run(["export", *words, "--out", str(tmp_path / "m.onnx")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()
