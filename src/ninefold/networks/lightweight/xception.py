"""Xception: separable convolutions in residual blocks.

stage      map size   blocks
stage 0    147x147    3x3 of 32 with stride 2, 3x3 of 64; both without padding
stage 1     74x74     block of 128: two separable convolutions, max pooling of stride 2
stage 2     37x37     block of 256: the same
stage 3     19x19     block of 728: the same; then 8 blocks of three separable convolutions of 728, without pooling
stage 4     10x10     block of 728 and 1024, with pooling; separable convolutions of 1536 and 2048
mean over the map, dropout, dense

Every separable convolution is 3x3 and followed by batch norm; ReLU stands before it, but in the first block's first and
in the last two, which it follows. A shortcut with pooling beside it is a 1x1 convolution of stride 2 with batch norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import INCEPTION_PICTURES, network
from ninefold.nn import Classifier, ConvNormAct, MeanHead, SeparableConv2d, StagedBackbone, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_LEGACY = (
    (r"^(conv|bn)1[.]", r"backbone.stages.0.0.\1."),
    (r"^(conv|bn)2[.]", r"backbone.stages.0.1.\1."),
    *in_stages([f"block{i}." for i in range(1, 13)], (0, 1, 1, 9, 1)),
    (r"[.]rep[.]", ".body."),
    (r"[.]skip[.]", ".shortcut.conv."),
    (r"[.]skipbn[.]", ".shortcut.bn."),
    (r"^conv3[.]", "backbone.stages.4.1."),
    (r"^bn3[.]", "backbone.stages.4.2."),
    (r"^conv4[.]", "backbone.stages.4.4."),
    (r"^bn4[.]", "backbone.stages.4.5."),
    (r"[.]conv1[.]", ".depthwise."),
    (r"^(fc|last_linear)[.]", "head.fc."),
)


class XceptionBlock(nn.Module):
    """Separable convolutions and a shortcut.

        y = pool(bn(sep(relu( ... bn(sep(relu(x))))))) + shortcut(x)

    Args:
        in_channels: channels of x.
        channels: of each separable convolution; the last is that of y.
        pooled: whether max pooling halves the map; the shortcut is then a convolution, else x itself.
        first_relu: whether x passes a ReLU before the first separable convolution.

    Source: F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017, Figure 5.
    """

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], *, pooled: bool = True, first_relu: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *channels), channels, strict=False):
            # The first ReLU keeps x as it is: the shortcut reads it too.
            layers += [nn.ReLU(inplace=bool(layers)), SeparableConv2d(before, after), nn.BatchNorm2d(after)]
        layers += [nn.MaxPool2d(3, 2, padding=1)] if pooled else []
        self.body = nn.Sequential(*(layers if first_relu else layers[1:]))
        self.shortcut = ConvNormAct(in_channels, channels[-1], 1, 2, activation=None) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, channels[-1], ...), of half the size if pooled."""
        return self.body(x) + self.shortcut(x)


class Xception(StagedBackbone):
    """The convolutional part of Xception.

    Args:
        in_channels: channels of a picture.

    Source: F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017, Figure 5; the paper
    tells no initial weights: they are as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    channels = (64, 128, 256, 728, 2048)
    strides = (2, 4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        middle = (XceptionBlock(728, (728, 728, 728), pooled=False) for _ in range(8))
        end = (*_separable(1024, 1536), *_separable(1536, 2048))
        super().__init__(
            (
                (ConvNormAct(in_channels, 32, 3, 2, padding=0), ConvNormAct(32, 64, 3, padding=0)),
                (XceptionBlock(64, (128, 128), first_relu=False),),
                (XceptionBlock(128, (256, 256)),),
                (XceptionBlock(256, (728, 728)), *middle),
                (XceptionBlock(728, (728, 1024)), *end),
            )
        )
        he_normal(self)


def _separable(in_channels: int, channels: int) -> tuple[nn.Module, ...]:
    return SeparableConv2d(in_channels, channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


@network(
    Card(
        name="xception",
        family="lightweight",
        task="classify",
        paper="F. Chollet: Xception: Deep Learning with Depthwise Separable Convolutions, CVPR",
        year=2017,
        link="https://arxiv.org/abs/1610.02357",
        input=(3, 299, 299),
        classes=1000,
        parameters=22_855_952,
        macs=8_357_403_496,
        smallest=7,
        published="79.0 % top-1, 94.5 % top-5, ImageNet (documentation of Keras)",
        top1=79.0,
        naming="timm (legacy_xception), Cadene's pretrained-models",
        preprocessing=INCEPTION_PICTURES,
        differences=(
            "Pooling pads all sides alike; Keras pads below and on the right only where sizes are even.",
            "The epsilon of batch norm is 0.00001, as the published weights for PyTorch want it; Keras has 0.001.",
        ),
    ),
    _LEGACY,
)
def xception(classes: int, in_channels: int) -> Classifier:
    """Build Xception."""
    return Classifier(Xception(in_channels), MeanHead(2048, classes, dropout=0.5))
