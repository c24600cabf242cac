"""Inception V2, the Inception network with batch normalisation (BN-Inception).

module     map size   1x1   3x3          two 3x3          pool       channels
conv1      112x112                                                      64      7x7, stride 2
conv2       56x56                                                      192      max pool, 1x1 of 64 channels, 3x3
3a          28x28      64    64 ->  64    64 ->  96   mean,  32        256      max pool before it
3b          28x28      64    64 ->  96    64 ->  96   mean,  64        320
3c          14x14           128 -> 160    64 ->  96   max              576      stride 2
4a          14x14     224    64 ->  96    96 -> 128   mean, 128        576
4b          14x14     192    96 -> 128    96 -> 128   mean, 128        576
4c          14x14     160   128 -> 160   128 -> 160   mean, 128        608      slim: 96 after the pooling, 576 channels
4d          14x14      96   128 -> 192   160 -> 192   mean, 128        608      the same
4e           7x7            128 -> 192   192 -> 256   max              1056     stride 2; slim: 1024 channels
5a           7x7      352   192 -> 320   160 -> 224   mean, 128        1024
5b           7x7      352   192 -> 320   192 -> 224   max,  128        1024
mean over the map, dense
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import network
from ninefold.nn import (
    Branches,
    Classifier,
    ConvNormAct,
    MeanHead,
    SeparableConv2d,
    StagedBackbone,
    conv_path,
    he_normal,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from collections.abc import Callable


class Row(NamedTuple):
    """One module, as the paper's table of the architecture has it.

    Args:
        small: channels of the 1x1 branch; 0 for a module of stride 2, which has none.
        middle: channels of the 3x3 branch, the 1x1 before it first.
        double: channels of the branch of two 3x3, the 1x1 before them first.
        projection: channels of the 1x1 after the pooling; 0 for none.
    """

    small: int
    middle: tuple[int, int]
    double: tuple[int, int]
    projection: int


_MODULES = {
    "3a": Row(64, (64, 64), (64, 96), 32),
    "3b": Row(64, (64, 96), (64, 96), 64),
    "3c": Row(0, (128, 160), (64, 96), 0),
    "4a": Row(224, (64, 96), (96, 128), 128),
    "4b": Row(192, (96, 128), (96, 128), 128),
    "4c": Row(160, (128, 160), (128, 160), 128),
    "4d": Row(96, (128, 192), (160, 192), 128),
    "4e": Row(0, (128, 192), (192, 256), 0),
    "5a": Row(352, (192, 320), (160, 224), 128),
    "5b": Row(352, (192, 320), (192, 224), 128),
}
_STAGES = (("3a", "3b"), ("3c", "4a", "4b", "4c", "4d"), ("4e", "5a", "5b"))
_SLIM = {**_MODULES, "4c": _MODULES["4c"]._replace(projection=96), "4d": _MODULES["4d"]._replace(projection=96)}
_CADENE = (
    *in_stages(
        (
            *("conv1_7x7_s2", "pool1", "conv2_3x3_reduce", "conv2_3x3", "pool2"),
            *(f"inception_{name}_" for name in _MODULES),
        ),
        (1, 3, 3, 5, 3),
    ),
    (r"(stages[.][34][.]0)[.]3x3", r"\1.branches.0"),  # a module of stride 2 has no 1x1 branch before
    (r"(stages[.][34][.]0)[.]double_3x3", r"\1.branches.1"),
    (r"[.]1x1", ".branches.0.0"),
    (r"[.]3x3", ".branches.1"),
    (r"[.]double_3x3", ".branches.2"),
    (r"[.]pool_proj", ".branches.3.1.0"),
    (r"_reduce", ".0"),
    (r"(branches[.]\d)_([12])", r"\1.\2"),
    (r"(branches[.]\d)(_bn)?[.]([a-z])", r"\1.1\2.\3"),  # the one 3x3, behind its 1x1
    (r"[.]?_bn[.]", ".bn."),
    (r"[.]{2}|(?<=\d)[.](?=weight|bias)", ".conv."),
    (r"^last_linear[.]", "head.fc."),
)


class InceptionV2(StagedBackbone):
    """The convolutional part of BN-Inception.

    Args:
        conv1: the first convolution, with norm and activation: 64 channels, stride 2.
        modules: the widths of each module, under its name.
        conv: makes a convolution with its norm and activation, called as `ConvNormAct` is.
        count_padding: whether a mean over 3x3 pixels counts those outside the map, as zeros.

    Source: S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift", ICML 2015, Figure 5 in the appendix; the paper tells no initial weights: they are as in K. He et
    al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self, conv1: nn.Module, modules: dict[str, Row], conv: Callable[..., nn.Module], *, count_padding: bool
    ) -> None:
        halved = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
        averaged = partial(nn.AvgPool2d, 3, 1, 1, count_include_pad=count_padding)
        stages = [[conv1], [halved(), conv(64, 64, 1), conv(64, 192, 3)], [halved()], [], []]
        channels = [64, 192]
        for stage, names in zip(stages[2:], _STAGES, strict=True):
            width = channels[-1]
            for name in names:
                pool = nn.MaxPool2d(3, 1, 1) if name == "5b" else averaged()
                stage.append(_module(width, modules[name], pool, partial(conv_path, conv=conv)))
                width = _channels(width, modules[name])
            channels.append(width)
        super().__init__(stages)
        self.channels = tuple(channels)
        he_normal(self)


