"""MobileNetV3: inverted residuals found by search, some with squeeze and excitation, the deep ones with hard-swish.

A block is written as kernel, channels inside, channels, with or without squeeze and excitation, activation, stride.
Both networks begin with a 3x3 convolution to 16 of stride 2, and end with a 1x1 convolution to six times the channels,
the mean over the map, a dense layer to 1280 (large) or 1024 (small), dropout of a fifth and the dense layer to the
classes. Activations before and after the blocks are hard-swish. A width multiplies every number of channels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, SYMMETRIC_PADDING, network
from ninefold.nn import (
    Classifier,
    ConvNormAct,
    InvertedResidual,
    MeanHead,
    SqueezeExcitation,
    StagedBackbone,
    he_normal,
    inverted_residual,
    make_divisible,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from ninefold.networks.checkpoint import Renaming

_HARD_SWISH = partial(nn.Hardswish, inplace=True)
_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
RE = partial(ConvNormAct, norm=_NORM)
HS = partial(ConvNormAct, norm=_NORM, activation=_HARD_SWISH)

LARGE = (
    ((3, 16, 16, False, RE, 1),),
    ((3, 64, 24, False, RE, 2), (3, 72, 24, False, RE, 1)),
    ((5, 72, 40, True, RE, 2), (5, 120, 40, True, RE, 1), (5, 120, 40, True, RE, 1)),
    (
        *(
            (3, 240, 80, False, HS, 2),
            (3, 200, 80, False, HS, 1),
            (3, 184, 80, False, HS, 1),
            (3, 184, 80, False, HS, 1),
        ),
        *((3, 480, 112, True, HS, 1), (3, 672, 112, True, HS, 1)),
    ),
    ((5, 672, 160, True, HS, 2), (5, 960, 160, True, HS, 1), (5, 960, 160, True, HS, 1)),
)
SMALL = (
    (),
    ((3, 16, 16, True, RE, 2),),
    ((3, 72, 24, False, RE, 2), (3, 88, 24, False, RE, 1)),
    (
        *((5, 96, 40, True, HS, 2), (5, 240, 40, True, HS, 1), (5, 240, 40, True, HS, 1)),
        *((5, 120, 48, True, HS, 1), (5, 144, 48, True, HS, 1)),
    ),
    ((5, 288, 96, True, HS, 2), (5, 576, 96, True, HS, 1), (5, 576, 96, True, HS, 1)),
)
Stages = tuple[tuple[tuple[int, int, int, bool, partial[ConvNormAct], int], ...], ...]


class MobileNetV3(StagedBackbone):
    """The convolutional part of MobileNetV3, without the last 1x1 convolution.

    Args:
        stages: `LARGE` or `SMALL`.
        width: factor of all numbers of channels, which are then rounded to multiples of 8, > 0.
        in_channels: channels of a picture.

    Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019, Tables 1 and 2. Initial weights as in K. He et
    al., "Delving Deep into Rectifiers", ICCV 2015, equation 10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, stages: Stages, width: float, in_channels: int) -> None:
        before = make_divisible(16 * width)
        blocks: list[list[nn.Module]] = [[HS(in_channels, before, 3, 2)], [], [], [], []]
        channels = []
        for stage, rows in zip(blocks, stages, strict=True):
            for kernel, inside, unscaled, gated, conv, stride in rows:
                after = make_divisible(unscaled * width)
                stage.append(_block((before, make_divisible(inside * width), after), kernel, stride, conv, gated))
                before = after
            channels.append(before)
        super().__init__(blocks)
        self.channels = tuple(channels)
        he_normal(self)


def _block(
    channels: tuple[int, int, int], kernel: int, stride: int, conv: partial[ConvNormAct], gated: bool
) -> InvertedResidual:
    before, inside, after = channels
    attention = SqueezeExcitation(inside, make_divisible(inside // 4), gate=nn.Hardsigmoid) if gated else None
    return inverted_residual(before, inside, after, kernel, stride, conv, attention)


def mobilenet_v3(stages: Stages, last: int, width: float, classes: int, in_channels: int) -> Classifier:
    """Build MobileNetV3 with `last` channels, times `width`, before the classes."""
    backbone = MobileNetV3(stages, width, in_channels)
    before, last = backbone.channels[-1], make_divisible(last * width)
    head = nn.Sequential(
        HS(before, 6 * before, 1),
        nn.AdaptiveAvgPool2d(1),
        ConvNormAct(6 * before, last, 1, norm=None, activation=_HARD_SWISH),
        MeanHead(last, classes, dropout=0.2),
    )
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="A. Howard et al.: Searching for MobileNetV3, ICCV",
    year=2019,
    link="https://arxiv.org/abs/1905.02244",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
    differences=(SYMMETRIC_PADDING,),
)
_NARROW = "The width also multiplies the layer before the classes, as in torchvision's code and not the authors'."


def _torchvision(stages: Stages) -> Renaming:
    depths = [len(rows) for rows in stages]
    last = sum(depths) + 1
    return (
        (rf"^features[.]{last}[.]", "head.0."),
        (r"^classifier[.]0[.]", "head.2.conv."),
        (r"^classifier[.]3[.]", "head.3.fc."),
        (r"[.]block[.]\d[.](fc[12])[.]", r".attention.\1."),
        (r"^(features[.]1)[.]block[.]0[.]", r"\1.depthwise."),
        (r"^(features[.]1)[.]block[.][12][.]", r"\1.project."),
        (r"[.]block[.]0[.]", ".expand."),
        (r"[.]block[.]1[.]", ".depthwise."),
        (r"[.]block[.][23][.]", ".project."),
        *in_stages([f"features.{i}." for i in range(last)], (depths[0] + 1, *depths[1:])),
        (r"[.]0[.](\w+)$", r".conv.\1"),
        (r"[.]1[.](\w+)$", r".bn.\1"),
    )


_V1 = "torchvision, weights IMAGENET1K_V1"

# Name, stages, channels before the classes, width, parameters, MACs, and an accuracy: top-1, top-5.
for _name, _stages, _last, _width, _parameters, _macs, _top1, _top5 in (
    ("mobilenet_v3_large", LARGE, 1280, 1.0, 5_483_032, 216_589_760, 74.042, 91.340),
    ("mobilenet_v3_large_x0_75", LARGE, 1280, 0.75, 3_377_576, 140_033_816, None, None),
    ("mobilenet_v3_small", SMALL, 1024, 1.0, 2_542_856, 56_510_400, 67.668, 87.402),
    ("mobilenet_v3_small_x0_75", SMALL, 1024, 0.75, 1_653_920, 39_115_576, None, None),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet ({_V1})" if _top1 else "",
        top1=_top1,
        differences=(SYMMETRIC_PADDING,) if _width == 1 else (SYMMETRIC_PADDING, _NARROW),
    )
    network(_card, _torchvision(_stages))(partial(mobilenet_v3, _stages, _last, _width))
