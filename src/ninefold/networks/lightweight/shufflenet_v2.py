"""ShuffleNet V2: units that convolve half of the channels, pass the other half on, and shuffle.

stage     map size   layers                             channels at 0.5x   1x   1.5x   2x
stage 0   112x112    3x3 convolution of stride 2                    24     24     24   24
stage 1    56x56     3x3 max pooling of stride 2                    24     24     24   24
stage 2    28x28     4 units, the first of stride 2                 48    116    176  244
stage 3    14x14     8 units, the first of stride 2                 96    232    352  488
stage 4     7x7      4 units, the first of stride 2                192    464    704  976
1x1 convolution to 1024 (2x: 2048), mean over the map, dense
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import ChannelShuffle, Classifier, ConvNormAct, MeanHead, StagedBackbone, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_DEPTHS = (4, 8, 4)
_TORCHVISION = (
    (r"^conv1[.]", "backbone.stages.0.0."),
    (r"^conv5[.]", "head.0."),
    (r"^fc[.]", "head.1.fc."),
    (r"^stage", "backbone.stages."),
    (r"[.]branch1[.]([01])[.]", r".side.0.\1."),
    (r"[.]branch1[.]2[.]", ".side.1.0."),
    (r"[.]branch1[.]3[.]", ".side.1.1."),
    (r"[.]branch2[.]([01])[.]", r".main.0.\1."),
    (r"[.]branch2[.]3[.]", ".main.1.0."),
    (r"[.]branch2[.]4[.]", ".main.1.1."),
    (r"[.]branch2[.]5[.]", ".main.2.0."),
    (r"[.]branch2[.]6[.]", ".main.2.1."),
    (r"[.]0[.](\w+)$", r".conv.\1"),
    (r"[.]1[.](\w+)$", r".bn.\1"),
)


class ShuffleUnitV2(nn.Module):
    """Two branches of equally many channels, concatenated and shuffled.

        a, b = the halves of x          stride 1; `side` is the identity
        a, b = x, x                     stride 2
        y = shuffle(concat(side(a), main(b)))

    `main` is a 1x1, a depthwise 3x3 and a 1x1 convolution, `side` at stride 2 a depthwise 3x3 and a 1x1 convolution.

    Args:
        in_channels: channels of x.
        channels: channels of y, even; `in_channels` at stride 1.
        stride: 1 or 2.

    Source: N. Ma et al., "ShuffleNet V2", ECCV 2018, section 3 and Figure 3 (c, d).
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        half = channels // 2
        self.stride = stride
        self.side = nn.Sequential()
        if stride == 2:
            self.side.append(ConvNormAct(in_channels, in_channels, 3, 2, groups=in_channels, activation=None))
            self.side.append(ConvNormAct(in_channels, half, 1))
        self.main = nn.Sequential(
            ConvNormAct(in_channels if stride == 2 else half, half, 1),
            ConvNormAct(half, half, 3, stride, groups=half, activation=None),
            ConvNormAct(half, half, 1),
        )
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        side, main = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        return self.shuffle(torch.cat([self.side(side), self.main(main)], dim=1))


class ShuffleNetV2(StagedBackbone):
    """The convolutional part of ShuffleNet V2, without the last 1x1 convolution.

    Args:
        channels: of stage 2, even; each later stage has twice as many.
        in_channels: channels of a picture.

    Source: N. Ma, X. Zhang, H.-T. Zheng, J. Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
    Design", ECCV 2018, Table 5. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation
    10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, channels: int, in_channels: int) -> None:
        before, after = 24, channels
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, 3, 2)], [nn.MaxPool2d(3, 2, padding=1)]]
        for depth in _DEPTHS:
            stages.append([ShuffleUnitV2(before, after, 2)])
            stages[-1] += [ShuffleUnitV2(after, after, 1) for _ in range(depth - 1)]
            before, after = after, 2 * after
        super().__init__(stages)
        self.channels = (24, 24, channels, 2 * channels, 4 * channels)
        he_normal(self)


def shufflenet_v2(channels: int, last: int, classes: int, in_channels: int) -> Classifier:
    """Build ShuffleNet V2 with `last` channels before the classes."""
    backbone = ShuffleNetV2(channels, in_channels)
    head = nn.Sequential(ConvNormAct(backbone.channels[-1], last, 1), MeanHead(last, classes))
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="N. Ma et al.: ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV",
    year=2018,
    link="https://arxiv.org/abs/1807.11164",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
)
_EVEN = (
    "Both branches of the first unit give half of its channels, as in torchvision's weights; in the authors' code, "
    "whose counts the paper prints, one gives 24 and the other the rest."
)

# Name, channels of stage 2, channels before the classes, parameters, MACs, and the accuracy of IMAGENET1K_V1.
for _name, _channels, _last, _parameters, _macs, _top1, _top5 in (
    ("shufflenet_v2_x0_5", 48, 1024, 1_366_792, 40_476_448, 60.552, 81.746),
    ("shufflenet_v2_x1_0", 116, 1024, 2_278_604, 144_907_992, 69.362, 88.316),
    ("shufflenet_v2_x1_5", 176, 1024, 3_503_624, 295_759_392, 72.996, 91.086),
    ("shufflenet_v2_x2_0", 244, 2048, 7_393_996, 583_253_464, 76.230, 93.006),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=_top1,
        differences=() if _channels == 48 else (_EVEN,),
    )
    network(_card, _TORCHVISION)(partial(shufflenet_v2, _channels, _last))
