"""The convolutional block attention module (CBAM): a gate per channel, then a gate per place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class ChannelGate(nn.Module):
    """Each channel times a gate that sees the means and the largest values of all channels.

        m(v) = W2 * relu(W1 * v + b1) + b2
        y[c, i, j] = sigmoid(m(mean of x over i, j) + m(maximum of x over i, j))_c * x[c, i, j]

    Args:
        channels: of x and y.
        squeezed: rows of W1.

    Source: S. Woo, J. Park, J.-Y. Lee, I. S. Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, equation
    2. The biases are those of the authors' code.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        both = (self.pool(x), x.amax((2, 3), keepdim=True))  # twice (N, C, 1, 1)
        mean, largest = (self.fc2(self.act(self.fc1(pooled))) for pooled in both)
        return x * torch.sigmoid(mean + largest)


class PlaceGate(nn.Module):
    """Each place times a gate that sees the largest value and the mean over the channels around it.

        y[c, i, j] = sigmoid(bn(conv([maximum of x over c; mean of x over c])))[i, j] * x[c, i, j]

    Args:
        kernel: size of the convolution, odd.

    Source: S. Woo, J. Park, J.-Y. Lee, I. S. Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, equation
    3. The batch norm, whose scale starts at 0, and the order of the two maps are those of the authors' code.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        seen = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)  # (N, 2, H, W)
        return x * torch.sigmoid(self.bn(self.conv(seen)))


class CBAM(nn.Module):
    """A `ChannelGate`, then a `PlaceGate`.

    Args:
        channels: of x and y.
        squeezed: inner channels of the gate per channel; None for channels / 16, as in the paper.

    Source: S. Woo, J. Park, J.-Y. Lee, I. S. Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, section 3.

    >>> CBAM(64)(torch.zeros(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(self, channels: int, squeezed: int | None = None) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, max(1, channels // 16) if squeezed is None else squeezed)
        self.place = PlaceGate()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return self.place(self.channel(x))
