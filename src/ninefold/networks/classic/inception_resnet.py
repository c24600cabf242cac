"""Inception networks whose modules are residual: Inception-ResNet-v1 as in the paper, and the two released networks.

module     map size  branches, joined by a 1x1 in A, B and C                        channels in v1    v2
stem       147x147   3x3 of 32 with stride 2, 3x3 of 32, 3x3 of 64                              64    64
            71x71    max pool, 1x1 of 80, 3x3 of 192                                           192   192
            35x35    v1: 3x3 of stride 2; v2: max pool, a module as in Inception V3            256   320
A           35x35    1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3                        v1: 5, v2: 10 of    256   320
reduction   17x17    3x3 | 1x1, 3x3, 3x3 | max pool; stride 2                                  896  1088
B           17x17    1x1 | 1x1, 1x7, 7x1                                   v1: 10, v2: 20 of   896  1088
reduction    8x8     1x1, 3x3 | 1x1, 3x3 | 1x1, 3x3, 3x3 | max pool; stride 2                 1792  2080
C            8x8     1x1 | 1x1, 1x3, 3x1                                   v1: 5, v2: 9 of    1792  2080
linear C     8x8     as C, without scale and activation                    v1: for faces only 1792  2080
end          8x8     v2: 1x1                                                                        1536
mean over the map, dropout, dense
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import INCEPTION_PICTURES, network
from ninefold.nn import (
    RELU,
    Branches,
    Classifier,
    ConvNormAct,
    MeanHead,
    StagedBackbone,
    conv_path,
    grid_reduction,
    he_normal,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_CONV = partial(ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3))
_PATH = partial(conv_path, conv=_CONV)


class ScaledResidual(nn.Module):
    """Branches brought back to the channels of their input, scaled, and added to it.

        y = act(x + scale * project(branches(x)))

    Args:
        branches: from x to `joined` channels.
        joined: channels that the branches give together.
        channels: of x and y.
        scale: of the sum's second part; the paper has 0.1 to 0.3.
        activation: of the sum.

    Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
    Connections on Learning", AAAI 2017, sections 3.2 and 3.3.
    """

    def __init__(self, branches: Branches, joined: int, channels: int, scale: float, activation: nn.Module) -> None:
        super().__init__()
        self.branches = branches
        self.project = nn.Conv2d(joined, channels, 1)
        self.scale = scale
        self.act = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return self.act(x + self.scale * self.project(self.branches(x)))


class Widths(NamedTuple):
    """The channels in which the two networks differ, and their numbers of modules.

    Args:
        entry: of the map that the modules A get.
        a: of the two 3x3 in the last branch of A.
        reduction_a: of the three convolutions in the second branch of the first reduction.
        b: of the first branch of B, and of the three convolutions in its second.
        reduction_b: of the 3x3 in the second branch of the second reduction, and of the two in its third.
        c: of the three convolutions in the second branch of C.
        repeats: numbers of modules A, B and C.
    """

    entry: int
    a: tuple[int, int]
    reduction_a: tuple[int, int, int]
    b: tuple[int, tuple[int, int, int]]
    reduction_b: tuple[int, tuple[int, int]]
    c: tuple[int, int, int]
    repeats: tuple[int, int, int]


_V1 = Widths(256, (32, 32), (192, 192, 256), (128, (128, 128, 128)), (256, (256, 256)), (192, 192, 192), (5, 10, 5))
_V2 = Widths(320, (48, 64), (256, 256, 384), (192, (128, 160, 192)), (288, (288, 320)), (192, 224, 256), (10, 20, 9))


def _module_a(channels: int, widths: Widths) -> ScaledResidual:
    middle, last = widths.a
    paths = (
        _PATH(channels, (32, 1)),
        _PATH(channels, (32, 1), (32, 3)),
        _PATH(channels, (32, 1), (middle, 3), (last, 3)),
    )
    return ScaledResidual(Branches(*paths), 64 + last, channels, 0.17, RELU())


def _module_b(channels: int, widths: Widths) -> ScaledResidual:
    alone, (first, middle, last) = widths.b
    branches = Branches(_PATH(channels, (alone, 1)), _PATH(channels, (first, 1), (middle, (1, 7)), (last, (7, 1))))
    return ScaledResidual(branches, alone + last, channels, 0.10, RELU())


def _module_c(channels: int, widths: Widths, *, linear: bool = False) -> ScaledResidual:
    first, middle, last = widths.c
    branches = Branches(_PATH(channels, (192, 1)), _PATH(channels, (first, 1), (middle, (1, 3)), (last, (3, 1))))
    scale, activation = (1.0, nn.Identity()) if linear else (0.20, RELU())
    return ScaledResidual(branches, 192 + last, channels, scale, activation)


def _second_reduction(channels: int, widths: Widths) -> Branches:
    second, (middle, last) = widths.reduction_b
    path = partial(_PATH, channels, (256, 1), stride=2, padding=0)
    return Branches(path((384, 3)), path((second, 3)), path((middle, 3), (last, 3)), nn.MaxPool2d(3, 2))


def _v2_entry() -> tuple[nn.Module, ...]:
    mean = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    branches = Branches(
        _PATH(192, (96, 1)),
        _PATH(192, (48, 1), (64, 5)),
        _PATH(192, (64, 1), (96, 3), (96, 3)),
        nn.Sequential(mean, _PATH(192, (64, 1))),
    )
    return nn.MaxPool2d(3, 2), branches


class InceptionResNet(StagedBackbone):
    """The convolutional part of an Inception-ResNet.

    Args:
        in_channels: channels of a picture.
        widths: of the modules, and how many there are.
        entry: the blocks from the stem's (N, 192, H, W) to `widths.entry` channels and half the size.
        linear: whether one more module C, without scale and activation, follows.
        last: channels of a 1x1 convolution at the end; 0 for none.

    Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
    Connections on Learning", AAAI 2017, Figures 10 to 15; the paper tells no initial weights: they are as in K. He et
    al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self, in_channels: int, widths: Widths, entry: tuple[nn.Module, ...], *, linear: bool, last: int = 0
    ) -> None:
        a = widths.entry
        b = a + widths.reduction_a[-1] + 384
        c = b + 384 + widths.reduction_b[0] + widths.reduction_b[1][-1]
        first = _CONV(in_channels, 32, 3, 2, padding=0)
        reduction = grid_reduction(a, widths.reduction_a, 384, _PATH)
        times_a, times_b, times_c = widths.repeats
        end = [_module_c(c, widths, linear=True)] if linear else []
        end += [_CONV(c, last, 1)] if last else []
        super().__init__(
            (
                (first, _CONV(32, 32, 3, padding=0), _CONV(32, 64, 3)),
                (nn.MaxPool2d(3, 2), _CONV(64, 80, 1), _CONV(80, 192, 3, padding=0)),
                (*entry, nn.Sequential(*(_module_a(a, widths) for _ in range(times_a)))),
                (reduction, nn.Sequential(*(_module_b(b, widths) for _ in range(times_b)))),
                (_second_reduction(b, widths), nn.Sequential(*(_module_c(c, widths) for _ in range(times_c))), *end),
            )
        )
        self.channels = (64, 192, a, b, last or c)
        he_normal(self)


