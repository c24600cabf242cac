"""The VGG networks, 11 to 19 layers deep: nothing but 3x3 convolutions, max pooling and dense layers.

stage     map size   channels   convolutions: 11   13   16   19
stage 1   224x224       64                     1    2    2    2    then 2x2 max pooling, as after each stage
stage 2   112x112      128                     1    2    2    2
stage 3    56x56       256                     2    2    3    4
stage 4    28x28       512                     2    2    3    4
stage 5    14x14       512                     2    2    3    4
dense 4096, dense 4096, dense
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.errors import InvalidInput
from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import Backbone, Classifier, ConvNormAct, DenseHead
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.networks.checkpoint import Renaming

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(Backbone):
    """The convolutional part of a VGG network; its last map has been pooled, the others have not.

    Args:
        layers: 11, 13, 16 or 19, the dense ones counted.
        in_channels: channels of a picture.
        norm: whether batch norm follows each convolution.

    Raises:
        InvalidInput: when there is no VGG network of so many layers.

    Source: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
    Table 1, columns A, B, D and E. Batch norm, which is younger than the paper, stands where torchvision puts it.
    """

    channels = (128, 256, 512, 512, 512)
    strides = (2, 4, 8, 16, 32)

    def __init__(self, layers: int, in_channels: int, *, norm: bool = False) -> None:
        super().__init__()
        if layers not in DEPTHS:
            raise InvalidInput(f"layers={layers} came; choose one of {', '.join(map(str, DEPTHS))}")
        conv = partial(ConvNormAct, norm=nn.BatchNorm2d if norm else None, bias=True)
        widths = (in_channels, 64, 128, 256, 512, 512)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(before, after), *(conv(after, after) for _ in range(depth - 1)))
            for before, after, depth in zip(widths[:-1], widths[1:], DEPTHS[layers], strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps of stages 2 to 5, and the pooled last one, for `images` (N, in_channels, H, W)."""
        maps = []
        x = images
        for stage in self.stages:
            maps.append(stage(x))
            x = self.pool(maps[-1])
        return [*maps[1:], x]  # the last (N, 512, H / 32, W / 32)


def vgg(layers: int, norm: bool, classes: int, in_channels: int) -> Classifier:
    """Build a VGG network; weights are drawn as Glorot and Bengio tell, which the paper names in section 3.1."""
    model = Classifier(VGG(layers, in_channels, norm=norm), DenseHead(512, 7, classes))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def _torchvision(layers: int, norm: bool) -> Renaming:
    """Give the rules for torchvision's names, which number every layer, those without weights too."""
    rules, place = [], 0
    for stage, depth in enumerate(DEPTHS[layers]):
        for block in range(depth):
            ours = f"backbone.stages.{stage}.{block}."
            rules += [(f"^features[.]{place}[.]", f"{ours}conv."), (f"^features[.]{place + 1}[.]", f"{ours}bn.")]
            place += 3 if norm else 2
        place += 1
    return (*rules, *((f"^classifier[.]{3 * i}[.]", f"head.fc{i + 1}.") for i in range(3)))


_CARD = Card(
    name="",
    family="classic",
    task="classify",
    paper="K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR",
    year=2015,
    link="https://arxiv.org/abs/1409.1556",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    smallest=32,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
)
_POOLED = "Maps of other sizes than 7x7 are averaged to 7x7, so that pictures of other sizes than 224x224 work."
_NORM = "Batch norm follows each convolution, which keeps its bias, as in torchvision; the paper has none."

# Layers, batch norm, parameters, MACs, and the accuracy of the weights IMAGENET1K_V1: top-1 and top-5.
for _layers, _norm, _parameters, _macs, _top1, _top5 in (
    (11, False, 132_863_336, 7_609_090_048, 69.020, 88.628),
    (11, True, 132_868_840, 7_609_090_048, 70.370, 89.810),
    (13, False, 133_047_848, 11_308_466_176, 69.928, 89.246),
    (13, True, 133_053_736, 11_308_466_176, 71.586, 90.374),
    (16, False, 138_357_544, 15_470_264_320, 71.592, 90.382),
    (16, True, 138_365_992, 15_470_264_320, 73.360, 91.516),
    (19, False, 143_667_240, 19_632_062_464, 72.376, 90.876),
    (19, True, 143_678_248, 19_632_062_464, 74.218, 91.842),
):
    _card = replace(
        _CARD,
        name=f"vgg{_layers}{'_bn' if _norm else ''}",
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=_top1,
        differences=(_NORM, _POOLED) if _norm else (_POOLED,),
    )
    network(_card, _torchvision(_layers, _norm))(partial(vgg, _layers, _norm))
