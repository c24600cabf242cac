"""The ghost module: half of the maps by convolution, the other half from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.nn.conv_norm_act import RELU, ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.nn.conv_norm_act import Activation


class GhostModule(nn.Module):
    """A 1x1 convolution that makes half of the channels, and a depthwise 3x3 that makes the rest from those.

        p = act(bn(conv1x1(x)))                                 ceil(channels / 2) channels
        y = first channels of concat(p, act(bn(depthwise3x3(p))))

    Args:
        in_channels: channels of x.
        channels: channels of y.
        activation: makes `act`; None for none.

    Source: K. Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, section 3.1, with s = 2, d = 3.

    >>> GhostModule(8, 5)(torch.zeros(1, 8, 6, 6)).shape
    torch.Size([1, 5, 6, 6])
    """

    def __init__(self, in_channels: int, channels: int, activation: Activation | None = RELU) -> None:
        super().__init__()
        half = (channels + 1) // 2
        self.channels = channels
        self.primary = ConvNormAct(in_channels, half, 1, activation=activation)
        self.cheap = ConvNormAct(half, half, 3, groups=half, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, H, W)."""
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)[:, : self.channels]
