"""GhostNet: bottlenecks of ghost modules.

A bottleneck is written as kernel, channels inside, channels, with or without squeeze and excitation; the first of each
stage but stage 0 has stride 2. The network begins with a 3x3 convolution to 16 of stride 2, and ends with a 1x1
convolution to 960, the mean over the map, a dense layer to 1280, dropout of a fifth and the dense layer to the classes.
A width multiplies every number of channels but the 1280.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import (
    Classifier,
    ConvNormAct,
    GhostModule,
    MeanHead,
    SqueezeExcitation,
    StagedBackbone,
    he_normal,
    make_divisible,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_STAGES = (
    ((3, 16, 16, False),),
    ((3, 48, 24, False), (3, 72, 24, False)),
    ((5, 72, 40, True), (5, 120, 40, True)),
    (
        *((3, 240, 80, False), (3, 200, 80, False), (3, 184, 80, False), (3, 184, 80, False)),
        *((3, 480, 112, True), (3, 672, 112, True)),
    ),
    ((5, 672, 160, True), (5, 960, 160, False), (5, 960, 160, True), (5, 960, 160, False), (5, 960, 160, True)),
)
_DEPTHS = tuple(len(rows) for rows in _STAGES)
# Blocks per stage of the authors' code, which cuts each of ours after its first block.
_THEIRS = (1, 1, 1, 1, 1, 1, 5, 1, 4)
_HUAWEI = (
    (r"^conv_stem[.]", "backbone.stages.0.0.conv."),
    (r"^bn1[.]", "backbone.stages.0.0.bn."),
    (r"^blocks[.]9[.]0[.]conv[.]", "head.0.conv."),
    (r"^blocks[.]9[.]0[.]bn1[.]", "head.0.bn."),
    (r"^conv_head[.]", "head.2.conv."),
    (r"^classifier[.]", "head.3.fc."),
    (r"[.]ghost1[.]", ".expand."),
    (r"[.]ghost2[.]", ".project."),
    (r"[.]primary_conv[.]", ".primary."),
    (r"[.]cheap_operation[.]", ".cheap."),
    (r"[.]conv_dw[.]", ".depthwise.conv."),
    (r"[.]bn_dw[.]", ".depthwise.bn."),
    (r"[.]se[.]conv_reduce[.]", ".attention.fc1."),
    (r"[.]se[.]conv_expand[.]", ".attention.fc2."),
    (r"[.]shortcut[.]([01])[.]", r".shortcut.0.\1."),
    (r"[.]shortcut[.]2[.]", ".shortcut.1.0."),
    (r"[.]shortcut[.]3[.]", ".shortcut.1.1."),
    (r"[.]0[.](\w+)$", r".conv.\1"),
    (r"[.]1[.](\w+)$", r".bn.\1"),
    (r"^blocks[.]0[.]0[.]", "backbone.stages.0.1."),
    *in_stages([f"blocks.{s}.{b}." for s in range(1, 9) for b in range(_THEIRS[s])], (0, *_DEPTHS[1:])),
)


class GhostBottleneck(nn.Module):
    """Two ghost modules, the second without activation, beside a shortcut; at stride 2 a depthwise convolution between.

        y = project(attention(depthwise(expand(x)))) + shortcut(x)

    Args:
        channels: of x, inside, and of y.
        kernel: size of depthwise convolutions, odd.
        stride: 1 or 2.
        gated: whether there is squeeze and excitation, to a quarter of the inner channels.

    Source: K. Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, section 3.2 and Figure 3.
    """

    def __init__(self, channels: tuple[int, int, int], kernel: int, stride: int, *, gated: bool) -> None:
        super().__init__()
        before, inside, after = channels
        self.expand = GhostModule(before, inside)
        self.depthwise = _depthwise(inside, kernel, stride) if stride == 2 else nn.Identity()
        squeezed = make_divisible(inside / 4, 4)
        self.attention = SqueezeExcitation(inside, squeezed, gate=nn.Hardsigmoid) if gated else nn.Identity()
        self.project = GhostModule(inside, after, activation=None)
        self.shortcut = nn.Sequential()
        if stride == 2 or before != after:
            self.shortcut.append(_depthwise(before, kernel, stride))
            self.shortcut.append(ConvNormAct(before, after, 1, activation=None))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, channels of y, ceil(H / stride), ceil(W / stride))."""
        return self.project(self.attention(self.depthwise(self.expand(x)))) + self.shortcut(x)


def _depthwise(channels: int, kernel: int, stride: int) -> ConvNormAct:
    return ConvNormAct(channels, channels, kernel, stride, groups=channels, activation=None)


class GhostNet(StagedBackbone):
    """The convolutional part of GhostNet, without the last 1x1 convolution.

    Args:
        width: factor of all numbers of channels, which are then rounded to multiples of 4, > 0.
        in_channels: channels of a picture.

    Source: K. Han, Y. Wang, Q. Tian, J. Guo, C. Xu, C. Xu, "GhostNet: More Features from Cheap Operations", CVPR 2020,
    Table 1. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10; the paper tells
    none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, width: float, in_channels: int) -> None:
        before = make_divisible(16 * width, 4)
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, 3, 2)], [], [], [], []]
        for number, (stage, rows) in enumerate(zip(stages, _STAGES, strict=True)):
            for block, (kernel, unscaled, outer, gated) in enumerate(rows):
                inside, after = make_divisible(unscaled * width, 4), make_divisible(outer * width, 4)
                stride = 2 if number > 0 and block == 0 else 1
                stage.append(GhostBottleneck((before, inside, after), kernel, stride, gated=gated))
                before = after
        super().__init__(stages)
        self.channels = tuple(make_divisible(rows[-1][2] * width, 4) for rows in _STAGES)
        he_normal(self)


def ghostnet(width: float, classes: int, in_channels: int) -> Classifier:
    """Build GhostNet."""
    backbone = GhostNet(width, in_channels)
    wide = make_divisible(960 * width, 4)
    head = nn.Sequential(
        ConvNormAct(backbone.channels[-1], wide, 1),
        nn.AdaptiveAvgPool2d(1),
        ConvNormAct(wide, 1280, 1, norm=None),
        MeanHead(1280, classes, dropout=0.2),
    )
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="K. Han et al.: GhostNet: More Features from Cheap Operations, CVPR",
    year=2020,
    link="https://arxiv.org/abs/1911.11907",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="huawei-noah",
    preprocessing=IMAGENET_PICTURES,
)

# Name, width, parameters, MACs, and a published accuracy.
for _name, _width, _parameters, _macs, _top1, _published in (
    ("ghostnet_x0_5", 0.5, 2_587_292, 42_328_152, 66.2, "66.2 % top-1, ImageNet (the paper)"),
    ("ghostnet", 1.0, 5_182_508, 141_150_512, 73.98, "73.98 % top-1, 91.46 % top-5, ImageNet (the authors' weights)"),
    ("ghostnet_x1_3", 1.3, 7_358_820, 227_003_256, 75.7, "75.7 % top-1, ImageNet (the paper's abstract)"),
):
    _card = replace(_CARD, name=_name, parameters=_parameters, macs=_macs, published=_published, top1=_top1)
    network(_card, _HUAWEI)(partial(ghostnet, _width))
