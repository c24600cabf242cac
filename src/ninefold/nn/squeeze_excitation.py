"""Squeeze and excitation: a gate per channel, computed from the means of all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.nn.conv_norm_act import RELU

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.nn.conv_norm_act import Activation


class SqueezeExcitation(nn.Module):
    """Each channel times a gate between 0 and 1 that sees the means of all channels.

        z_c = mean over i, j of x[c, i, j]
        s = gate(W2 * act(W1 * z + b1) + b2)
        y[c, i, j] = s_c * x[c, i, j]

    Args:
        channels: of x and y.
        squeezed: rows of W1; None for channels / 16, as in the paper.
        activation: makes `act`.
        gate: makes `gate`.
        bias: whether b1 and b2 are there.

    Source: J. Hu, L. Shen, G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018, section 3. The paper writes no biases;
    the networks its authors released have them.

    >>> import torch
    >>> SqueezeExcitation(64)(torch.zeros(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        squeezed: int | None = None,
        *,
        activation: Activation = RELU,
        gate: Activation = nn.Sigmoid,
        bias: bool = True,
    ) -> None:
        super().__init__()
        squeezed = max(1, channels // 16) if squeezed is None else squeezed
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=bias)
        self.act = activation()
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=bias)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return x * self.gate(self.fc2(self.act(self.fc1(self.pool(x)))))  # (N, C, H, W) * (N, C, 1, 1)
