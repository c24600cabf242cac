"""Kernels of several sizes side by side on the same input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class ParallelConv(nn.Module):
    """One convolution with ReLU per kernel size, all on the same input, their outputs concatenated.

        y = concat over k of  relu(conv_k(x))          with "same" padding, so that all outputs have the size of x

    It has sum over k of filters * (in_channels * k * k + 1) parameters and gives filters * len(kernels) channels.

    Args:
        in_channels: channels of x, >= 1.
        filters: output channels of each branch, >= 1.
        kernels: one odd kernel size per branch.

    Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, Figure 2(a), without its pooling branch.

    >>> block = ParallelConv(3)
    >>> block(torch.zeros(1, 3, 8, 8)).shape, sum(p.numel() for p in block.parameters())
    (torch.Size([1, 192, 8, 8]), 6912)
    """

    def __init__(self, in_channels: int, filters: int = 64, kernels: Sequence[int] = (1, 3, 5)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(in_channels, filters, kernel, padding="same"), nn.ReLU()) for kernel in kernels
        )
        self.out_channels = filters * len(kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, filters * len(kernels), H, W)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)
