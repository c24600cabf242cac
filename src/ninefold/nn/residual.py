"""Residual blocks and the shortcuts beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


class ZeroPadShortcut(nn.Module):
    """The shortcut without parameters (option A): every stride-th pixel, new channels filled with zeros.

    Args:
        new_channels: channels to add behind the given ones, >= 0.
        stride: step between the kept pixels, >= 1.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + new_channels, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut.

        y = relu(attention(bn2(conv2(relu(bn1(conv1(x)))))) + shortcut(x))

    `attention` is the identity until a module that keeps shapes is put there.

    Args:
        in_channels: channels of x.
        channels: channels of both convolutions and of y.
        stride: of the first convolution and of the shortcut.
        shortcut: what x passes through beside the convolutions; its output has the shape of y.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Figure 5 (left).
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.attention: nn.Module = nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.attention(self.bn2(self.conv2(y)))
        return self.relu(y + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch norm, the middle ones narrow, added to a shortcut.

        y = relu(attention(bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x))

    `attention` is the identity until a module that keeps shapes is put there.

    Args:
        in_channels: channels of x.
        width: channels of the first two convolutions; y has four times as many.
        stride: of one convolution and of the shortcut.
        shortcut: what x passes through beside the convolutions; its output has the shape of y.
        stride_in_first: whether the first 1x1 has the stride, as in the paper, or the 3x3.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Figure 5 (right). The stride in the
    3x3, which then sees every pixel, is that of the authors' later Torch code and of most published weights.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, stride: int, shortcut: nn.Module, *, stride_in_first: bool = False
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_first else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, self.expansion * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.expansion * width)
        self.attention: nn.Module = nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 4 * width, ceil(H / stride), ceil(W / stride))."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.attention(self.bn3(self.conv3(y)))
        return self.relu(y + self.shortcut(x))
