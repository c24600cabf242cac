"""The blocks against what their formulas say."""

import torch
from torch import nn
from torch.nn import functional as F

from ninefold.nn import BasicBlock, ParallelConv, TableConv2d, ZeroPadShortcut


def test_parallel_branches_stand_in_order_of_their_kernels():
    torch.manual_seed(0)
    block = ParallelConv(2, filters=3, kernels=(1, 5))
    x = torch.randn(1, 2, 7, 6)
    y = block(x)
    for place, kernel in ((0, 1), (3, 5)):
        conv = block.branches[place // 3][0]
        expected = F.conv2d(x, conv.weight, conv.bias, padding=kernel // 2).relu()
        torch.testing.assert_close(y[:, place : place + 3], expected)


def test_a_table_convolution_sees_only_the_channels_of_its_table():
    torch.manual_seed(0)
    table = ((0, 2), (1,))
    layer = TableConv2d(3, table, 2)
    nn.init.normal_(layer.bias)
    x = torch.randn(1, 3, 4, 5)
    first = F.conv2d(x[:, [0, 2]], layer.weight[:2][None], layer.bias[:1])
    second = F.conv2d(x[:, [1]], layer.weight[2:][None], layer.bias[1:])
    torch.testing.assert_close(layer(x), torch.cat([first, second], dim=1))


def test_a_table_convolution_draws_each_kernel_within_its_bound():
    torch.manual_seed(0)
    layer = TableConv2d(8, (tuple(range(8)), (0,)), 5)
    layer.reset_parameters(gain=2.4)
    many, one = layer.weight[:8].abs().max().item(), layer.weight[8:].abs().max().item()
    assert 0.9 * 2.4 / 200 < many <= 2.4 / 200
    assert 0.8 * 2.4 / 25 < one <= 2.4 / 25


def test_the_zero_pad_shortcut_keeps_pixels_and_adds_silent_channels():
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPadShortcut(2, stride=2)(x)
    assert y.shape == (2, 5, 3, 2)
    torch.testing.assert_close(y[:, :3], x[:, :, ::2, ::2])
    assert not y[:, 3:].any()


def test_a_basic_block_adds_before_its_last_relu():
    torch.manual_seed(0)
    block = BasicBlock(4, 4, 1, nn.Identity()).eval()
    x = torch.randn(1, 4, 5, 5)
    inner = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (inner + x).relu())
