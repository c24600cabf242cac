"""Parallel branches, of which the Inception networks are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.nn.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Branches(nn.Module):
    """Paths side by side on the same input, their outputs concatenated.

        y = concat over i of  branch_i(x)

    Args:
        branches: at least one; their outputs have the same height and width.

    Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4.

    >>> Branches(nn.Identity(), nn.MaxPool2d(3, 1, padding=1))(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 8, 8])
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the channels of all branches, in their order."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def conv_path(
    in_channels: int,
    *layers: tuple[int, int | tuple[int, int]],
    stride: int = 1,
    padding: int | None = None,
    conv: Callable[..., nn.Module] = ConvNormAct,
) -> nn.Sequential:
    """Build convolutions one after the other: each of stride 1 and the size of its input, but perhaps the last.

    Args:
        in_channels: channels of the input.
        layers: (channels, kernel) of each convolution; a kernel is a size, or (height, width).
        stride: of the last convolution.
        padding: of the last convolution; None for half its kernel.
        conv: makes a convolution with its norm and activation, called as `ConvNormAct` is.

    >>> conv_path(192, (64, 1), (96, (1, 7)), (96, 3), stride=2, padding=0)(torch.zeros(1, 192, 9, 9)).shape
    torch.Size([1, 96, 4, 4])
    """
    inputs = (in_channels, *(channels for channels, _ in layers))
    path = [conv(before, *layer) for before, layer in zip(inputs, layers[:-1], strict=False)]
    return nn.Sequential(*path, conv(inputs[-2], *layers[-1], stride, padding=padding))


def row_and_column(in_channels: int, channels: int, conv: Callable[..., nn.Module]) -> Branches:
    """Build a 1x3 and a 3x1 convolution side by side.

    Args:
        in_channels: channels of the input.
        channels: of each convolution.
        conv: makes a convolution with its norm and activation, called as `ConvNormAct` is.

    Source: C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, Figure 7.
    """
    return Branches(conv(in_channels, channels, (1, 3)), conv(in_channels, channels, (3, 1)))


def grid_reduction(
    in_channels: int, deep: tuple[int, int, int], channels: int, path: Callable[..., nn.Module]
) -> Branches:
    """Build the module that halves a map: a convolution, three convolutions, and max pooling, side by side.

        y = concat(conv3x3/2(x), conv3x3/2(conv3x3(conv1x1(x))), maxpool3x3/2(x))          without padding at stride 2

    Args:
        in_channels: channels of x.
        deep: channels of the three convolutions: k, l and m in Figure 7 of the source.
        channels: of the one convolution: n in Figure 7.
        path: makes a path of convolutions, called as `conv_path` is.

    Source: C. Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", AAAI
    2017, Figure 7; the first of its kind is in "Rethinking the Inception Architecture", CVPR 2016, Figure 10.

    >>> grid_reduction(8, (4, 6, 6), 16, conv_path)(torch.zeros(1, 8, 35, 35)).shape
    torch.Size([1, 30, 17, 17])
    """
    first, second, third = deep
    return Branches(
        path(in_channels, (channels, 3), stride=2, padding=0),
        path(in_channels, (first, 1), (second, 3), (third, 3), stride=2, padding=0),
        nn.MaxPool2d(3, 2),
    )
