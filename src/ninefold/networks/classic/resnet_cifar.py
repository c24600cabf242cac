"""The residual networks for 32x32 pictures (CIFAR), 6n + 2 layers deep.

stage     map size   channels   blocks   first stride
conv1     32x32         16                     1
stage 1   32x32         16        n            1
stage 2   16x16         32        n            2
stage 3    8x8          64        n            2
mean over the map, dense
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.networks.zoo import network
from ninefold.nn import Backbone, BasicBlock, Classifier, MeanHead, ZeroPadShortcut
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor


class CifarResNet(Backbone):
    """The convolutional part of the 6n + 2 layer network.

    Args:
        blocks: n, the number of blocks per stage, >= 1.
        in_channels: channels of a picture.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2;
    shortcuts of option A; initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    channels = (16, 32, 64)
    strides = (1, 2, 4)

    def __init__(self, blocks: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.stage1 = _stage(16, 16, blocks, stride=1)
        self.stage2 = _stage(16, 32, blocks, stride=2)
        self.stage3 = _stage(32, 64, blocks, stride=2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps of the three stages for `images` (N, in_channels, H, W)."""
        fine = self.stage1(self.relu(self.bn1(self.conv1(images))))  # (N, 16, H, W)
        middle = self.stage2(fine)  # (N, 32, H / 2, W / 2)
        return [fine, middle, self.stage3(middle)]


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    changes = stride != 1 or in_channels != channels
    shortcut = ZeroPadShortcut(channels - in_channels, stride) if changes else nn.Identity()
    first = BasicBlock(in_channels, channels, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, nn.Identity()) for _ in range(blocks - 1)))


@network(
    Card(
        name="resnet20",
        family="classic",
        task="classify",
        paper="K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR",
        year=2016,
        link="https://arxiv.org/abs/1512.03385",
        input=(3, 32, 32),
        classes=10,
        parameters=269_722,
        macs=40_551_040,
        published="8.75 % error on the CIFAR-10 test set (Table 6)",
    )
)
def resnet20(classes: int, in_channels: int) -> Classifier:
    """Build the network with n = 3."""
    backbone = CifarResNet(blocks=3, in_channels=in_channels)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))
