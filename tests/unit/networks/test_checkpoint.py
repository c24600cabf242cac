"""Files of weights, as others write them and as they go wrong: loaded into two small networks."""

import pickle
import re
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ninefold import networks
from ninefold.errors import CorruptFile, InvalidInput, MissingData
from ninefold.networks.checkpoint import load


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture
def theirs():
    torch.manual_seed(1)
    return {name: torch.rand_like(tensor.float()).to(tensor.dtype) for name, tensor in small().state_dict().items()}


def saved(path, content):
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


def assert_holds(model, tensors):
    for name, tensor in tensors.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_state_dict_loads(theirs, tmp_path, name):
    model = small()
    load(saved(tmp_path / name, theirs), model)
    assert_holds(model, theirs)


@pytest.mark.parametrize("wrapped", [("state_dict",), ("model",), ("net", "state_dict")])
def test_weights_are_found_inside_a_training_script_s_checkpoint(theirs, tmp_path, wrapped):
    content = theirs
    for key in wrapped:
        content = {key: content, "epoch": 3}
    model = small()
    load(saved(tmp_path / "last.pth", content), model)
    assert_holds(model, theirs)


def test_the_prefix_of_data_parallel_is_taken_off(theirs, tmp_path):
    model = small()
    load(saved(tmp_path / "w.pth", {f"module.{name}": tensor for name, tensor in theirs.items()}), model)
    assert_holds(model, theirs)


def test_the_counter_of_batch_norm_may_be_missing(theirs, tmp_path):
    del theirs["1.num_batches_tracked"]
    model = small()
    load(saved(tmp_path / "w.pth", theirs), model)
    assert_holds(model, theirs)


def test_names_are_translated_rule_after_rule_and_nameless_tensors_left_out(theirs, tmp_path):
    foreign = {re.sub("^3", "classifier", re.sub("^0", "conv", name)): tensor for name, tensor in theirs.items()}
    model = small()
    rules = ((r"^classifier\.", "dense."), (r"^dense\.", "3."), (r"^conv\.", "0."), (r"^aux\..*", ""))
    load(saved(tmp_path / "w.pth", {**foreign, "aux.weight": torch.ones(1)}), model, rules)
    assert_holds(model, theirs)


def test_a_1x1_convolution_and_a_dense_layer_fit_each_other(theirs, tmp_path):
    path = saved(tmp_path / "w.pth", {**theirs, "3.weight": theirs["3.weight"][:, :, None, None]})
    model = small()
    load(path, model)
    assert_holds(model, theirs)


def test_a_failed_load_changes_nothing(theirs, tmp_path):
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InvalidInput):
        load(saved(tmp_path / "w.pth", {**theirs, "3.bias": torch.zeros(5)}), model)
    assert_holds(model, before)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"0.weight": torch.zeros(4, 3, 5, 5)},
            r"0.weight has the shape \(4, 3, 5, 5\) in the file and \(4, 3, 3, 3\)",
        ),
        ({"1.bias": None}, r"1.bias is not in the file and \(4,\) in the network"),
        ({"extra.weight": torch.zeros(2, 1)}, r"extra.weight, of shape \(2, 1\), has no place in the network"),
    ],
)
def test_the_first_tensor_that_differs_is_named_with_both_shapes(theirs, tmp_path, change, told):
    content = {name: tensor for name, tensor in {**theirs, **change}.items() if tensor is not None}
    with pytest.raises(InvalidInput, match=told):
        load(saved(tmp_path / "w.pth", content), small())


def test_other_classes_keep_the_backbone_and_say_which_tensors_were_left_out(tmp_path):
    torch.manual_seed(1)
    trained = networks.create("resnet20", classes=5)
    path = saved(tmp_path / "w.safetensors", trained.state_dict())
    with pytest.warns(UserWarning, match=r"w.safetensors: head.fc.weight, head.fc.bias have other shapes"):
        model = networks.create("resnet20", classes=7, checkpoint=path)
    same = {name: tensor for name, tensor in trained.state_dict().items() if not name.startswith("head.fc")}
    assert_holds(model, same)
    assert model.head.fc.weight.shape[0] == 7


def test_other_channels_keep_all_but_the_first_convolution(tmp_path):
    path = saved(tmp_path / "w.pth", networks.create("resnet20").state_dict())
    with pytest.warns(UserWarning, match=r"w.pth: backbone.conv1.weight have other shapes"):
        networks.create("resnet20", in_channels=1, checkpoint=path)


def test_the_same_classes_load_without_a_word(tmp_path):
    path = saved(tmp_path / "w.pth", networks.create("resnet20").state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        networks.create("resnet20", checkpoint=str(path))


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file ran')",)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(1), "trap": Trap()}, tmp_path / "w.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
    for name in ("w.pth", "old.pth"):
        with pytest.raises(CorruptFile, match="cannot be read as plain weights"):
            load(tmp_path / name, small())


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_file_is_refused(theirs, tmp_path, name, share):
    path = saved(tmp_path / name, theirs)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CorruptFile, match=re.escape(str(path))):
        load(path, small())


def test_a_damaged_file_of_the_old_format_is_refused_whatever_it_leads_to(theirs, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(theirs, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for cut in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(CorruptFile):
            load(path, small())


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"epoch": 3}, torch.zeros(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    with pytest.raises(CorruptFile, match="give a file of weights"):
        load(saved(tmp_path / "w.pth", content), small())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingData, match=re.escape(str(tmp_path / "w.pth"))):
        load(tmp_path / "w.pth", small())