def _face_head(channels: int, classes: int) -> nn.Sequential:
    """Build mean, embedding and scores; facenet compares faces by what the fifth module gives, at unit length."""
    mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.6))
    return nn.Sequential(
        *mean, nn.Linear(channels, 512, bias=False), nn.BatchNorm1d(512, eps=1e-3), nn.Linear(512, classes)
    )


_RELEASED = (
    (r"^(repeat_?\d?[.]\d+|block8)[.](branch\d)", r"\1.branches.\2"),
    (r"[.]conv2d[.]", ".project."),
    (r"branch(\d)[.](conv|bn)[.]", r"branches.\1.0.\2."),
    (r"branch3[.]1[.]", "branches.3.1.0."),
    (r"branch(\d)[.]", r"branches.\1."),
)
_STEM = ("conv2d_1a.", "conv2d_2a.", "conv2d_2b.", "maxpool_3a.", "conv2d_3b.", "conv2d_4a.")
_V1_BODY = ("conv2d_4b.", "repeat_1.", "mixed_6a.", "repeat_2.", "mixed_7a.", "repeat_3.", "block8.")
_V2_BODY = ("maxpool_5a.", "mixed_5b.", "repeat.", "mixed_6a.", "repeat_1.", "mixed_7a.", "repeat_2.", "block8.")
_FACENET = (
    *_RELEASED,
    *in_stages((*_STEM, *_V1_BODY), (3, 3, 2, 2, 3)),
    (r"^last_linear[.]", "head.3."),
    (r"^last_bn[.]", "head.4."),
    (r"^logits[.]", "head.5."),
)
_TIMM = (
    *_RELEASED,
    *in_stages((*_STEM, *_V2_BODY, "conv2d_7b."), (3, 3, 3, 2, 4)),
    (r"^(classif|last_linear)[.]", "head.fc."),
)
_SCALES = "The scales of the residuals are 0.17 in A, 0.10 in B and 0.20 in C, as released; the paper has 0.1 to 0.3."
_CARD = Card(
    name="inception_resnet_v1",
    family="classic",
    task="classify",
    paper="C. Szegedy et al.: Inception-v4, Inception-ResNet and the Impact of Residual Connections, AAAI",
    year=2017,
    link="https://arxiv.org/abs/1602.07261",
    input=(3, 299, 299),
    classes=1000,
    parameters=22_756_328,
    macs=6_206_361_696,
    smallest=75,
    differences=(_SCALES,),
)


