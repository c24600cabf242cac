"""MixNet: inverted residuals whose depthwise convolutions have several kernel sizes, each on its part of the channels.

A row is: how many blocks, kernels, parts of the first and of the last 1x1 convolution, stride of the first block,
expansion, channels, and the share of the incoming channels that squeeze and excitation keeps. All begin with a 3x3
convolution of stride 2 to the channels of the first row, with ReLU, and end with a 1x1 convolution to 1536 with ReLU,
the mean over the map, dropout and a dense layer. Blocks of the first two stages have ReLU, the others swish. Large is
medium with all channels but the 1536 times 1.3.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, SYMMETRIC_PADDING, network
from ninefold.nn import (
    RELU,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    MeanHead,
    MixConv2d,
    SqueezeExcitation,
    StagedBackbone,
    he_normal,
    make_divisible,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.networks.checkpoint import Renaming
    from ninefold.nn.conv_norm_act import Activation

_SWISH: Final = partial(nn.SiLU, inplace=True)


class Row(NamedTuple):
    """Equal blocks: their number, kernels, parts, stride of the first, expansion, channels, and share squeezed."""

    depth: int
    kernels: tuple[int, ...]
    expand: int
    project: int
    stride: int
    expansion: int
    channels: int
    squeeze: float = 0.0


Stages = tuple[tuple[Row, ...], ...]
SMALL: Stages = (
    (Row(1, (3,), 1, 1, 1, 1, 16),),
    (Row(1, (3,), 2, 2, 2, 6, 24), Row(1, (3,), 2, 2, 1, 3, 24)),
    (Row(1, (3, 5, 7), 1, 1, 2, 6, 40, 0.5), Row(3, (3, 5), 2, 2, 1, 6, 40, 0.5)),
    (
        *(Row(1, (3, 5, 7), 1, 2, 2, 6, 80, 0.25), Row(2, (3, 5), 1, 2, 1, 6, 80, 0.25)),
        *(Row(1, (3, 5, 7), 2, 2, 1, 6, 120, 0.5), Row(2, (3, 5, 7, 9), 2, 2, 1, 3, 120, 0.5)),
    ),
    (Row(1, (3, 5, 7, 9, 11), 1, 1, 2, 6, 200, 0.5), Row(2, (3, 5, 7, 9), 1, 2, 1, 6, 200, 0.5)),
)
MEDIUM: Stages = (
    (Row(1, (3,), 1, 1, 1, 1, 24),),
    (Row(1, (3, 5, 7), 2, 2, 2, 6, 32), Row(1, (3,), 2, 2, 1, 3, 32)),
    (Row(1, (3, 5, 7, 9), 1, 1, 2, 6, 40, 0.5), Row(3, (3, 5), 2, 2, 1, 6, 40, 0.5)),
    (
        *(Row(1, (3, 5, 7), 1, 1, 2, 6, 80, 0.25), Row(3, (3, 5, 7, 9), 2, 2, 1, 6, 80, 0.25)),
        *(Row(1, (3,), 1, 1, 1, 6, 120, 0.5), Row(3, (3, 5, 7, 9), 2, 2, 1, 3, 120, 0.5)),
    ),
    (Row(1, (3, 5, 7, 9), 1, 1, 2, 6, 200, 0.5), Row(3, (3, 5, 7, 9), 1, 2, 1, 6, 200, 0.5)),
)


class MixNet(StagedBackbone):
    """The convolutional part of MixNet, without the last 1x1 convolution.

    Args:
        stages: `SMALL` or `MEDIUM`.
        width: factor of all numbers of channels, which are then rounded to multiples of 8, > 0.
        in_channels: channels of a picture.

    Source: M. Tan, Q. Le, "MixConv: Mixed Depthwise Convolutional Kernels", BMVC 2019, section 3.3; the parts of the
    1x1 convolutions are of the authors' code. Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV
    2015, equation 10; the paper tells none.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, stages: Stages, width: float, in_channels: int) -> None:
        before = make_divisible(stages[0][0].channels * width)
        blocks: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, 3, 2)], [], [], [], []]
        channels = []
        for number, (stage, rows) in enumerate(zip(blocks, stages, strict=True)):
            activation = RELU if number < 2 else _SWISH
            for row in rows:
                after = make_divisible(row.channels * width)
                stage.append(_block(before, after, row, activation))
                stage += [_block(after, after, row._replace(stride=1), activation) for _ in range(row.depth - 1)]
                before = after
            channels.append(before)
        super().__init__(blocks)
        self.channels = tuple(channels)
        he_normal(self)


