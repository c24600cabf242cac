"""Inception V1 (GoogLeNet): as in the paper, and as its published weights have it.

module     map size   1x1   3x3         5x5        pool   channels
conv1      112x112                                           64      7x7, stride 2
conv2       56x56                                           192      max pool, 1x1 of 64 channels, 3x3
3a          28x28      64    96 -> 128   16 ->  32   32     256      max pool before it
3b          28x28     128   128 -> 192   32 ->  96   64     480
4a          14x14     192    96 -> 208   16 ->  48   64     512      max pool before it, side head after it
4b          14x14     160   112 -> 224   24 ->  64   64     512
4c          14x14     128   128 -> 256   24 ->  64   64     512
4d          14x14     112   144 -> 288   32 ->  64   64     528      side head after it
4e          14x14     256   160 -> 320   32 -> 128  128     832
5a           7x7      256   160 -> 320   32 -> 128  128     832      max pool before it
5b           7x7      384   192 -> 384   48 -> 128  128    1024
mean over the map, dropout, dense
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import INCEPTION_PICTURES, network
from ninefold.nn import (
    AuxiliaryClassifier,
    Branches,
    ConvNormAct,
    MeanHead,
    StagedBackbone,
    TappedBackbone,
    conv_path,
    he_normal,
)
from ninefold.records import Card

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Row = tuple[int, int, tuple[int, int], tuple[int, int], int]

# Table 1 of the paper: input channels, 1x1, (3x3 reduce, 3x3), (5x5 reduce, 5x5), pool projection.
_MODULES = {
    "3a": (192, 64, (96, 128), (16, 32), 32),
    "3b": (256, 128, (128, 192), (32, 96), 64),
    "4a": (480, 192, (96, 208), (16, 48), 64),
    "4b": (512, 160, (112, 224), (24, 64), 64),
    "4c": (512, 128, (128, 256), (24, 64), 64),
    "4d": (512, 112, (144, 288), (32, 64), 64),
    "4e": (528, 256, (160, 320), (32, 128), 128),
    "5a": (832, 256, (160, 320), (32, 128), 128),
    "5b": (832, 384, (192, 384), (48, 128), 128),
}
_TAPPED = {(3, 1): 512, (3, 4): 528}  # stage and place of 4a and 4d: their channels
_TORCHVISION = (
    *in_stages(
        (
            *("conv1.", "maxpool1.", "norm1.", "conv2.", "conv3.", "norm2."),
            *("maxpool2.", "inception3a.", "inception3b.", "maxpool3."),
            *(f"inception4{letter}." for letter in "abcde"),
            *("maxpool4.", "inception5a.", "inception5b."),
        ),
        (1, 5, 3, 6, 3),
    ),
    (r"[.]branch1[.]", ".branches.0.0."),
    (r"[.]branch2[.]", ".branches.1."),
    (r"[.]branch3[.]", ".branches.2."),
    (r"[.]branch4[.]1[.]", ".branches.3.1.0."),
    (r"^aux1[.]", "auxiliary.0."),
    (r"^aux2[.]", "auxiliary.1."),
    (r"^fc[.]", "head.fc."),
)


class InceptionV1(StagedBackbone, TappedBackbone):
    """The convolutional part of GoogLeNet; its taps are the maps of the modules 4a and 4d.

    Args:
        in_channels: channels of a picture.
        conv: makes a convolution with its norm and activation, called as `ConvNormAct` is.
        large: size of the third branch's kernel: 5 in the paper, 3 in published weights.
        last_pool: size of the pooling before 5a, of stride 2: 3 in the paper, 2 in published weights.
        response_norm: makes the norm over neighbouring channels after the first pooling and before the second.

    Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, Table 1 and Figure 3; the paper tells no
    initial weights: they are as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    channels = (64, 192, 480, 832, 1024)
    strides = (2, 4, 8, 16, 32)

    def __init__(
        self,
        in_channels: int,
        conv: Callable[..., nn.Module],
        large: int = 5,
        last_pool: int = 3,
        response_norm: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)
        path = partial(conv_path, conv=conv)
        modules = {name: _module(row, large, path) for name, row in _MODULES.items()}
        super().__init__(
            (
                (conv(in_channels, 64, 7, 2),),
                (pool(3), response_norm(), conv(64, 64, 1), conv(64, 192, 3), response_norm()),
                (pool(3), modules["3a"], modules["3b"]),
                (pool(3), *(modules[name] for name in ("4a", "4b", "4c", "4d", "4e"))),
                (pool(last_pool), modules["5a"], modules["5b"]),
            )
        )
        he_normal(self)

    def maps_and_taps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Give the last map of each size for `images` (N, in_channels, H, W), and the maps of 4a and 4d."""
        maps, taps, x = [], [], images
        for number, stage in enumerate(self.stages):
            for place, block in enumerate(stage):
                x = block(x)
                if (number, place) in _TAPPED:
                    taps.append(x)
            maps.append(x)
        return maps, taps


class SideHead(nn.Module):
    """Scores from a map inside the network, for training.

    Args:
        channels: of the map.
        classes: length of a row of scores.
        pool: from a map of any size to one of 4x4.
        conv: makes a convolution with its norm and activation, called as `ConvNormAct` is.

    Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5.
    """

    def __init__(self, channels: int, classes: int, pool: nn.Module, conv: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.pool = pool
        self.conv = conv(channels, 128, 1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to scores (N, classes)."""
        x = self.relu(self.fc1(self.flatten(self.conv(self.pool(x)))))
        return self.fc2(self.dropout(x))


