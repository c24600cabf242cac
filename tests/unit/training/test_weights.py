import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ninefold import networks
from ninefold.errors import RunError
from ninefold.training.weights import ModelCard, load_weights, save_weights

CARD = ModelCard("lenet5", ("no", "yes"), 1, (32, 32), (0.25,), (0.5,), 3)


@pytest.fixture
def path(tmp_path):
    save_weights(tmp_path / "model.safetensors", CARD.create(), CARD)
    return tmp_path / "model.safetensors"


def metadata(**changed):
    kept = {name: json.dumps(getattr(CARD, name)) for name in CARD.__slots__}
    return {name: value for name, value in (kept | changed).items() if value is not None}


def test_a_network_comes_back_with_its_weights_and_card(tmp_path):
    network = networks.create("resnet20", classes=2, in_channels=1).to(memory_format=torch.channels_last)
    card = ModelCard("resnet20", ("no", "yes"), 1, (28, 28), (0.25,), (0.5,), 3)
    save_weights(tmp_path / "a", network, card)
    loaded, same = load_weights(tmp_path / "a")
    assert same == card
    assert not loaded.training
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_a_damaged_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="cannot be read as safetensors"):
        load_weights(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match="weights is not there"):
        load_weights(tmp_path / "weights")


def test_the_first_tensor_of_another_shape_is_named_with_both_shapes(path):
    tensors = load_file(path)
    tensors["c1.weight"] = torch.zeros(6, 1, 3, 3)
    save_file(tensors, path, metadata())
    with pytest.raises(RunError, match=r"c1.weight has shape \(6, 1, 3, 3\) in the file and shape \(6, 1, 5, 5\)"):
        load_weights(path)


def test_a_missing_tensor_and_one_too_many_are_named(path):
    tensors = load_file(path)
    bias = tensors.pop("c1.bias")
    save_file(tensors, path, metadata())
    with pytest.raises(RunError, match=r"c1.bias has no place in the file and shape \(6,\) in the network"):
        load_weights(path)
    save_file(tensors | {"c1.bias": bias, "extra": bias.clone()}, path, metadata())
    with pytest.raises(RunError, match=r"extra has shape \(6,\) in the file and no place in the network"):
        load_weights(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": None}, "no metadata classes"),
        ({"network": '"alexnot"'}, "no network is called 'alexnot'"),
        ({"size": "[32"}, "metadata that cannot be used"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused(path, changed, said):
    save_file(load_file(path), path, metadata(**changed))
    with pytest.raises(RunError, match=said):
        load_weights(path)
