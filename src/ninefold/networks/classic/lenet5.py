"""LeNet-5, layer by layer as in its paper.

    layer   maps x size    what it does                                                      parameters
    input      1 x 32x32
    C1         6 x 28x28   5x5 convolution                                                          156
    S2         6 x 14x14   2x2 sum, times a coefficient, plus a bias                                 12
    C3        16 x 10x10   5x5 convolution, each map seeing the S2 maps that Table I names        1,516
    S4        16 x 5x5     as S2                                                                     32
    C5       120 x 1x1     5x5 convolution over all maps                                         48,120
    F6        84           dense                                                                 10,164
    output    10           dense (the paper: distances to fixed 7x12 pictures of the digits)        850

Every layer up to F6 ends in the squashing function 1.7159 * tanh(2 / 3 * a).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.networks.zoo import network
from ninefold.nn import TableConv2d
from ninefold.records import Card, Logits

if TYPE_CHECKING:
    from torch import Tensor

# Table I of the paper: the maps of S2 that each map of C3 sees.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


class Squash(nn.Module):
    """The paper's squashing function A * tanh(S * a) with A = 1.7159 and S = 2/3: f(1) = 1, f(-1) = -1 (appendix A)."""

    def forward(self, a: Tensor) -> Tensor:
        """Squash every element of `a`."""
        return 1.7159 * torch.tanh(2 / 3 * a)


class Subsampling(nn.Module):
    """The layers S2 and S4: the sum over 2x2 pixels, times one coefficient per map, plus one bias per map.

    Args:
        channels: maps of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.pool = nn.AvgPool2d(2)  # a quarter of the sum, which is the form that ONNX has

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H // 2, W // 2)."""
        return self.pool(x) * 4 * self.coefficient[:, None, None] + self.bias[:, None, None]


class LeNet5(nn.Module):
    """LeNet-5 for pictures of exactly 32x32.

    Args:
        classes: scores per picture.
        in_channels: channels of a picture.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
    Proceedings of the IEEE 86(11), 1998, section II.B; initial weights as in appendix A.
    """

    def __init__(self, classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = TableConv2d(6, C3_TABLE, 5)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)
        self.squash = Squash()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight from uniform(-2.4 / fan_in, 2.4 / fan_in) and set the biases to 0."""
        for layer in (self.c1, self.c5, self.f6, self.output):
            fan_in = layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -2.4 / fan_in, 2.4 / fan_in)
            nn.init.zeros_(layer.bias)
        for layer in (self.s2, self.s4):
            nn.init.uniform_(layer.coefficient, -2.4 / 4, 2.4 / 4)
        self.c3.reset_parameters(gain=2.4)

    def forward(self, images: Tensor) -> Logits:
        """Give the logits of `images` (N, in_channels, 32, 32)."""
        x = self.squash(self.c1(images))  # (N, 6, 28, 28)
        x = self.squash(self.s2(x))  # (N, 6, 14, 14)
        x = self.squash(self.c3(x))  # (N, 16, 10, 10)
        x = self.squash(self.s4(x))  # (N, 16, 5, 5)
        x = self.flatten(self.squash(self.c5(x)))  # (N, 120)
        return Logits(self.output(self.squash(self.f6(x))))


@network(
    Card(
        name="lenet5",
        family="classic",
        task="classify",
        paper="Y. LeCun et al.: Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE",
        year=1998,
        link="https://doi.org/10.1109/5.726791",
        input=(1, 32, 32),
        classes=10,
        parameters=60_850,
        macs=416_520,
        fixed_size=True,
        smallest=32,
        published="0.95 % error on the MNIST test set, trained without distortions",
        differences=(
            "The output layer is dense, not a set of distances to fixed pictures of the digits, to serve any classes.",
            "Connections that Table I leaves out of C3 are computed as zeros: 240,000 MACs, not 150,000.",
        ),
    )
)
def lenet5(classes: int, in_channels: int) -> LeNet5:
    """Build LeNet-5."""
    return LeNet5(classes, in_channels)