def _channels(before: int, row: Row) -> int:
    return row.small + row.middle[1] + row.double[1] + (row.projection or before)


def _module(in_channels: int, row: Row, pool: nn.Module, path: Callable[..., nn.Module]) -> Branches:
    stride = 1 if row.small else 2
    middle = path(in_channels, (row.middle[0], 1), (row.middle[1], 3), stride=stride)
    double = path(in_channels, (row.double[0], 1), (row.double[1], 3), (row.double[1], 3), stride=stride)
    if not row.small:
        # The zeros let an odd map become as large as the convolutions make it; no maximum is below 0.
        return Branches(middle, double, nn.Sequential(nn.ZeroPad2d((0, 2, 0, 2)), nn.MaxPool2d(3, 2)))
    projected = nn.Sequential(pool, path(in_channels, (row.projection, 1)))
    return Branches(path(in_channels, (row.small, 1)), middle, double, projected)


def _cadene(classes: int, in_channels: int) -> Classifier:
    conv = partial(ConvNormAct, bias=True)
    backbone = InceptionV2(conv(in_channels, 64, 7, 2), _MODULES, conv, count_padding=True)
    return Classifier(backbone, MeanHead(1024, classes))


def _slim(classes: int, in_channels: int) -> Classifier:
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    separable = SeparableConv2d(in_channels, 64, 7, 2, multiplier=8)
    conv1 = nn.Sequential(separable, norm(64), nn.ReLU(inplace=True))
    backbone = InceptionV2(conv1, _SLIM, partial(ConvNormAct, norm=norm), count_padding=False)
    return Classifier(backbone, MeanHead(1024, classes, dropout=0.2))


_CARD = Card(
    name="bn_inception",
    family="classic",
    task="classify",
    paper="S. Ioffe, C. Szegedy: Batch Normalization: Accelerating Deep Network Training, ICML",
    year=2015,
    link="https://arxiv.org/abs/1502.03167",
    input=(3, 224, 224),
    classes=1000,
    parameters=11_295_240,
    macs=2_032_600_064,
    smallest=7,
    published="73.524 % top-1, 91.562 % top-5, ImageNet (README of Cadene's pretrained-models)",
    top1=73.524,
    naming="Cadene's pretrained-models (bninception)",
    preprocessing="BGR, from 0 to 255, minus (104, 117, 128)",
    differences=(
        "Convolutions have a bias beside their batch norm, as the published weights from Caffe do.",
        "The first convolution is dense, as in those weights; the paper's is separable, as that of inception_v2.",
    ),
)
network(_CARD, _CADENE)(_cadene)
network(
    replace(
        _CARD,
        name="inception_v2",
        parameters=11_188_288,
        macs=1_934_857_216,
        published="73.9 % top-1, 91.8 % top-5, ImageNet (README of TensorFlow's slim models)",
        top1=73.9,
        naming="",
        preprocessing="",
        differences=(
            "As TensorFlow's slim model has it: 4c and 4d have 96 channels after their pooling, not 128.",
            "The first convolution is separable, with 8 channels for each of the picture's.",
            "Dropout leaves out 0.2 of the means in training; the epsilon of batch norm is 0.001.",
            "Padding of stride 2 is the same on all sides; TensorFlow pads more below and on the right.",
        ),
    )
)(_slim)
