"""ShuffleNet: grouped 1x1 convolutions, and a shuffle that lets the groups exchange channels.

stage     map size   layers                             channels for 1, 2, 3, 4 and 8 groups
stage 0   112x112    3x3 convolution of stride 2          24    24    24    24    24
stage 1    56x56     3x3 max pooling of stride 2          24    24    24    24    24
stage 2    28x28     4 units, the first of stride 2      144   200   240   272   384
stage 3    14x14     8 units, the first of stride 2      288   400   480   544   768
stage 4     7x7      4 units, the first of stride 2      576   800   960  1088  1536
mean over the map, dense without bias

A width multiplies the channels of stages 2 to 4.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import network
from ninefold.nn import ChannelShuffle, Classifier, ConvNormAct, StagedBackbone, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_DEPTHS = (4, 8, 4)
_MEGVII = (
    (r"^first_conv[.]0[.]", "backbone.stages.0.0.conv."),
    (r"^first_conv[.]1[.]", "backbone.stages.0.0.bn."),
    *in_stages([f"features.{i}." for i in range(sum(_DEPTHS))], (0, 0, 4, 8, 4)),
    (r"[.]branch_main_1[.]0[.]", ".reduce.conv."),
    (r"[.]branch_main_1[.]1[.]", ".reduce.bn."),
    (r"[.]branch_main_1[.]3[.]", ".depthwise.conv."),
    (r"[.]branch_main_1[.]4[.]", ".depthwise.bn."),
    (r"[.]branch_main_2[.]0[.]", ".expand.conv."),
    (r"[.]branch_main_2[.]1[.]", ".expand.bn."),
    (r"^classifier[.]0[.]", "head.2."),
)


class ShuffleUnit(nn.Module):
    """A bottleneck of grouped 1x1 convolutions around a depthwise 3x3, beside a shortcut.

        r = expand(shuffle(depthwise(reduce(x))))
        y = relu(x + r)                                  stride 1
        y = concat(mean over 3x3 of x, relu(r))          stride 2: r has the channels that x lacks

    Args:
        in_channels: channels of x.
        channels: channels of y; a quarter of them inside.
        stride: 1, where `channels` is `in_channels`, or 2.
        groups: of `reduce` and `expand`.
        grouped: whether `reduce` is grouped at all.

    Source: X. Zhang et al., "ShuffleNet", CVPR 2018, section 3.2 and Figure 2. The shuffle stands after the depthwise
    convolution, not before it, and takes the channels in the inverse order, as in the authors' code.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, groups: int, *, grouped: bool = True) -> None:
        super().__init__()
        inside = channels // 4
        new = channels - in_channels if stride == 2 else channels
        self.reduce = ConvNormAct(in_channels, inside, 1, groups=groups if grouped else 1)
        self.depthwise = ConvNormAct(inside, inside, 3, stride, groups=inside, activation=None)
        self.shuffle = ChannelShuffle(inside // groups) if groups > 1 else nn.Identity()
        self.expand = ConvNormAct(inside, new, 1, groups=groups, activation=None)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        residual = self.expand(self.shuffle(self.depthwise(self.reduce(x))))
        if self.pool is None:
            return self.relu(x + residual)
        return torch.cat([self.pool(x), self.relu(residual)], dim=1)


class ShuffleNetV1(StagedBackbone):
    """The convolutional part of ShuffleNet.

    Args:
        groups: of the 1x1 convolutions, 1, 2, 3, 4 or 8.
        channels: of the first convolution and of stage 2; each later stage has twice as many.
        in_channels: channels of a picture.

    Source: X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
    Mobile Devices", CVPR 2018, Table 1. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015,
    equation 10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, groups: int, channels: tuple[int, int], in_channels: int) -> None:
        before, after = channels
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, 3, 2)], [nn.MaxPool2d(3, 2, padding=1)]]
        for depth in _DEPTHS:
            grouped = len(stages) > 2  # the very first unit takes too few channels to cut
            stages.append([ShuffleUnit(before, after, 2, groups, grouped=grouped)])
            stages[-1] += [ShuffleUnit(after, after, 1, groups) for _ in range(depth - 1)]
            before, after = after, 2 * after
        super().__init__(stages)
        first, second = channels
        self.channels = (first, first, second, 2 * second, 4 * second)
        he_normal(self)


def shufflenet_v1(groups: int, channels: tuple[int, int], classes: int, in_channels: int) -> Classifier:
    """Build ShuffleNet."""
    backbone = ShuffleNetV1(groups, channels, in_channels)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(backbone.channels[-1], classes, bias=False))
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="X. Zhang et al.: ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices, CVPR",
    year=2018,
    link="https://arxiv.org/abs/1707.01083",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    differences=(
        "Channels are shuffled after the depthwise convolution, and in the inverse order, as in the authors' code.",
        "The dense layer has no bias, as in the authors' code.",
    ),
)

# Name, groups, channels of the first convolution and of stage 2, parameters, MACs, and the authors' top-1 and top-5
# errors.
for _name, _groups, _channels, _parameters, _macs, _error1, _error5 in (
    ("shufflenet_v1_g1", 1, (24, 144), 1_530_936, 143_078_976, None, None),
    ("shufflenet_v1_g2", 2, (24, 200), 1_732_848, 140_836_512, None, None),
    ("shufflenet_v1_g3", 3, (24, 240), 1_864_728, 137_460_672, 32.2, 12.3),
    ("shufflenet_v1_g4", 4, (24, 272), 1_967_344, 134_339_776, None, None),
    ("shufflenet_v1_g8", 8, (24, 384), 2_433_768, 138_365_952, 32.0, 13.6),
    ("shufflenet_v1_g3_x0_5", 3, (12, 120), 717_324, 37_589_856, 42.7, 20.0),
    ("shufflenet_v1_g3_x1_5", 3, (24, 360), 3_441_168, 292_443_552, 28.4, 9.8),
    ("shufflenet_v1_g3_x2_0", 3, (48, 480), 5_449_776, 524_045_184, 25.9, 8.6),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_error1} % top-1 error, {_error5} % top-5 error, ImageNet (the authors' repository)"
        if _error1
        else "",
        top1=round(100 - _error1, 1) if _error1 else None,
        naming="Megvii" if _error1 else "",
        preprocessing="BGR, from 0 to 255" if _error1 else "",
    )
    network(_card, _MEGVII if _error1 else ())(partial(shufflenet_v1, _groups, _channels))
