"""A depthwise convolution, and a 1x1 convolution that mixes its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.nn.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor


class DepthwiseSeparable(nn.Module):
    """A 3x3 convolution of each channel alone, then a 1x1 convolution; batch norm and ReLU after both.

        y = relu(bn(pointwise(relu(bn(depthwise(x))))))

    It multiplies 9 + channels times per input channel and pixel, where a dense 3x3 does 9 * channels times.

    Args:
        in_channels: channels of x.
        channels: channels of y.
        stride: of the depthwise convolution.

    Source: A. Howard et al., "MobileNets", arXiv 1704.04861, section 3.1 and Figure 3.

    >>> import torch
    >>> DepthwiseSeparable(8, 16, stride=2)(torch.zeros(1, 8, 6, 6)).shape
    torch.Size([1, 16, 3, 3])
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(in_channels, in_channels, 3, stride, groups=in_channels)
        self.pointwise = ConvNormAct(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        return self.pointwise(self.depthwise(x))
