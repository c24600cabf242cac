"""AlexNet with one tower, as torchvision has it.

layer   channels   kernel   stride   padding   map size at 224x224
conv1      64      11x11       4        2          55x55    ReLU, max pooling
conv2     192        5x5       1        2          27x27    ReLU, max pooling
conv3     384        3x3       1        1          13x13    ReLU
conv4     256        3x3       1        1          13x13    ReLU
conv5     256        3x3       1        1          13x13    ReLU, max pooling to 6x6
dense 4096, dense 4096, dense

Max pooling is 3x3 with stride 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import Backbone, Classifier, DenseHead
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor

_TORCHVISION = (
    *((f"^features[.]{place}[.]", f"backbone.conv{number}.") for number, place in enumerate((0, 3, 6, 8, 10), start=1)),
    *((f"^classifier[.]{place}[.]", f"head.fc{number}.") for number, place in enumerate((1, 4, 6), start=1)),
)


class AlexNet(Backbone):
    """The convolutional part of the AlexNet with one tower; its last map has been pooled, the others have not.

    Args:
        in_channels: channels of a picture.

    Source: A. Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks", arXiv 1404.5997. The
    paper tells no initial weights: torch's own stay.
    """

    channels = (64, 192, 256, 256)
    strides = (4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps before each pooling, and the pooled last one, for `images` (N, in_channels, H, W)."""
        first = self.relu(self.conv1(images))  # (N, 64, 55, 55) of 224x224
        second = self.relu(self.conv2(self.pool(first)))  # (N, 192, 27, 27)
        third = self.relu(self.conv3(self.pool(second)))  # (N, 384, 13, 13)
        last = self.relu(self.conv5(self.relu(self.conv4(third))))  # (N, 256, 13, 13)
        return [first, second, last, self.pool(last)]


@network(
    Card(
        name="alexnet",
        family="classic",
        task="classify",
        paper="A. Krizhevsky: One Weird Trick for Parallelizing Convolutional Neural Networks, arXiv",
        year=2014,
        link="https://arxiv.org/abs/1404.5997",
        input=(3, 224, 224),
        classes=1000,
        parameters=61_100_840,
        macs=714_188_480,
        smallest=63,
        published="56.522 % top-1, 79.066 % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=56.522,
        naming="torchvision",
        preprocessing=IMAGENET_PICTURES,
        differences=(
            "conv4 has 256 filters, as in the author's code and in torchvision; a footnote of the paper says 384.",
            "As in torchvision, dropout stands before the hidden dense layers, not behind them, and there is no norm.",
            "Maps of other sizes than 6x6 are averaged to 6x6, so that pictures of other sizes than 224x224 work.",
        ),
    ),
    _TORCHVISION,
)
def alexnet(classes: int, in_channels: int) -> Classifier:
    """Build the AlexNet with one tower."""
    return Classifier(AlexNet(in_channels), DenseHead(256, 6, classes, dropout_first=True))
