"""The continuous convolutional network for the features of electrodes on a plane: no pooling, all maps of one size.

    layer   channels   kernel   what follows   parameters at 4 bands, 9x9
    conv1        64       4x4   SELU                           4,160
    conv2       128       4x4   SELU                         131,200
    conv3       256       4x4   SELU                         524,544
    conv4        64       1x1   SELU                          16,448
    fusion     1024     dense   SELU, dropout              5,309,440
    output        2     dense                                  2,050

Kernels of 4x4 see one cell above and to the left of their own, two below and to the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import nn

from ninefold.networks.zoo import network
from ninefold.records import Card, Logits

if TYPE_CHECKING:
    from torch import Tensor

SIDE: Final = 9  # cells of the plane along either axis
_SPREAD: Final = 0.1  # of the first weights, and what the first biases are


class CCNN(nn.Module):
    """The continuous convolutional network, for planes of one size.

    Args:
        classes: scores per plane.
        in_channels: planes of a sample, one per band of frequencies.
        size: height and width of the plane, in cells; the fusion layer has 64 * height * width inputs.

    Source: Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous Convolutional Neural Network with 3D Input for EEG-Based Emotion
    Recognition", ICONIP 2018; paddings and first weights as in the code that the authors released.
    """

    def __init__(self, classes: int = 2, in_channels: int = 4, size: tuple[int, int] = (SIDE, SIDE)) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 2, 1, 2))
        self.conv1 = nn.Conv2d(in_channels, 64, 4)
        self.conv2 = nn.Conv2d(64, 128, 4)
        self.conv3 = nn.Conv2d(128, 256, 4)
        self.conv4 = nn.Conv2d(256, 64, 1)
        self.flatten = nn.Flatten()
        self.fusion = nn.Linear(64 * size[0] * size[1], 1024)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(1024, classes)
        self.selu = nn.SELU()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight from N(0, 0.1^2) cut off at two standard deviations, and set the biases to 0.1."""
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.fusion, self.output):
            nn.init.trunc_normal_(layer.weight, std=_SPREAD, a=-2 * _SPREAD, b=2 * _SPREAD)
            nn.init.constant_(layer.bias, _SPREAD)

    def forward(self, images: Tensor) -> Logits:
        """Give the logits of `images` (N, in_channels, H, W)."""
        x = self.selu(self.conv1(self.pad(images)))  # (N, 64, H, W)
        x = self.selu(self.conv2(self.pad(x)))  # (N, 128, H, W)
        x = self.selu(self.conv3(self.pad(x)))  # (N, 256, H, W)
        x = self.flatten(self.selu(self.conv4(x)))  # (N, 64 * H * W)
        return Logits(self.output(self.dropout(self.selu(self.fusion(x)))))


@network(
    Card(
        name="ccnn",
        family="eeg",
        task="classify",
        paper="Y. Yang, Q. Wu, Y. Fu, X. Chen: Continuous Convolutional Neural Network with 3D Input for EEG-Based "
        "Emotion Recognition, ICONIP",
        year=2018,
        link="https://doi.org/10.1007/978-3-030-04239-4_39",
        input=(4, SIDE, SIDE),
        classes=2,
        parameters=5_987_842,
        macs=60_053_504,
        fixed_size=True,
        smallest=SIDE,
        published="90.24 % (arousal) and 89.45 % (valence), mean over the 32 persons of DEAP, with windows of the same "
        "trials in training and test",
        differences=("Layers, paddings and first weights are those of the code that the authors released.",),
    ),
    sized=CCNN,
)
def ccnn(classes: int, in_channels: int) -> CCNN:
    """Build the continuous convolutional network."""
    return CCNN(classes, in_channels)
