"""ONNX files, read back by what reads them elsewhere."""

import pytest
import torch
from torch import nn

from ninefold.errors import InvalidInput, MissingExtra, Unsupported
from ninefold.records import Logits
from ninefold.training.export import INPUT_NAME, OUTPUT_NAME, export_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())


def written(path, **options):
    export_onnx(network(), path, torch.zeros(1, 3, 9, 9), **options)
    return onnx.load(path)


def test_the_file_is_valid_and_names_its_input_and_output(tmp_path):
    model = written(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == [INPUT_NAME]
    assert [value.name for value in model.graph.output] == [OUTPUT_NAME]


@pytest.mark.parametrize(("any_batch", "wanted"), [(True, ("batch", 0)), (False, ("", 1))])
def test_the_batch_is_free_or_fixed(tmp_path, any_batch, wanted):
    batch, *others = written(tmp_path / "m.onnx", any_batch=any_batch).graph.input[0].type.tensor_type.shape.dim
    assert (batch.dim_param, batch.dim_value) == wanted
    assert [dim.dim_value for dim in others] == [3, 9, 9]


@pytest.mark.parametrize("opset", [18, 20])
def test_the_opset_is_the_one_asked_for(tmp_path, opset):
    assert written(tmp_path / "m.onnx", opset=opset).opset_import[0].version == opset


def test_facts_are_kept_and_paths_of_this_machine_are_not(tmp_path):
    model = written(tmp_path / "m.onnx", facts={"network": "small"})
    assert {entry.key: entry.value for entry in model.metadata_props} == {"network": "small"}
    assert b".py" not in (tmp_path / "m.onnx").read_bytes()


def test_every_layer_stays_in_its_mode_and_is_written_as_in_evaluation(tmp_path):
    model = network().train()
    model[1].eval()
    export_onnx(model, tmp_path / "m.onnx", torch.zeros(2, 3, 9, 9))
    assert [model.training, model[0].training, model[1].training] == [True, True, False]
    model[1].train()
    export_onnx(model, tmp_path / "n.onnx", torch.zeros(2, 3, 9, 9))
    assert (tmp_path / "n.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()
    assert not model[1].running_mean.any()


@pytest.mark.parametrize("opset", [17, 1000])
def test_an_opset_out_of_range_is_refused(tmp_path, opset):
    with pytest.raises(InvalidInput, match=f"opset={opset} came; wanted 18 to"):
        written(tmp_path / "m.onnx", opset=opset)


def test_what_cannot_be_exported_is_refused_and_nothing_written(tmp_path):
    class Deciding(nn.Module):
        def forward(self, x):
            return Logits(x if x.sum() > 0 else -x)

    for model, told in ((Deciding(), "cannot export"), (nn.AvgPool2d(2, divisor_override=3), "divisor_override=3")):
        with pytest.raises(Unsupported, match=told):
            export_onnx(model, tmp_path / "m.onnx", torch.zeros(1, 1, 4, 4))
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"ninefold\[export\]"):
        written(tmp_path / "m.onnx")
