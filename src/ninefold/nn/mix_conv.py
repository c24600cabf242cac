"""Convolutions of several kernel sizes, each on its own part of the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class MixConv2d(nn.Module):
    """The channels cut into parts, a convolution of another kernel size on each, their outputs concatenated.

        y = concat over i of conv_i(x_i)          the parts are equal; what is left over goes to the first

    Args:
        in_channels: channels of x, at least one per part.
        channels: channels of y, cut in the same way.
        kernels: one odd kernel size per part.
        stride: of all convolutions.
        depthwise: whether each channel is convolved alone; `channels` is then `in_channels`.

    Source: M. Tan, Q. Le, "MixConv: Mixed Depthwise Convolutional Kernels", BMVC 2019, section 3.1 and Figure 2; 1x1
    convolutions in parts are of the authors' code.

    >>> MixConv2d(10, 10, (3, 5, 7), stride=2, depthwise=True)(torch.zeros(1, 10, 8, 8)).shape
    torch.Size([1, 10, 4, 4])
    """

    def __init__(
        self, in_channels: int, channels: int, kernels: Sequence[int], stride: int = 1, *, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.cuts = _parts(in_channels, len(kernels))
        self.parts = nn.ModuleList(
            nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=inner if depthwise else 1, bias=False)
            for inner, outer, kernel in zip(self.cuts, _parts(channels, len(kernels)), kernels, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        return torch.cat([conv(part) for conv, part in zip(self.parts, x.split(self.cuts, dim=1), strict=True)], dim=1)


def _parts(channels: int, count: int) -> list[int]:
    equal = channels // count
    return [channels - (count - 1) * equal, *[equal] * (count - 1)]
