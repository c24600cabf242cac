"""The inverted residual: wide inside, narrow at both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class InvertedResidual(nn.Module):
    """More channels, a depthwise convolution on them, fewer channels again; and x itself, where it fits.

        y = project(attention(depthwise(expand(x)))) + x        without x where `shortcut` is False

    The narrow ends have no activation: one would lose what few channels hold.

    Args:
        expand: a 1x1 convolution with norm and activation, or the identity.
        depthwise: a convolution of each channel alone, with norm and activation.
        project: a 1x1 convolution with norm and without activation.
        shortcut: whether x is added; y then has its shape.
        attention: a module that keeps shapes; None for none.

    Source: M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, section 3.3; with
    attention A. Howard et al., "Searching for MobileNetV3", ICCV 2019, Figure 4.
    """

    def __init__(
        self,
        expand: nn.Module,
        depthwise: nn.Module,
        project: nn.Module,
        *,
        shortcut: bool,
        attention: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.expand = expand
        self.depthwise = depthwise
        self.attention = nn.Identity() if attention is None else attention
        self.project = project
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, channels of `project`, ceil(H / stride), ceil(W / stride))."""
        y = self.project(self.attention(self.depthwise(self.expand(x))))
        return y + x if self.shortcut else y


def inverted_residual(
    in_channels: int,
    expanded: int,
    channels: int,
    kernel: int,
    stride: int,
    conv: Callable[..., nn.Module],
    attention: nn.Module | None = None,
) -> InvertedResidual:
    """Build an inverted residual of plain convolutions.

    Args:
        in_channels: channels of x.
        expanded: channels inside; no 1x1 convolution comes first where that is `in_channels`.
        channels: channels of y.
        kernel: size of the depthwise convolution, odd.
        stride: of the depthwise convolution; x is added where it is 1 and y has as many channels.
        conv: `ConvNormAct`, or a partial call of it that sets norm and activation.
        attention: a module that keeps shapes, of `expanded` channels; None for none.

    >>> import torch
    >>> from ninefold.nn import ConvNormAct
    >>> inverted_residual(8, 48, 16, 5, 2, ConvNormAct)(torch.zeros(1, 8, 6, 6)).shape
    torch.Size([1, 16, 3, 3])
    """
    return InvertedResidual(
        nn.Identity() if expanded == in_channels else conv(in_channels, expanded, 1),
        conv(expanded, expanded, kernel, stride, groups=expanded),
        conv(expanded, channels, 1, activation=None),
        shortcut=stride == 1 and in_channels == channels,
        attention=attention,
    )
