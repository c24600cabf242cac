"""A depthwise convolution and a 1x1 convolution, with nothing in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class SeparableConv2d(nn.Module):
    """A convolution of each channel by itself, then a 1x1 convolution over the channels; no norm, no bias.

        y = pointwise(depthwise(x))

    Args:
        in_channels: channels of x.
        channels: channels of y.
        kernel: size of the depthwise convolution, odd; half of it is the padding.
        stride: of the depthwise convolution.
        multiplier: channels that the depthwise convolution makes of each channel.

    Source: F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017, section 3.

    >>> sum(p.numel() for p in SeparableConv2d(728, 728).parameters())
    536536
    """

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, stride: int = 1, multiplier: int = 1) -> None:
        super().__init__()
        middle = in_channels * multiplier
        self.depthwise = nn.Conv2d(in_channels, middle, kernel, stride, kernel // 2, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(middle, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        return self.pointwise(self.depthwise(x))
