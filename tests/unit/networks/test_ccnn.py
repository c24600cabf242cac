"""The continuous convolutional network against what its authors' code says."""

import pytest
import torch

from ninefold import networks
from ninefold.errors import InvalidInput


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return networks.create("ccnn").eval()


def test_the_layers_have_the_parameters_of_the_authors_code(model):
    layers = (model.conv1, model.conv2, model.conv3, model.conv4, model.fusion, model.output)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    assert counts == [4160, 131200, 524544, 16448, 5309440, 2050]


def test_a_kernel_of_four_sees_one_cell_before_its_own_and_two_behind(model):
    x = torch.zeros(1, 4, 9, 9)
    x[0, 0, 4, 5] = 1
    moved = (model.conv1(model.pad(x)) - model.conv1.bias[:, None, None])[0].detach().abs().sum(0) > 0  # (9, 9)
    assert moved.nonzero().amin(0).tolist() == [2, 3]
    assert moved.nonzero().amax(0).tolist() == [5, 6]


def test_first_weights_are_cut_off_at_two_standard_deviations(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0.1).all()
        else:
            assert 0.15 < parameter.abs().max() <= 0.2
            assert parameter.std().item() == pytest.approx(0.088, abs=0.002)


def test_a_plane_of_another_size_changes_the_fusion_layer_only(model):
    larger = networks.create("ccnn", size=(11, 13)).eval()
    assert larger(torch.zeros(2, 4, 11, 13)).scores.shape == (2, 2)
    shapes, others = ({name: p.shape for name, p in one.named_parameters()} for one in (model, larger))
    assert {name for name in shapes if shapes[name] != others[name]} == {"fusion.weight"}
    assert larger.fusion.in_features == 64 * 11 * 13
    with pytest.raises(InvalidInput, match="pictures of 9x9 came, and ccnn takes pictures of 11x13 only"):
        larger(torch.zeros(2, 4, 9, 9))


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InvalidInput, match=r"ccnn was asked for with size=\(0, 9\); wanted a height and a width"):
        networks.create("ccnn", size=(0, 9))
    with pytest.raises(InvalidInput, match=r"lenet5 was asked for with size=\(9, 9\); wanted \(32, 32\) only"):
        networks.create("lenet5", size=(9, 9))
