"""Inception V3, as its published weights have it.

module   map size   branches                                                                          channels
stem     147x147    3x3 of 32 with stride 2, 3x3 of 32, 3x3 of 64; the first two without padding            64
          71x71     max pool, 1x1 of 80, 3x3 of 192 without padding                                        192
5b        35x35     1x1 | 1x1, 5x5 | 1x1, 3x3, 3x3 | mean, 1x1                max pool before it           256
5c 5d     35x35     as 5b                                                                                  288
6a        17x17     3x3 | 1x1, 3x3, 3x3 | max pool                            stride 2                     768
6b..6e    17x17     1x1 | 1x1, 1x7, 7x1 | 1x1, 7x1, 1x7, 7x1, 1x7 | mean, 1x1 side head after 6e           768
7a         8x8      1x1, 3x3 | 1x1, 1x7, 7x1, 3x3 | max pool                  stride 2                    1280
7b 7c      8x8      1x1 | 1x1, (1x3 | 3x1) | 1x1, 3x3, (1x3 | 3x1) | mean, 1x1                            2048
mean over the map, dropout, dense
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import INCEPTION_PICTURES, network
from ninefold.nn import (
    AuxiliaryClassifier,
    Branches,
    ConvNormAct,
    MeanHead,
    StagedBackbone,
    TappedBackbone,
    conv_path,
    grid_reduction,
    he_normal,
    row_and_column,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_CONV = partial(ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3))
_PATH = partial(conv_path, conv=_CONV)


def _module_a(channels: int, projection: int) -> Branches:
    return Branches(
        _PATH(channels, (64, 1)),
        _PATH(channels, (48, 1), (64, 5)),
        _PATH(channels, (64, 1), (96, 3), (96, 3)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), _PATH(channels, (projection, 1))),
    )


def _module_b(width: int) -> Branches:
    row, column = (1, 7), (7, 1)
    return Branches(
        _PATH(768, (192, 1)),
        _PATH(768, (width, 1), (width, row), (192, column)),
        _PATH(768, (width, 1), (width, column), (width, row), (width, column), (192, row)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), _PATH(768, (192, 1))),
    )


def _second_reduction() -> Branches:
    return Branches(
        _PATH(768, (192, 1), (320, 3), stride=2, padding=0),
        _PATH(768, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), stride=2, padding=0),
        nn.MaxPool2d(3, 2),
    )


def _module_c(channels: int) -> Branches:
    return Branches(
        _PATH(channels, (320, 1)),
        nn.Sequential(_PATH(channels, (384, 1)), row_and_column(384, 384, _CONV)),
        nn.Sequential(_PATH(channels, (448, 1), (384, 3)), row_and_column(384, 384, _CONV)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), _PATH(channels, (192, 1))),
    )


class InceptionV3(StagedBackbone, TappedBackbone):
    """The convolutional part of Inception V3; its tap is the last map of 17x17.

    Args:
        in_channels: channels of a picture.

    Source: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for Computer
    Vision", CVPR 2016, Table 1 and Figures 5 to 7, with the widths of the released weights; the paper tells no initial
    weights: they are as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    channels = (64, 192, 288, 768, 2048)
    strides = (2, 4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        first = _CONV(in_channels, 32, 3, 2, padding=0)
        super().__init__(
            (
                (first, _CONV(32, 32, 3, padding=0), _CONV(32, 64, 3)),
                (nn.MaxPool2d(3, 2), _CONV(64, 80, 1), _CONV(80, 192, 3, padding=0)),
                (nn.MaxPool2d(3, 2), _module_a(192, 32), _module_a(256, 64), _module_a(288, 64)),
                (
                    grid_reduction(288, (64, 96, 96), 384, _PATH),
                    *(_module_b(width) for width in (128, 160, 160, 192)),
                ),
                (_second_reduction(), _module_c(1280), _module_c(2048)),
            )
        )
        he_normal(self)

    def maps_and_taps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Give the last map of each size for `images` (N, in_channels, H, W), and the fourth of them."""
        maps = self(images)
        return maps, [maps[3]]


class SideHead(nn.Module):
    """Scores from a map inside the network, for training.

    Args:
        channels: of the map.
        classes: length of a row of scores.

    Source: C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 4; the
    layers are those of the released weights, and pictures of another size than 299x299 are averaged to 5x5 as well.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.AvgPool2d(5, 3), nn.AdaptiveAvgPool2d(5))
        self.conv1 = _CONV(channels, 128, 1)
        self.conv2 = _CONV(128, 768, 5, padding=0)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W), H and W at least 5, to scores (N, classes)."""
        return self.fc(self.flatten(self.conv2(self.conv1(self.pool(x)))))


_TORCHVISION = (
    *in_stages(
        (
            *("Conv2d_1a_3x3.", "Conv2d_2a_3x3.", "Conv2d_2b_3x3.", "maxpool1.", "Conv2d_3b_1x1.", "Conv2d_4a_3x3."),
            *("maxpool2.", "Mixed_5b.", "Mixed_5c.", "Mixed_5d."),
            *(f"Mixed_6{letter}." for letter in "abcde"),
            *(f"Mixed_7{letter}." for letter in "abc"),
        ),
        (3, 3, 4, 5, 3),
    ),
    (r"(stages[.][34][.]0)[.]branch3x3[.]", r"\1.branches.0.0."),
    (r"(stages[.]4[.]0)[.]branch3x3_", r"\1.branches.0._"),
    (r"(stages[.][34][.]0)[.]branch(3x3dbl|7x7x3)_", r"\1.branches.1._"),
    (r"branch3x3_2a", "branches.1.1.branches.0"),
    (r"branch3x3_2b", "branches.1.1.branches.1"),
    (r"branch3x3dbl_3a", "branches.2.1.branches.0"),
    (r"branch3x3dbl_3b", "branches.2.1.branches.1"),
    (r"(stages[.]4[.][12])[.]branch3x3_", r"\1.branches.1.0._"),
    (r"(stages[.]4[.][12])[.]branch3x3dbl_", r"\1.branches.2.0._"),
    (r"branch1x1[.]", "branches.0.0."),
    (r"branch(5x5|7x7)_", "branches.1._"),
    (r"branch(3x3|7x7)dbl_", "branches.2._"),
    (r"branch_pool[.]", "branches.3.1.0."),
    *((f"_{n}[.]", f"{n - 1}.") for n in range(1, 6)),
    (r"^AuxLogits[.]conv1[.]", "auxiliary.0.conv2."),
    (r"^AuxLogits[.]conv0[.]", "auxiliary.0.conv1."),
    (r"^AuxLogits[.]", "auxiliary.0."),
    (r"^fc[.]", "head.fc."),
)


@network(
    Card(
        name="inception_v3",
        family="classic",
        task="classify",
        paper="C. Szegedy et al.: Rethinking the Inception Architecture for Computer Vision, CVPR",
        year=2016,
        link="https://arxiv.org/abs/1512.00567",
        input=(3, 299, 299),
        classes=1000,
        parameters=27_161_264,
        macs=5_713_216_096,
        smallest=107,
        published="77.294 % top-1, 93.450 % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=77.294,
        naming="torchvision",
        preprocessing=INCEPTION_PICTURES + ", which torchvision's `transform_input` computes from its usual pictures",
        differences=(
            "The stem ends in 1x1 of 80, 3x3 of 192 and pooling, as released; Table 1 has three 3x3 instead.",
            "The modules of 35x35 keep a 5x5, as the released weights do; Figure 5 has two 3x3 in its place.",
            "Means over 3x3 pixels count those outside the map as zeros, as torchvision's do and TensorFlow's do not.",
            "The task weighs the side head by 0.3; 0.4 is customary for this network.",
        ),
    ),
    _TORCHVISION,
)
def inception_v3(classes: int, in_channels: int) -> AuxiliaryClassifier:
    """Build Inception V3 with its side head."""
    return AuxiliaryClassifier(InceptionV3(in_channels), MeanHead(2048, classes, dropout=0.5), [SideHead(768, classes)])
