import pytest
import torch

from ninefold import networks
from ninefold.networks.sparse3d import VoxelBackBone8x
from ninefold.networks.sparse3d.voxel_backbone import from_above
from ninefold.nn import SparseBasicBlock, sparse_macs, sphere
from ninefold.nn.sparse_residual import Norm
from ninefold.sparse import SparseTensor, SubMConv

# Millions of parameters, as published for or counted in the original code.
PUBLISHED = {"minkunet14": 8.0, "minkunet34": 37.9, "minkunet42": 21.7, "spunet": 39.2}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_original_code(name):
    assert networks.card(name).parameters / 1e6 == pytest.approx(PUBLISHED[name], abs=0.05)


@pytest.mark.parametrize(
    ("name", "count"), [("minkunet14", 25), ("minkunet34", 55), ("minkunet42", 42), ("spunet", 55)]
)
def test_a_network_has_as_many_convolutions_as_its_name_or_paper_says(name, count):
    with torch.device("meta"):
        model = networks.create(name)
    assert (
        sum(
            layer.weight.dim() == 5
            for layer in model.modules()
            if "weight" in dict(layer.named_parameters(recurse=False))
        )
        == count
    )


def test_the_encoder_of_second_has_its_parameters_grids_and_channels():
    backbone = VoxelBackBone8x().eval()
    assert sum(p.numel() for p in backbone.parameters()) == 711_872
    draw = torch.Generator().manual_seed(0)
    coords = torch.unique(torch.randint(0, 40, (300, 3), generator=draw), dim=0)
    scan = torch.cat([torch.zeros(len(coords), 1, dtype=torch.int64), coords], 1)
    x = SparseTensor.of(torch.randn(len(coords), 4, generator=draw), scan, (41, 64, 48), 1)
    features = backbone(x)
    assert [f.size for f in features] == [(41, 64, 48), (21, 32, 24), (11, 16, 12), (5, 8, 6), (2, 8, 6)]
    assert tuple(f.channels for f in features) == backbone.channels
    assert tuple(f.stride[2] for f in features) == backbone.strides
    assert from_above(features[-1]).shape == (1, 256, 8, 6)


def test_a_residual_block_with_silent_convolutions_is_its_shortcut():
    block = SparseBasicBlock(4, 4, Norm()).eval()
    torch.nn.init.zeros_(block.conv2[1].weight)
    x = sphere(4, 8)
    assert torch.equal(block(x).features, x.features)


def test_products_are_counted_per_pair_and_channel():
    coords = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 2, 2, 2]])
    x = SparseTensor.of(torch.ones(3, 4), coords, (3, 3, 3), 1)
    assert sparse_macs(SubMConv(4, 5), x) == (3 + 2) * 4 * 5
    assert sparse_macs(SubMConv(4, 6, groups=2), x) == (3 + 2) * 4 * 6 // 2


def test_counting_leaves_the_network_as_it_was():
    model = networks.create("minkunet14")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sparse_macs(model, sphere(3, 32))
    assert model.training
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
