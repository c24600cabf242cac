"""Inception V4.

module    map size  branches                                                                          channels
stem      147x147   3x3 of 32 with stride 2, 3x3 of 32, 3x3 of 64; the first two without padding            64
           73x73    max pool | 3x3 of 96; stride 2                                                         160
           71x71    1x1, 3x3 of 96 | 1x1, 1x7, 7x1, 3x3 of 96; the 3x3 without padding                     192
           35x35    3x3 of 192 | max pool; stride 2                                                        384
A, 4 of    35x35    1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3 | mean, 1x1                                             384
reduction  17x17    3x3 | 1x1, 3x3, 3x3 | max pool; stride 2                                              1024
B, 7 of    17x17    1x1 | 1x1, 1x7, 7x1 | 1x1, 7x1, 1x7, 7x1, 1x7 | mean, 1x1                             1024
reduction   8x8     1x1, 3x3 | 1x1, 1x7, 7x1, 3x3 | max pool; stride 2                                    1536
C, 3 of     8x8     1x1 | 1x1, (1x3 | 3x1) | 1x1, 3x1, 1x3, (1x3 | 3x1) | mean, 1x1                       1536
mean over the map, dropout, dense
"""

from __future__ import annotations

from functools import partial

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import INCEPTION_PICTURES, network
from ninefold.nn import (
    Branches,
    Classifier,
    ConvNormAct,
    MeanHead,
    StagedBackbone,
    conv_path,
    grid_reduction,
    he_normal,
    row_and_column,
)
from ninefold.records import Card

_CONV = partial(ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3))
_PATH = partial(conv_path, conv=_CONV)

_CADENE = (
    *in_stages([f"features.{i}." for i in range(22)], (3, 2, 5, 8, 4)),
    (r"stages[.]1[.]0[.]conv[.]", "stages.1.0.branches.1.0."),
    (r"stages[.]2[.]0[.]conv[.]", "stages.2.0.branches.0.0."),
    (r"branch(\d)_([0-2])[.]", r"branches.\1.0.\2."),
    (r"branch([12])_[13]a[.]", r"branches.\1.1.branches.0."),
    (r"branch([12])_[13]b[.]", r"branches.\1.1.branches.1."),
    (r"branch(\d)[.](conv|bn)[.]", r"branches.\1.0.\2."),
    (r"branch3[.]1[.]", r"branches.3.1.0."),
    (r"branch(\d)[.]", r"branches.\1."),
    (r"^last_linear[.]", "head.fc."),
)


def _stem_end() -> tuple[Branches, Branches]:
    row, column = (1, 7), (7, 1)
    return (
        Branches(nn.MaxPool2d(3, 2), _PATH(64, (96, 3), stride=2, padding=0)),
        Branches(
            _PATH(160, (64, 1), (96, 3), padding=0),
            _PATH(160, (64, 1), (64, row), (64, column), (96, 3), padding=0),
        ),
    )


def _narrowing() -> Branches:
    return Branches(_PATH(192, (192, 3), stride=2, padding=0), nn.MaxPool2d(3, 2))


def _averaged(channels: int, projection: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), _PATH(channels, (projection, 1)))


def _module_a() -> Branches:
    return Branches(
        _PATH(384, (96, 1)),
        _PATH(384, (64, 1), (96, 3)),
        _PATH(384, (64, 1), (96, 3), (96, 3)),
        _averaged(384, 96),
    )


def _module_b() -> Branches:
    row, column = (1, 7), (7, 1)
    return Branches(
        _PATH(1024, (384, 1)),
        _PATH(1024, (192, 1), (224, row), (256, column)),
        _PATH(1024, (192, 1), (192, column), (224, row), (224, column), (256, row)),
        _averaged(1024, 128),
    )


def _second_reduction() -> Branches:
    return Branches(
        _PATH(1024, (192, 1), (192, 3), stride=2, padding=0),
        _PATH(1024, (256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3), stride=2, padding=0),
        nn.MaxPool2d(3, 2),
    )


def _module_c() -> Branches:
    return Branches(
        _PATH(1536, (256, 1)),
        nn.Sequential(_PATH(1536, (384, 1)), row_and_column(384, 256, _CONV)),
        nn.Sequential(_PATH(1536, (384, 1), (448, (3, 1)), (512, (1, 3))), row_and_column(512, 256, _CONV)),
        _averaged(1536, 256),
    )


class InceptionV4(StagedBackbone):
    """The convolutional part of Inception V4.

    Args:
        in_channels: channels of a picture.

    Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
    Connections on Learning", AAAI 2017, Figures 3 to 9; the paper tells no initial weights: they are as in K. He et
    al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    channels = (64, 192, 384, 1024, 1536)
    strides = (2, 4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        first = _CONV(in_channels, 32, 3, 2, padding=0)
        super().__init__(
            (
                (first, _CONV(32, 32, 3, padding=0), _CONV(32, 64, 3)),
                _stem_end(),
                (_narrowing(), *(_module_a() for _ in range(4))),
                (grid_reduction(384, (192, 224, 256), 384, _PATH), *(_module_b() for _ in range(7))),
                (_second_reduction(), *(_module_c() for _ in range(3))),
            )
        )
        he_normal(self)


@network(
    Card(
        name="inception_v4",
        family="classic",
        task="classify",
        paper="C. Szegedy et al.: Inception-v4, Inception-ResNet and the Impact of Residual Connections, AAAI",
        year=2017,
        link="https://arxiv.org/abs/1602.07261",
        input=(3, 299, 299),
        classes=1000,
        parameters=42_679_816,
        macs=12_253_974_624,
        smallest=75,
        published="80.2 % top-1, 95.2 % top-5, ImageNet (README of TensorFlow's slim models)",
        top1=80.2,
        naming="timm, Cadene's pretrained-models",
        preprocessing=INCEPTION_PICTURES,
    ),
    _CADENE,
)
def inception_v4(classes: int, in_channels: int) -> Classifier:
    """Build Inception V4."""
    return Classifier(InceptionV4(in_channels), MeanHead(1536, classes, dropout=0.2))
