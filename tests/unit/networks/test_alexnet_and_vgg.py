"""The first large networks: towers, response norm, initial weights."""

import pytest
import torch
from torch import nn

from ninefold.networks.classic import VGG, TwoTowerAlexNet
from ninefold.networks.classic.alexnet import alexnet_2012
from ninefold.networks.classic.vgg import vgg


def test_a_tower_of_alexnet_sees_the_other_only_in_the_third_convolution():
    backbone = TwoTowerAlexNet(3)
    for layer, meets in ((backbone.conv2, False), (backbone.conv3, True), (backbone.conv4, False)):
        x = torch.zeros(1, layer.in_channels, 5, 5)
        other = x.clone()
        other[:, layer.in_channels // 2 :] = 1.0
        changed = (layer(other) - layer(x))[:, : layer.out_channels // 2].abs().max() > 0
        assert changed == meets


def test_the_response_norm_is_the_papers():
    norm = TwoTowerAlexNet(3).norm
    a = torch.rand(1, 9, 1, 1) * 50
    n, k, alpha, beta = 5, 2, 1e-4, 0.75
    for i in range(9):
        near = a[0, max(0, i - n // 2) : min(8, i + n // 2) + 1, 0, 0]
        expected = a[0, i, 0, 0] / (k + alpha * (near**2).sum()) ** beta
        torch.testing.assert_close(norm(a)[0, i, 0, 0], expected)


def test_alexnet_starts_with_the_papers_weights_and_biases():
    torch.manual_seed(0)
    model = alexnet_2012(10, 3)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert [layer.bias.unique().tolist() for layer in layers] == [[b] for b in (0, 1, 0, 1, 1, 1, 1, 0)]
    assert all(layer.weight.std().item() == pytest.approx(0.01, rel=0.05) for layer in layers)


def test_vgg_starts_with_glorots_weights():
    torch.manual_seed(0)
    model = vgg(11, False, 10, 3)
    for layer in (model.backbone.stages[3][1].conv, model.head.fc2):
        fans = (layer.weight.shape[0] + layer.weight.shape[1]) * layer.weight[0, 0].numel()
        assert layer.weight.var().item() == pytest.approx(2 / fans, rel=0.05)
        assert not layer.bias.any()


@pytest.mark.parametrize(("layers", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_has_its_convolutions(layers, convolutions):
    with torch.device("meta"):
        plain, normed = VGG(layers, 3), VGG(layers, 3, norm=True)
    for backbone, norms in ((plain, 0), (normed, convolutions)):
        assert sum(isinstance(layer, nn.Conv2d) for layer in backbone.modules()) == convolutions
        assert sum(isinstance(layer, nn.BatchNorm2d) for layer in backbone.modules()) == norms
