"""Channels in another order, so that grouped convolutions exchange what they know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class ChannelShuffle(nn.Module):
    """The channels of several groups, taken in turns: one of each group, then the next of each.

        y[n, i * groups + g] = x[n, g * C / groups + i]

    Args:
        groups: equal parts that the channels are cut into; it divides them.

    Source: X. Zhang et al., "ShuffleNet", CVPR 2018, section 3.1 and Figure 1.

    >>> import torch
    >>> ChannelShuffle(2)(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        n, channels, height, width = x.shape
        cut = x.view(n, self.groups, channels // self.groups, height, width)
        return cut.transpose(1, 2).reshape(n, channels, height, width)