def _module(row: Row, large: int, path: Callable[..., nn.Module]) -> Branches:
    in_channels, small, (squeezed3, middle), (squeezed5, big), projection = row
    return Branches(
        path(in_channels, (small, 1)),
        path(in_channels, (squeezed3, 1), (middle, 3)),
        path(in_channels, (squeezed5, 1), (big, large)),
        nn.Sequential(nn.MaxPool2d(3, 1, padding=1), path(in_channels, (projection, 1))),
    )


def _paper(classes: int, in_channels: int) -> AuxiliaryClassifier:
    conv = partial(ConvNormAct, norm=None)
    backbone = InceptionV1(in_channels, conv, response_norm=partial(nn.LocalResponseNorm, 5))
    pool = nn.Sequential(nn.AvgPool2d(5, 3), nn.AdaptiveAvgPool2d(4))  # the latter acts on pictures of other sizes only
    return _classifier(backbone, partial(SideHead, classes=classes, pool=pool, conv=conv), classes, dropout=0.4)


def _torchvision(classes: int, in_channels: int) -> AuxiliaryClassifier:
    conv = partial(ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3))
    backbone = InceptionV1(in_channels, conv, large=3, last_pool=2)
    side = partial(SideHead, classes=classes, pool=nn.AdaptiveAvgPool2d(4), conv=conv)
    return _classifier(backbone, side, classes, dropout=0.2)


def _classifier(
    backbone: InceptionV1, side: Callable[[int], SideHead], classes: int, dropout: float
) -> AuxiliaryClassifier:
    head = MeanHead(backbone.channels[-1], classes, dropout)
    return AuxiliaryClassifier(backbone, head, [side(channels) for channels in _TAPPED.values()])


_CARD = Card(
    name="inception_v1",
    family="classic",
    task="classify",
    paper="C. Szegedy et al.: Going Deeper with Convolutions, CVPR",
    year=2015,
    link="https://arxiv.org/abs/1409.4842",
    input=(3, 224, 224),
    classes=1000,
    parameters=13_378_280,
    macs=1_582_671_872,
    smallest=79,
    published="68.7 % top-1, 88.9 % top-5, ImageNet, centre crop (README of BVLC's replication for Caffe)",
    top1=68.7,
    differences=(
        "The response norm, whose constants the paper keeps, has size 5, alpha 0.0001, beta 0.75 and k 1, as in Caffe.",
    ),
)
network(_CARD)(_paper)
network(
    replace(
        _CARD,
        name="googlenet",
        parameters=13_004_888,
        macs=1_498_376_192,
        smallest=15,
        published="69.778 % top-1, 89.530 % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=69.778,
        naming="torchvision",
        preprocessing=INCEPTION_PICTURES + ", which torchvision's `transform_input` computes from its usual pictures",
        differences=(
            "The 5x5 convolutions are 3x3, as in the published weights.",
            "Every convolution has batch norm, epsilon 0.001, and no bias; there is no response norm.",
            "The pooling before 5a is 2x2, and dropout leaves out 0.2 of the means, not 0.4.",
            "The side heads average over 4x4 parts of their map; those in the published weights are untrained.",
        ),
    ),
    _TORCHVISION,
)(_torchvision)
