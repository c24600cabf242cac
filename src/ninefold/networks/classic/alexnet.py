"""AlexNet, as in the paper of 2012: two towers that meet in the third convolution and in the dense layers.

layer   channels   kernel   stride   padding   towers   map size at 227x227
conv1      96      11x11       4        0        1          55x55    ReLU, response norm, max pooling
conv2     256        5x5       1        2        2          27x27    ReLU, response norm, max pooling
conv3     384        3x3       1        1        1          13x13    ReLU
conv4     384        3x3       1        1        2          13x13    ReLU
conv5     256        3x3       1        1        2          13x13    ReLU, max pooling to 6x6
dense 4096, dense 4096, dense

Max pooling is 3x3 with stride 2. A convolution of two towers has two groups: each half of its output sees only the
half of its input that lay on the same GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.zoo import network
from ninefold.nn import Backbone, Classifier, DenseHead
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor


class TwoTowerAlexNet(Backbone):
    """The convolutional part of AlexNet; its last map has been pooled, the others have not.

    Args:
        in_channels: channels of a picture.

    Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", NIPS 2012, section 3.5. torch divides the response norm's alpha, the paper's 1e-4, by its n
    of 5, which is made up for.
    """

    channels = (96, 256, 256, 256)
    strides = (4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps before each pooling, and the pooled last one, for `images` (N, in_channels, H, W)."""
        first = self.relu(self.conv1(images))  # (N, 96, 55, 55) of 227x227
        second = self.relu(self.conv2(self.pool(self.norm(first))))  # (N, 256, 27, 27)
        third = self.relu(self.conv3(self.pool(self.norm(second))))  # (N, 384, 13, 13)
        last = self.relu(self.conv5(self.relu(self.conv4(third))))  # (N, 256, 13, 13)
        return [first, second, last, self.pool(last)]


def _draw(model: Classifier) -> None:
    """Draw the weights from N(0, 0.01^2); biases are 1 where that starts ReLUs in their rising part, 0 elsewhere."""
    part, head = model.backbone, model.head
    for layer in (part.conv1, part.conv2, part.conv3, part.conv4, part.conv5, head.fc1, head.fc2, head.fc3):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    for layer in (part.conv2, part.conv4, part.conv5, head.fc1, head.fc2):
        nn.init.ones_(layer.bias)


@network(
    Card(
        name="alexnet_2012",
        family="classic",
        task="classify",
        paper="A. Krizhevsky, I. Sutskever, G. E. Hinton: ImageNet Classification with Deep Convolutional Neural "
        "Networks, NIPS",
        year=2012,
        link="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
        input=(3, 227, 227),
        classes=1000,
        parameters=60_965_224,
        macs=724_406_816,
        smallest=67,
        published="37.5 % top-1 error, 17.0 % top-5 error on the test set of ILSVRC-2010 (abstract)",
        differences=(
            "Pictures are 227x227, as the paper's maps of 55x55 need; its text says 224x224.",
            "Maps of other sizes than 6x6 are averaged to 6x6, so that pictures of other sizes than 227x227 work.",
        ),
    )
)
def alexnet_2012(classes: int, in_channels: int) -> Classifier:
    """Build AlexNet of 2012; weights are drawn as section 5 of the paper tells."""
    model = Classifier(TwoTowerAlexNet(in_channels), DenseHead(256, 6, classes))
    _draw(model)
    return model