def _block(before: int, after: int, row: Row, activation: Activation) -> InvertedResidual:
    inside = before * row.expansion
    squeezed = int(before * row.squeeze)
    return InvertedResidual(
        nn.Identity() if inside == before else _mixed(before, inside, (1,) * row.expand, activation),
        _mixed(inside, inside, row.kernels, activation, row.stride, depthwise=True),
        _mixed(inside, after, (1,) * row.project, None),
        shortcut=row.stride == 1 and before == after,
        attention=SqueezeExcitation(inside, squeezed, activation=activation) if squeezed else None,
    )


def _mixed(
    before: int,
    after: int,
    kernels: Sequence[int],
    activation: Activation | None,
    stride: int = 1,
    *,
    depthwise: bool = False,
) -> nn.Module:
    """Build a `ConvNormAct` whose convolution is mixed where there is more than one kernel."""
    if len(kernels) == 1:
        return ConvNormAct(before, after, kernels[0], stride, groups=before if depthwise else 1, activation=activation)
    layers = OrderedDict(conv=MixConv2d(before, after, kernels, stride, depthwise=depthwise), bn=nn.BatchNorm2d(after))
    if activation is not None:
        layers["act"] = activation()
    return nn.Sequential(layers)


def mixnet(stages: Stages, width: float, dropout: float, classes: int, in_channels: int) -> Classifier:
    """Build MixNet."""
    backbone = MixNet(stages, width, in_channels)
    head = nn.Sequential(ConvNormAct(backbone.channels[-1], 1536, 1), MeanHead(1536, classes, dropout))
    he_normal(head)
    return Classifier(backbone, head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper="M. Tan, Q. Le: MixConv: Mixed Depthwise Convolutional Kernels, BMVC",
    year=2019,
    link="https://arxiv.org/abs/1907.09595",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="timm",
    preprocessing=IMAGENET_PICTURES,
    differences=(
        SYMMETRIC_PADDING,
        "Batch norm's epsilon is 1e-5, as in the weights that timm trained; the authors' code has 1e-3.",
    ),
)


def _timm(stages: Stages) -> Renaming:
    # timm counts the rows of 80 and of 120 channels as two stages, though both have stride 16.
    depths = [sum(row.depth for row in rows) for rows in stages]
    first = sum(row.depth for row in stages[3][:2])
    theirs = [*depths[:3], first, depths[3] - first, depths[4]]
    return (
        (r"^conv_stem[.]", "backbone.stages.0.0.conv."),
        (r"^bn1[.]", "backbone.stages.0.0.bn."),
        (r"^conv_head[.]", "head.0.conv."),
        (r"^bn2[.]", "head.0.bn."),
        (r"^classifier[.]", "head.1.fc."),
        (r"^(blocks[.]0[.]0)[.]bn1[.]", r"\1.depthwise.bn."),
        (r"^(blocks[.]0[.]0)[.]conv_pw[.]", r"\1.project.conv."),
        (r"^(blocks[.]0[.]0)[.]bn2[.]", r"\1.project.bn."),
        (r"(conv_pw|conv_dw|conv_pwl)[.](\d)", r"\1.parts.\2"),
        (r"[.]conv_pw[.]", ".expand.conv."),
        (r"[.]bn1[.]", ".expand.bn."),
        (r"[.]conv_dw[.]", ".depthwise.conv."),
        (r"[.]bn2[.]", ".depthwise.bn."),
        (r"[.]se[.]conv_reduce[.]", ".attention.fc1."),
        (r"[.]se[.]conv_expand[.]", ".attention.fc2."),
        (r"[.]conv_pwl[.]", ".project.conv."),
        (r"[.]bn3[.]", ".project.bn."),
        (r"^blocks[.]0[.]0[.]", "backbone.stages.0.1."),
        *in_stages([f"blocks.{s}.{b}." for s in range(1, 6) for b in range(theirs[s])], (0, *depths[1:])),
    )


# Name, stages, width, dropout, parameters, MACs, and the accuracy of timm's weights: top-1 and top-5.
for _name, _stages, _width, _dropout, _parameters, _macs, _top1, _top5 in (
    ("mixnet_s", SMALL, 1.0, 0.2, 4_134_606, 239_173_360, 76.0, 92.796),
    ("mixnet_m", MEDIUM, 1.0, 0.25, 5_014_382, 339_172_672, 77.268, 93.418),
    ("mixnet_l", MEDIUM, 1.3, 0.25, 7_329_252, 555_251_792, 78.97, 94.18),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet (timm, weights {_name}.ft_in1k)",
        top1=_top1,
    )
    network(_card, _timm(_stages))(partial(mixnet, _stages, _width, _dropout))
