"""A convolution, its norm and its activation: what most networks are made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Norm = Callable[[int], nn.Module]
    Activation = Callable[[], nn.Module]

RELU: Final = partial(nn.ReLU, inplace=True)
RELU6: Final = partial(nn.ReLU6, inplace=True)


class ConvNormAct(nn.Module):
    """A 2D convolution, batch norm and an activation.

        y = act(bn(conv(x)))

    Without a norm the convolution has a bias; without an activation the sum is given as it is.

    Args:
        in_channels: channels of x.
        channels: channels of y.
        kernel: its size, or (height, width).
        stride: step of the kernel.
        padding: rows and columns of zeros on each side; None for half the kernel, so that stride 1 keeps the size.
        groups: parts that the channels are cut into; `in_channels` of them make the convolution depthwise.
        norm: makes the norm from its number of channels; None for none.
        activation: makes the activation; None for none.
        bias: whether the convolution has one; None for where there is no norm.

    >>> import torch
    >>> ConvNormAct(3, 8, (1, 7), stride=2)(torch.zeros(1, 3, 10, 10)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        *,
        padding: int | tuple[int, int] | None = None,
        groups: int = 1,
        norm: Norm | None = nn.BatchNorm2d,
        activation: Activation | None = RELU,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = ((height - 1) // 2, (width - 1) // 2) if padding is None else padding
        has_bias = norm is None if bias is None else bias
        self.conv = nn.Conv2d(in_channels, channels, (height, width), stride, around, groups=groups, bias=has_bias)
        self.bn = nn.Identity() if norm is None else norm(channels)
        self.act = nn.Identity() if activation is None else activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ...)."""
        return self.act(self.bn(self.conv(x)))
