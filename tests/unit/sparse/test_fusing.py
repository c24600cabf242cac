from copy import deepcopy

import pytest
import torch
from torch import nn

from ninefold.nn import SparseUNet, SparseUNetShape
from ninefold.sparse import SparseConv, SparseSequential, SparseTensor, SubMConv


def drawn(channels):
    torch.manual_seed(0)
    coords = (torch.rand(2, 6, 8, 10) < 0.3).nonzero()
    return SparseTensor.of(torch.randn(len(coords), channels), coords, (6, 8, 10), 2)


def settled(norm):
    """Give a batch norm statistics and factors other than at the start."""
    for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if values is not None:
            values.data.uniform_(0.5, 2)
    return norm


def one_by_one(layers, x):
    for layer in layers:
        x = layer(x) if isinstance(layer, SubMConv | SparseConv) else x.with_features(layer(x.features))
    return x.features


NETWORKS = {
    "conv, norm, relu": lambda: [SubMConv(4, 24), settled(nn.BatchNorm1d(24)), nn.ReLU(inplace=True)],
    "no bias, no relu": lambda: [SparseConv(4, 16, 3, 2, 1, bias=False), settled(nn.BatchNorm1d(16))],
    "groups": lambda: [SubMConv(4, 32, groups=2), settled(nn.BatchNorm1d(32)), nn.ReLU()],
    "no factors": lambda: [SubMConv(4, 8), settled(nn.BatchNorm1d(8, affine=False)), nn.ReLU()],
    "no statistics": lambda: [SubMConv(4, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.ReLU()],
    "dense layers": lambda: [
        nn.Linear(4, 16),
        nn.Linear(16, 20),
        settled(nn.BatchNorm1d(20)),
        nn.ReLU(),
        nn.Linear(20, 3, bias=False),
    ],
    "another activation": lambda: [SubMConv(4, 8), settled(nn.BatchNorm1d(8)), nn.LeakyReLU(), SubMConv(8, 4)],
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_layers_give_what_they_give_one_by_one(network, dtype):
    layers = SparseSequential(*NETWORKS[network]()).to(dtype).eval()
    x = drawn(4)
    x = x.with_features(x.features.to(dtype))
    with torch.no_grad():
        torch.testing.assert_close(layers(x).features, one_by_one(layers, x), rtol=1e-5, atol=1e-5)


def test_in_bfloat16_fused_layers_sum_in_float32_and_round_once():
    torch.manual_seed(0)
    layers = SparseSequential(*NETWORKS["conv, norm, relu"]()).to(torch.bfloat16).eval()
    x = drawn(4)
    rounded = x.with_features(x.features.to(torch.bfloat16))
    wide = deepcopy(layers).to(torch.float64)
    with torch.no_grad():
        exact = one_by_one(wide, x.with_features(rounded.features.to(torch.float64)))
        ours = layers(rounded).features
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.double(), exact, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_in_training_fused_layers_give_what_they_give_one_by_one(network):
    layers = SparseSequential(*NETWORKS[network]())
    alone, x, found = deepcopy(layers), drawn(4), []
    for net, forward in ((layers, lambda x: layers(x).features), (alone, lambda x: one_by_one(alone, x))):
        y = forward(x)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        found.append([y, *(p.grad for p in net.parameters()), *net.buffers()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_batch_norm_leaves_a_relu_alone_that_somebody_looks_on():
    layers, seen = SparseSequential(SubMConv(4, 24), nn.BatchNorm1d(24), nn.ReLU()), []
    layers[2].register_full_backward_hook(lambda *_: seen.append("relu"))
    layers[1].register_forward_hook(lambda *_: seen.append("norm"))
    layers(drawn(4)).features.sum().backward()
    assert seen == ["norm", "relu"]


def test_a_u_net_gives_the_same_whether_gradients_are_recorded_or_not():
    torch.manual_seed(0)
    net = SparseUNet(SparseUNetShape((3,), 16, (16, 32, 16, 20), (1,) * 4), 4, 3)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            settled(layer)
    x = drawn(4)
    recorded = net.eval()(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x).scores, recorded.scores, rtol=1e-4, atol=1e-4)


def test_nothing_is_fused_in_training_or_where_somebody_looks_on():
    layers = SparseSequential(*NETWORKS["conv, norm, relu"]())
    x, seen = drawn(4), []
    layers(x).features.sum().backward()
    assert all(parameter.grad is not None for parameter in layers.parameters())
    before = layers[1].running_mean.clone()
    with torch.no_grad():
        layers(x)
        assert not torch.equal(layers[1].running_mean, before)
        hook = layers[1].register_forward_hook(lambda *_: seen.append("norm"))
        layers.eval()(x)
        hook.remove()
        layers(x)
    assert seen == ["norm"]
