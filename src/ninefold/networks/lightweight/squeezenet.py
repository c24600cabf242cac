"""SqueezeNet: AlexNet's accuracy from fire modules, which squeeze channels before they expand them.

version 1.0                      version 1.1                        squeezed, then expanded by 1x1 and by 3x3 each
conv1 7x7/2, 96                  conv1 3x3/2, 64
max 3x3/2, fire2, fire3, fire4   max 3x3/2, fire2, fire3            fire2, fire3   16, 64
max 3x3/2, fire5 to fire8        max 3x3/2, fire4, fire5            fire4, fire5   32, 128
max 3x3/2, fire9                 max 3x3/2, fire6 to fire9          fire6, fire7   48, 192
                                                                    fire8, fire9   64, 256
dropout of a half, conv10 1x1 to the classes with ReLU, mean over the map
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.networks.checkpoint import in_stages
from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import Classifier, ConvNormAct, StagedBackbone, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))  # fire2 to fire9


class Fire(nn.Module):
    """A 1x1 convolution to few channels, and from those a 1x1 and a 3x3 convolution side by side; ReLU after all.

        s = relu(squeeze1x1(x)),    y = concat(relu(expand1x1(s)), relu(expand3x3(s)))

    Args:
        in_channels: channels of x.
        squeezed: channels of s.
        expanded: channels of each half of y.

    Source: F. Iandola et al., "SqueezeNet", arXiv 1602.07360, section 3.2 and Figure 1.
    """

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = ConvNormAct(in_channels, squeezed, 1, norm=None)
        self.expand1x1 = ConvNormAct(squeezed, expanded, 1, norm=None)
        self.expand3x3 = ConvNormAct(squeezed, expanded, 3, norm=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 2 * expanded, H, W)."""
        squeezed = self.squeeze(x)
        return torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1)


class SqueezeNet(StagedBackbone):
    """The convolutional part of SqueezeNet, up to fire9.

    Args:
        conv1: number of channels and kernel size of the first convolution.
        depths: number of fire modules after each of the three poolings; eight together.
        in_channels: channels of a picture.

    Source: F. Iandola et al., "SqueezeNet", arXiv 1602.07360, Table 1; version 1.1 is of the authors' repository.
    Initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10, which keep what the
    authors' (Xavier's) lose at every ReLU.
    """

    strides = (2, 4, 8, 16)

    def __init__(self, conv1: tuple[int, int], depths: tuple[int, int, int], in_channels: int) -> None:
        before, kernel = conv1
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, before, kernel, 2, padding=0, norm=None)]]
        channels = [before]
        fires = iter(_FIRES)
        for depth in depths:
            stages.append([nn.MaxPool2d(3, 2, ceil_mode=True)])
            for squeezed, expanded in islice(fires, depth):
                stages[-1].append(Fire(before, squeezed, expanded))
                before = 2 * expanded
            channels.append(before)
        super().__init__(stages)
        self.channels = tuple(channels)
        he_normal(self)


def squeezenet(conv1: tuple[int, int], depths: tuple[int, int, int], classes: int, in_channels: int) -> Classifier:
    """Build SqueezeNet; its scores are means of maps, and not below 0."""
    conv10 = nn.Conv2d(512, classes, 1)
    nn.init.normal_(conv10.weight, std=0.01)
    nn.init.zeros_(conv10.bias)
    head = nn.Sequential(nn.Dropout(0.5), conv10, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Classifier(SqueezeNet(conv1, depths, in_channels), head)


_CARD = Card(
    name="",
    family="lightweight",
    task="classify",
    paper=(
        "F. Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, arXiv"
    ),
    year=2016,
    link="https://arxiv.org/abs/1602.07360",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
)
_SIZE = "Pictures are 224x224, as weights want them; with those conv1 gives 109x109, not the 111x111 of the paper."
_LATER = "Version 1.1 is not in the paper; the authors' repository describes it: 2.4 times less work, as accurate."

# Name, conv1, fire modules per stage, parameters, MACs, smallest size, and the accuracy of the weights IMAGENET1K_V1.
for _name, _conv1, _depths, _parameters, _macs, _smallest, _top1, _top5, _differences in (
    ("squeezenet1_0", (96, 7), (3, 4, 1), 1_248_424, 818_924_576, 21, 58.092, 80.420, (_SIZE,)),
    ("squeezenet1_1", (64, 3), (2, 2, 4), 1_235_496, 349_151_936, 17, 58.178, 80.624, (_LATER,)),
):
    _card = replace(
        _CARD,
        name=_name,
        parameters=_parameters,
        macs=_macs,
        smallest=_smallest,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=_top1,
        differences=_differences,
    )
    _torchvision = (
        *in_stages([f"features.{i}." for i in (0, *range(2, 13))], (1, *(depth + 1 for depth in _depths))),
        (r"^(backbone[.]stages[.]0[.]0)[.]", r"\1.conv."),
        (r"[.](squeeze|expand1x1|expand3x3)[.]", r".\1.conv."),
        (r"^classifier[.]", "head."),
    )
    network(_card, _torchvision)(partial(squeezenet, _conv1, _depths))
