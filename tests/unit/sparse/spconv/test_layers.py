from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ninefold.sparse import spconv
from ninefold.sparse.spconv.core import Activation
from ninefold.sparse.spconv.pytorch.modules import SparseModule, is_sparse_conv, is_spconv_module

SIZE = [6, 7, 8]


def tensor(channels=4, share=0.3, dtype=torch.float64):
    torch.manual_seed(0)
    rows = (torch.rand(2, *SIZE) < share).nonzero().int()
    rows = rows[torch.randperm(len(rows))]
    return spconv.SparseConvTensor(torch.randn(len(rows), channels, dtype=dtype), rows, SIZE, 2)


def at(grid, x):
    return grid.movedim(1, -1)[tuple(x.indices.long().T)]


def test_groups_and_gradients_in_evaluation_are_those_of_the_dense_convolution():
    x, layer = tensor(), spconv.SparseConv3d(4, 6, 3, 2, 1, groups=2).double().eval()
    y = layer(x)
    dense = F.conv3d(x.dense(), layer.weight.movedim(-1, 1), layer.bias, 2, 1, groups=2)
    torch.testing.assert_close(y.features, at(dense, y))
    ours = torch.autograd.grad(y.features.square().sum(), list(layer.parameters()))
    theirs = torch.autograd.grad(at(dense, y).square().sum(), list(layer.parameters()))
    torch.testing.assert_close(ours, theirs)


def test_one_offset_reads_its_weight_as_input_by_output_channels():
    x, layer = tensor(), spconv.SubMConv3d(4, 6, 1, padding=1).double()
    torch.testing.assert_close(layer(x).features, x.features @ layer.weight.view(4, 6) + layer.bias)


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_forward_and_backward(autocast):
    x = tensor(8, dtype=torch.float32 if autocast else torch.bfloat16)
    net = spconv.SparseSequential(
        spconv.SubMConv3d(8, 8, 1), spconv.SubMConv3d(8, 16, 3), spconv.SparseConv3d(16, 8, 2, 2)
    )
    net = net if autocast else net.bfloat16()
    with torch.autocast("cpu", enabled=autocast):
        y = net(x)
    assert y.features.dtype == torch.bfloat16
    exact = net.float()(x.replace_feature(x.features.float())).features
    torch.testing.assert_close(y.features.float(), exact, atol=0.05, rtol=0.05)
    y.features.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_a_residual_is_added_before_the_activation():
    x = tensor(6)
    layer = spconv.conv.SparseConvolution(3, 6, 6, subm=True, act_type=Activation.LeakyReLU, act_alpha=0.1).double()
    plain = spconv.SubMConv3d(6, 6, 3).double()
    plain.load_state_dict(layer.state_dict())
    wanted = F.leaky_relu(plain(x).features + x.features, 0.1)
    torch.testing.assert_close(layer(x, add_input=x).features, wanted)


def test_mean_pooling_counts_active_cells_only():
    x = tensor()
    y = spconv.SparseAvgPool3d(2)(x)
    active = x.replace_feature(torch.ones_like(x.features)).dense()
    means = F.avg_pool3d(x.dense(), 2) / F.avg_pool3d(active, 2)
    torch.testing.assert_close(y.features, at(means, y))


@pytest.mark.parametrize(("layer", "reduce"), [("SparseGlobalAvgPool", "mean"), ("SparseGlobalMaxPool", "amax")])
def test_global_pooling_gives_all_channels_of_each_picture(layer, reduce):
    x = tensor()
    rows = [x.features[x.indices[:, 0] == n] for n in range(2)]
    wanted = torch.stack([getattr(one, reduce)(dim=0) for one in rows])
    torch.testing.assert_close(getattr(spconv, layer)()(x), wanted)


@pytest.mark.parametrize(
    "layer",
    [
        spconv.SubMConv3d(4, 4, 3),
        spconv.SubMConv3d(4, 4, 1),
        spconv.SparseConv3d(4, 4, 3, 2, 1),
        spconv.SparseConvTranspose3d(4, 4, 2, 2),
        spconv.SparseMaxPool3d(2),
        spconv.SparseAvgPool3d(2),
    ],
)
def test_a_tensor_without_rows_goes_through(layer):
    features = torch.zeros(0, 4, requires_grad=True)
    x = spconv.SparseConvTensor(features, torch.zeros(0, 4, dtype=torch.int32), SIZE, 2)
    net = spconv.SparseSequential(layer, nn.BatchNorm1d(4))  # torch's refuses to train on nothing
    y = net(x)
    assert y.features.shape == (0, 4)
    y.features.sum().backward()


def test_a_sequence_takes_layers_in_every_form():
    net = spconv.SparseSequential(OrderedDict(a=nn.Linear(4, 6), b=spconv.SubMConv3d(6, 4, 3)), c=nn.ReLU())
    net.add(spconv.ToDense())
    assert (len(net), list(dict(net.named_children())), net[-1]) == (4, ["a", "b", "c", "3"], net[3])
    assert net.double()(tensor()).shape == (2, 4, *SIZE)
    with pytest.raises(ValueError, match="two layers are called '0'"):
        spconv.SparseSequential(nn.ReLU(), **{"0": nn.ReLU()})


def test_layers_say_what_they_are():
    assert is_sparse_conv(spconv.SparseInverseConv3d(1, 1, 3, "a"))
    assert not is_sparse_conv(spconv.ToDense())
    assert [is_spconv_module(m) for m in (spconv.SparseReLU(), spconv.Identity(), nn.ReLU())] == [True, False, False]
    net = nn.Sequential(spconv.SparseSequential(spconv.SubMConv3d(1, 1, 3)))
    spconv.assign_name_for_sparse_modules(net)
    assert net[0][0]._sparse_unique_name == "0.0"


def test_branches_are_added_and_joined():
    x = tensor()
    table = spconv.ConcatTable().add(spconv.SubMConv3d(4, 4, 3)).add(spconv.Identity()).double()
    first, second = table(x)
    torch.testing.assert_close(spconv.AddTable()([first, second]).features, first.features + x.features)
    wide = second.replace_feature(torch.cat([x.features, x.features], dim=1))
    assert spconv.JoinTable()([first, wide]).features.shape[1] == 12
    with pytest.raises(AssertionError, match="same sites"):
        spconv.JoinTable()([x, x.select_by_index(torch.arange(5))])


def test_the_most_sites_seen_are_counted_and_checkpoints_without_the_count_load():
    layer = spconv.SparseConv3d(4, 4, 3, 2, 1, record_voxel_count=True).double()
    sizes = [len(layer(tensor(share=share)).indices) for share in (0.1, 0.3, 0.2)]
    assert layer.get_max_num_voxels().item() == max(sizes)
    layer.load_state_dict(spconv.SparseConv3d(4, 4, 3).state_dict())
    assert spconv.SubMConv3d(4, 4, 3).get_max_num_voxels() is None


def test_a_module_may_also_be_something_else():
    class Block(nn.Sequential, SparseModule):
        def __init__(self):
            SparseModule.__init__(self)
            nn.Sequential.__init__(self, spconv.SubMConv3d(4, 4, 3))

    assert spconv.SparseSequential(Block()).double()(tensor()).features.shape[1] == 4