@network(_CARD)
def inception_resnet_v1(classes: int, in_channels: int) -> Classifier:
    """Build Inception-ResNet-v1 as the paper has it."""
    backbone = InceptionResNet(in_channels, _V1, (_CONV(192, 256, 3, 2, padding=0),), linear=False)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes, dropout=0.2))


@network(
    replace(
        _CARD,
        name="inception_resnet_v1_face",
        input=(3, 160, 160),
        classes=8631,
        parameters=27_910_327,
        macs=1_422_081_376,
        published="99.65 % of the pairs of Labeled Faces in the Wild, trained on VGGFace2 (README of facenet-pytorch)",
        naming="facenet-pytorch",
        preprocessing="faces of 160x160, RGB, from 0 to 255, minus 127.5, divided by 128",
        differences=(
            _SCALES,
            "One more module C, without scale and activation, follows the five, as in facenet-pytorch.",
            "The head embeds in 512 numbers before it scores the 8,631 people of VGGFace2, as in facenet-pytorch.",
        ),
    ),
    _FACENET,
)
def inception_resnet_v1_face(classes: int, in_channels: int) -> Classifier:
    """Build Inception-ResNet-v1 as released for faces."""
    backbone = InceptionResNet(in_channels, _V1, (_CONV(192, 256, 3, 2, padding=0),), linear=True)
    return Classifier(backbone, _face_head(backbone.channels[-1], classes))


@network(
    replace(
        _CARD,
        name="inception_resnet_v2",
        parameters=55_843_464,
        macs=13_155_794_016,
        published="80.4 % top-1, 95.3 % top-5, ImageNet (README of TensorFlow's slim models)",
        top1=80.4,
        naming="timm, Cadene's pretrained-models",
        preprocessing=INCEPTION_PICTURES,
        differences=(
            _SCALES,
            "This is the released network; the paper's has the stem of Inception V4 and 5 modules A, 10 B and 5 C.",
            "Its modules have 320, 1088 and 2080 channels; the paper's have 384, 1152 and 2144.",
            "One more module C, without scale and activation, and a 1x1 of 1536 follow the others, as released.",
        ),
    ),
    _TIMM,
)
def inception_resnet_v2(classes: int, in_channels: int) -> Classifier:
    """Build Inception-ResNet-v2 as released."""
    backbone = InceptionResNet(in_channels, _V2, _v2_entry(), linear=True, last=1536)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes, dropout=0.2))
