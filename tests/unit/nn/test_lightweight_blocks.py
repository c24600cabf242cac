"""The blocks of the lightweight networks against what their formulas say."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ninefold.nn import (
    ChannelShuffle,
    ConvNormAct,
    DepthwiseSeparable,
    GhostModule,
    InvertedResidual,
    MixConv2d,
    StagedBackbone,
    he_normal,
    inverted_residual,
    make_divisible,
)


@pytest.mark.parametrize(
    ("wanted", "divisor", "rounded"),
    [(24, 8, 24), (19.9, 8, 24), (12, 8, 16), (11.2, 8, 16), (3, 8, 8), (18, 4, 20), (14.3, 4, 16), (9.9, 8, 16)],
)
def test_widths_are_rounded_to_multiples_that_lose_at_most_a_tenth(wanted, divisor, rounded):
    assert make_divisible(wanted, divisor) == rounded
    assert rounded >= 0.9 * wanted


def test_a_shuffle_takes_one_channel_of_each_group_in_turn():
    x = torch.randn(2, 12, 3, 2)
    y = ChannelShuffle(3)(x)
    for place in range(12):
        torch.testing.assert_close(y[:, place], x[:, place % 3 * 4 + place // 3])
    torch.testing.assert_close(ChannelShuffle(4)(y), x)


def test_a_separable_convolution_has_norm_and_relu_after_both_parts():
    torch.manual_seed(0)
    block = DepthwiseSeparable(3, 5, stride=2).eval()
    x = torch.randn(1, 3, 7, 6)
    inner = F.conv2d(x, block.depthwise.conv.weight, None, 2, 1, groups=3).div(1.00001**0.5).relu()
    expected = F.conv2d(inner, block.pointwise.conv.weight).div(1.00001**0.5).relu()
    torch.testing.assert_close(block(x), expected)


def test_an_inverted_residual_adds_what_came_only_where_shapes_agree():
    torch.manual_seed(0)
    for channels, stride, adds in ((8, 1, True), (8, 2, False), (6, 1, False)):
        block = inverted_residual(8, 16, channels, 3, stride, ConvNormAct).eval()
        nn.init.zeros_(block.project.bn.weight)
        x = torch.randn(1, 8, 5, 5)
        y = block(x)
        assert torch.equal(y, x) if adds else not y.any()


def test_an_inverted_residual_ends_without_activation_and_begins_without_convolution_if_it_does_not_expand():
    block = inverted_residual(8, 8, 4, 5, 1, ConvNormAct)
    assert isinstance(block.expand, nn.Identity)
    assert isinstance(block.project.act, nn.Identity)
    assert block.depthwise.conv.groups == 8


def test_attention_stands_between_the_depthwise_convolution_and_the_projection():
    block = InvertedResidual(nn.ReLU(), nn.Softplus(), nn.Tanh(), shortcut=False, attention=nn.Sigmoid())
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(block(x), F.softplus(x.relu()).sigmoid().tanh())


@pytest.mark.parametrize("channels", [6, 5])
def test_a_ghost_module_gives_convolved_channels_first_and_their_ghosts_after(channels):
    torch.manual_seed(0)
    block = GhostModule(4, channels, activation=None).eval()
    x = torch.randn(1, 4, 5, 5)
    y = block(x)
    assert y.shape == (1, channels, 5, 5)
    torch.testing.assert_close(y[:, :3], block.primary(x))
    torch.testing.assert_close(y[:, 3:], block.cheap(block.primary(x))[:, : channels - 3])
    assert (y < 0).any()


def test_mixed_kernels_see_their_own_part_and_the_first_takes_what_is_left_over():
    torch.manual_seed(0)
    layer = MixConv2d(8, 8, (3, 5, 7), depthwise=True)
    x = torch.randn(1, 8, 9, 9)
    y = layer(x)
    for conv, start, end in zip(layer.parts, (0, 4, 6), (4, 6, 8), strict=True):
        expected = F.conv2d(x[:, start:end], conv.weight, padding=conv.kernel_size[0] // 2, groups=end - start)
        torch.testing.assert_close(y[:, start:end], expected)


def test_parts_of_1x1_convolutions_are_a_grouped_convolution():
    layer = MixConv2d(6, 10, (1, 1))
    x = torch.randn(2, 6, 4, 4)
    weight = torch.cat([conv.weight for conv in layer.parts])
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, groups=2))


def test_he_normal_draws_by_the_number_of_inputs_that_a_channel_sees():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 256, 3, padding=1), nn.Conv2d(256, 256, 3, groups=256), nn.Linear(100, 50))
    he_normal(net)
    assert net[0].weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.02)
    assert net[1].weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert net[2].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not any(layer.bias.any() for layer in net)


def test_every_stage_of_a_staged_backbone_gives_a_map():
    class Halving(StagedBackbone):
        channels, strides = (1, 1), (1, 4)

    pool = nn.AvgPool2d(2)
    x = torch.randn(1, 1, 8, 8)
    fine, coarse = Halving([[nn.ReLU()], [pool, pool]])(x)
    torch.testing.assert_close(fine, x.relu())
    torch.testing.assert_close(coarse, F.avg_pool2d(x.relu(), 4))
