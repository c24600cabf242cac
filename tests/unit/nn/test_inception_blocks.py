"""Branches and separable convolutions against what their formulas say."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from ninefold.networks import zoo
from ninefold.networks.classic.inception_resnet import ScaledResidual
from ninefold.nn import Branches, ConvNormAct, SeparableConv2d, conv_path, grid_reduction, row_and_column

BARE = partial(ConvNormAct, norm=None, activation=None)


def test_branches_stand_in_the_order_in_which_they_are_given():
    x = torch.randn(1, 2, 5, 5)
    block = Branches(nn.MaxPool2d(3, 1, padding=1), nn.Identity(), nn.AvgPool2d(3, 1, padding=1))
    expected = (F.max_pool2d(x, 3, 1, padding=1), x, F.avg_pool2d(x, 3, 1, padding=1))
    torch.testing.assert_close(block(x), torch.cat(expected, dim=1))


def test_only_the_last_convolution_of_a_path_has_the_stride_and_the_padding():
    path = conv_path(4, (6, 1), (8, (1, 7)), (10, 3), stride=2, padding=0, conv=BARE)
    told = [(layer.conv.out_channels, layer.conv.kernel_size, layer.conv.stride, layer.conv.padding) for layer in path]
    assert told == [
        (6, (1, 1), (1, 1), (0, 0)),
        (8, (1, 7), (1, 1), (0, 3)),
        (10, (3, 3), (2, 2), (0, 0)),
    ]
    assert [layer.conv.in_channels for layer in path] == [4, 6, 8]


def test_a_grid_reduction_ends_in_the_maxima_of_its_input():
    x = torch.randn(1, 4, 9, 8)
    y = grid_reduction(4, (2, 3, 5), 6, conv_path).eval()(x)
    assert y.shape == (1, 6 + 5 + 4, 4, 3)
    torch.testing.assert_close(y[:, 11:], F.max_pool2d(x, 3, 2))


def test_row_and_column_are_convolutions_along_one_axis_each():
    x = torch.randn(1, 3, 5, 6)
    block = row_and_column(3, 2, BARE)
    row, column = (branch.conv for branch in block.branches)
    torch.testing.assert_close(block(x)[:, :2], F.conv2d(x, row.weight, row.bias, padding=(0, 1)))
    torch.testing.assert_close(block(x)[:, 2:], F.conv2d(x, column.weight, column.bias, padding=(1, 0)))


def test_a_separable_convolution_is_a_dense_one_whose_weight_is_a_product():
    torch.manual_seed(0)
    layer = SeparableConv2d(3, 5, 3, stride=2, multiplier=2)
    depthwise = layer.depthwise.weight.view(3, 2, 3, 3)
    weight = torch.einsum("ocm,cmhw->ochw", layer.pointwise.weight.view(5, 3, 2), depthwise)
    x = torch.randn(2, 3, 7, 8)
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, stride=2, padding=1))


def test_a_scaled_residual_adds_the_scaled_projection_before_its_activation():
    torch.manual_seed(0)
    block = ScaledResidual(Branches(nn.Identity(), nn.Identity()), 6, 3, 0.25, nn.ReLU())
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(block(x), (x + 0.25 * block.project(torch.cat([x, x], dim=1))).relu())


def test_the_halving_module_of_bn_inception_pools_as_caffe_does_and_takes_odd_maps():
    backbone = zoo.create("bn_inception").eval().backbone
    module = backbone.stages[3][0]
    for size in (8, 9):
        x = torch.rand(1, 320, size, size)
        y = module(x)
        assert y.shape == (1, 576, (size + 1) // 2, (size + 1) // 2)
        pooled = F.max_pool2d(x, 3, 2, ceil_mode=True)
        torch.testing.assert_close(y[:, 256:, : pooled.shape[2], : pooled.shape[3]], pooled)
