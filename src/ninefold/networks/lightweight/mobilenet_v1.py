"""MobileNet: every convolution but the first cut into a depthwise 3x3 and a 1x1.

stage     map size   channels   layers                           first stride
stage 0   112x112       64      3x3 convolution to 32, 1 pair    2, 1
stage 1    56x56       128      2 pairs                          2
stage 2    28x28       256      2 pairs                          2
stage 3    14x14       512      6 pairs                          2
stage 4     7x7       1024      2 pairs                          2
mean over the map, dense

A width multiplies every number of channels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, SYMMETRIC_PADDING, network
from ninefold.nn import Classifier, ConvNormAct, DepthwiseSeparable, MeanHead, StagedBackbone, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import nn

_DEPTHS = (1, 2, 2, 6, 2)  # pairs per stage
_PYTORCHCV = (
    (r"^features[.]init_block[.]", "backbone.stages.0.0."),
    (r"^features[.]stage1[.]unit1[.]", "backbone.stages.0.1."),
    *in_stages(
        [f"features.stage{stage}.unit{unit + 1}." for stage in range(2, 6) for unit in range(_DEPTHS[stage - 1])],
        (0, *_DEPTHS[1:]),
    ),
    (r"[.]dw_conv[.]", ".depthwise."),
    (r"[.]pw_conv[.]", ".pointwise."),
    (r"^output[.]", "head.fc."),
)


class MobileNetV1(StagedBackbone):
    """The convolutional part of MobileNet.

    Args:
        width: factor of all numbers of channels, 0.25 to 1.
        in_channels: channels of a picture.

    Source: A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv 1704.04861, Table 1. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation
    10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, width: float, in_channels: int) -> None:
        channels = tuple(int(unscaled * width) for unscaled in (64, 128, 256, 512, 1024))
        before = int(32 * width)
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, 3, 2)], [], [], [], []]
        for number, (stage, after, depth) in enumerate(zip(stages, channels, _DEPTHS, strict=True)):
            for block in range(depth):
                stage.append(DepthwiseSeparable(before, after, stride=2 if number > 0 and block == 0 else 1))
                before = after
        super().__init__(stages)
        self.channels = channels
        he_normal(self)


def mobilenet_v1(width: float, classes: int, in_channels: int) -> Classifier:
    """Build MobileNet."""
    backbone = MobileNetV1(width, in_channels)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="A. Howard et al.: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, arXiv",
    year=2017,
    link="https://arxiv.org/abs/1704.04861",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="pytorchcv",
    preprocessing=IMAGENET_PICTURES,
    differences=(
        "The last depthwise convolution has stride 1, as the paper's 7x7 map after it wants; its Table 1 prints 2.",
        SYMMETRIC_PADDING,
    ),
)

# Name, width, parameters, MACs, and the accuracy of the authors' weights: top-1 and top-5.
for _name, _width, _parameters, _macs, _top1, _top5 in (
    ("mobilenet_v1", 1.0, 4_231_976, 568_740_352, 70.9, 89.9),
    ("mobilenet_v1_x0_75", 0.75, 2_585_560, 325_400_448, 68.4, 88.2),
    ("mobilenet_v1_x0_5", 0.5, 1_331_592, 149_497_088, 63.3, 84.9),
    ("mobilenet_v1_x0_25", 0.25, 470_072, 41_030_272, 49.8, 74.2),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1} % top-1, {_top5} % top-5, ImageNet (TensorFlow-slim, weights of 2018)",
        top1=_top1,
    )
    network(_card, _PYTORCHCV)(partial(mobilenet_v1, _width))
