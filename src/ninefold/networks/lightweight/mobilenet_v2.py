"""MobileNetV2: inverted residuals with linear ends.

stage     map size   blocks: expansion, channels, how many, first stride
stage 0   112x112    3x3 convolution to 32 of stride 2; then (1, 16, 1, 1)
stage 1    56x56     (6, 24, 2, 2)
stage 2    28x28     (6, 32, 3, 2)
stage 3    14x14     (6, 64, 4, 2), (6, 96, 3, 1)
stage 4     7x7      (6, 160, 3, 2), (6, 320, 1, 1)
1x1 convolution to 1280, mean over the map, dropout of a fifth, dense

A width multiplies every number of channels, the 1280 only if it is above 1. Every activation is ReLU6.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, SYMMETRIC_PADDING, network
from ninefold.nn import (
    RELU6,
    Classifier,
    ConvNormAct,
    MeanHead,
    StagedBackbone,
    he_normal,
    inverted_residual,
    make_divisible,
)
from ninefold.records import Card

_CONV = partial(ConvNormAct, activation=RELU6)
_STAGES = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)
_TORCHVISION = (
    (r"^classifier[.]1[.]", "head.1.fc."),
    (r"^features[.]18[.]", "head.0."),
    (r"^(features[.]1)[.]conv[.]0[.]", r"\1.depthwise."),
    (r"^(features[.]1)[.]conv[.]1[.]", r"\1.project.0."),
    (r"^(features[.]1)[.]conv[.]2[.]", r"\1.project.1."),
    (r"[.]conv[.]0[.]([01])[.]", r".expand.\1."),
    (r"[.]conv[.]1[.]([01])[.]", r".depthwise.\1."),
    (r"[.]conv[.]2[.]", ".project.0."),
    (r"[.]conv[.]3[.]", ".project.1."),
    *in_stages([f"features.{i}." for i in range(18)], (2, 2, 3, 7, 4)),
    (r"[.]0[.](\w+)$", r".conv.\1"),
    (r"[.]1[.](\w+)$", r".bn.\1"),
)


class MobileNetV2(StagedBackbone):
    """The convolutional part of MobileNetV2, without the last 1x1 convolution.

    Args:
        width: factor of all numbers of channels, which are then rounded to multiples of 8, > 0.
        in_channels: channels of a picture.

    Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear
    Bottlenecks", CVPR 2018, Table 2. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015,
    equation 10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, width: float, in_channels: int) -> None:
        before = make_divisible(32 * width)
        stages: list[list[nn.Module]] = [[_CONV(in_channels, before, 3, 2)], [], [], [], []]
        for stage, rows in zip(stages, _STAGES, strict=True):
            for expansion, unscaled, depth, stride in rows:
                channels = make_divisible(unscaled * width)
                for block in range(depth):
                    step = stride if block == 0 else 1
                    stage.append(inverted_residual(before, before * expansion, channels, 3, step, _CONV))
                    before = channels
        super().__init__(stages)
        self.channels = tuple(make_divisible(rows[-1][1] * width) for rows in _STAGES)
        he_normal(self)


def mobilenet_v2(width: float, classes: int, in_channels: int) -> Classifier:
    """Build MobileNetV2."""
    backbone = MobileNetV2(width, in_channels)
    last = make_divisible(1280 * max(1.0, width))
    head = nn.Sequential(_CONV(backbone.channels[-1], last, 1), MeanHead(last, classes, dropout=0.2))
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="M. Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR",
    year=2018,
    link="https://arxiv.org/abs/1801.04381",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
    differences=(SYMMETRIC_PADDING,),
)
_AUTHORS = "TensorFlow-slim, the authors' weights"

# Name, width, parameters, MACs, and the accuracy of published weights: top-1, top-5, and whose they are.
for _name, _width, _parameters, _macs, _top1, _top5, _weights in (
    ("mobilenet_v2_x0_25", 0.25, 1_519_112, 37_201_312, None, None, ""),
    ("mobilenet_v2_x0_35", 0.35, 1_677_128, 59_285_808, 60.3, 82.9, _AUTHORS),
    ("mobilenet_v2_x0_5", 0.5, 1_968_680, 97_131_840, 65.4, 86.4, _AUTHORS),
    ("mobilenet_v2_x0_75", 0.75, 2_636_424, 209_069_792, 69.8, 89.6, _AUTHORS),
    ("mobilenet_v2", 1.0, 3_504_872, 300_774_272, 71.878, 90.286, "torchvision, weights IMAGENET1K_V1"),
    ("mobilenet_v2_x1_3", 1.3, 5_386_792, 509_374_560, 74.4, 92.1, _AUTHORS),
    ("mobilenet_v2_x1_4", 1.4, 6_108_776, 582_195_824, 75.0, 92.5, _AUTHORS),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1} % top-1, {_top5} % top-5, ImageNet ({_weights})" if _weights else "",
        top1=_top1,
    )
    network(_card, _TORCHVISION)(partial(mobilenet_v2, _width))
