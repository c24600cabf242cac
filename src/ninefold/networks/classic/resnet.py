"""The residual networks for ImageNet, 18 to 152 layers deep.

stage     map size   channels           blocks: 18   34   50   101   152   first stride
conv1     112x112      64                                                  2, then 3x3 max pooling of stride 2
stage 1    56x56       64 or  256                2    3    3     3     3   1
stage 2    28x28      128 or  512                2    4    4     4     8   2
stage 3    14x14      256 or 1024                2    6    6    23    36   2
stage 4     7x7       512 or 2048                2    3    3     3     3   2
mean over the map, dense

18 and 34 layers are made of basic blocks, the others of bottlenecks, which have the larger number of channels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from ninefold.errors import InvalidInput
from ninefold.networks.zoo import IMAGENET_PICTURES, network
from ninefold.nn import Backbone, BasicBlock, Bottleneck, Classifier, ConvNormAct, MeanHead, he_normal
from ninefold.records import Card

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

    Block = Callable[[int, int, int, nn.Module], BasicBlock | Bottleneck]

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
TORCHVISION = (
    (r"^layer", "stage"),
    (r"[.]downsample[.]0[.]", ".shortcut.conv."),
    (r"[.]downsample[.]1[.]", ".shortcut.bn."),
    (r"^(conv1|bn1|stage)", r"backbone.\1"),
    (r"^fc[.]", "head.fc."),
)


class ResNet(Backbone):
    """The convolutional part of a residual network, with or without attention in its blocks.

    Args:
        layers: 18, 34, 50, 101 or 152.
        in_channels: channels of a picture.
        stride_in_first: whether a bottleneck's stride is in its first 1x1, as in the paper, or in its 3x3.
        ceil_pool: whether the pooling after conv1 pads below and on the right only, as in the networks that the authors
            released, or on all sides.
        attention: from a number of channels to a module that keeps shapes, which stands at the end of the residual
            branch of each block; None for none.
        attended: the stages, 1 to 4, whose blocks have it.

    Raises:
        InvalidInput: when there is no residual network of so many layers.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, Table 1;
    shortcuts of option B; initial weights as in K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self,
        layers: int,
        in_channels: int,
        *,
        stride_in_first: bool = False,
        ceil_pool: bool = False,
        attention: Callable[[int], nn.Module] | None = None,
        attended: Collection[int] = (1, 2, 3, 4),
    ) -> None:
        super().__init__()
        if layers not in DEPTHS:
            raise InvalidInput(f"layers={layers} came; choose one of {', '.join(map(str, DEPTHS))}")
        block = BasicBlock if layers < 50 else partial(Bottleneck, stride_in_first=stride_in_first)
        expansion = BasicBlock.expansion if layers < 50 else Bottleneck.expansion
        self.channels = (64, *(width * expansion for width in (64, 128, 256, 512)))
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True) if ceil_pool else nn.MaxPool2d(3, 2, padding=1)
        depths = DEPTHS[layers]
        self.stage1 = _stage(block, self.channels[:2], 64, depths[0], stride=1)
        self.stage2 = _stage(block, self.channels[1:3], 128, depths[1], stride=2)
        self.stage3 = _stage(block, self.channels[2:4], 256, depths[2], stride=2)
        self.stage4 = _stage(block, self.channels[3:], 512, depths[3], stride=2)
        he_normal(self)
        if attention is not None:  # after the drawing: attention keeps the weights that it starts with
            self._attend(attention, attended)

    def _attend(self, attention: Callable[[int], nn.Module], attended: Collection[int]) -> None:
        stages = (self.stage1, self.stage2, self.stage3, self.stage4)
        for number, (stage, channels) in enumerate(zip(stages, self.channels[1:], strict=True), start=1):
            for block in stage if number in attended else ():
                block.attention = attention(channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps of conv1 and the four stages for `images` (N, in_channels, H, W)."""
        maps = [self.relu(self.bn1(self.conv1(images)))]  # (N, 64, H / 2, W / 2)
        maps.append(self.stage1(self.pool(maps[-1])))
        for stage in (self.stage2, self.stage3, self.stage4):
            maps.append(stage(maps[-1]))
        return maps


def _stage(block: Block, channels: tuple[int, ...], width: int, depth: int, stride: int) -> nn.Sequential:
    before, after = channels
    changes = stride != 1 or before != after
    shortcut = ConvNormAct(before, after, 1, stride, activation=None) if changes else nn.Identity()
    first = block(before, width, stride, shortcut)
    return nn.Sequential(first, *(block(after, width, 1, nn.Identity()) for _ in range(depth - 1)))


def resnet(layers: int, as_released: bool, classes: int, in_channels: int) -> Classifier:
    """Build a residual network: as its authors released it, or with the stride in the 3x3."""
    backbone = ResNet(layers, in_channels, stride_in_first=as_released, ceil_pool=as_released)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))


CARD = Card(
    name="",
    family="classic",
    task="classify",
    paper="K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR",
    year=2016,
    link="https://arxiv.org/abs/1512.03385",
    input=(3, 224, 224),
    classes=1000,
    parameters=0,
    macs=0,
    naming="torchvision",
    preprocessing=IMAGENET_PICTURES,
)
LATER_STRIDE = (
    "The stride of a bottleneck is in its 3x3, as in most published weights; the paper has it in the first 1x1."
)
RELEASED_POOL = (
    "The pooling after conv1 pads below and on the right only, as in the networks that the authors released for Caffe; "
    "the paper does not tell."
)

# Layers, parameters, MACs, and the accuracy of the weights IMAGENET1K_V1: top-1 and top-5.
for _layers, _parameters, _macs, _top1, _top5 in (
    (18, 11_689_512, 1_814_073_344, 69.758, 89.078),
    (34, 21_797_672, 3_663_761_408, 73.314, 91.420),
    (50, 25_557_032, 4_089_184_256, 76.130, 92.862),
    (101, 44_549_160, 7_801_405_440, 77.374, 93.546),
    (152, 60_192_808, 11_513_626_624, 78.312, 94.046),
):
    _card = replace(
        CARD,
        name=f"resnet{_layers}",
        parameters=_parameters,
        macs=_macs,
        published=f"{_top1:.3f} % top-1, {_top5:.3f} % top-5, ImageNet (torchvision, weights IMAGENET1K_V1)",
        top1=_top1,
        differences=(LATER_STRIDE,) if _layers >= 50 else (),
    )
    network(_card, TORCHVISION)(partial(resnet, _layers, False))

# Layers, parameters, MACs, and the errors that the authors tell of their released networks: top-1 and top-5.
for _layers, _parameters, _macs, _error1, _error5 in (
    (50, 25_557_032, 3_857_973_248, 24.7, 7.8),
    (101, 44_549_160, 7_570_194_432, 23.6, 7.1),
    (152, 60_192_808, 11_282_415_616, 23.0, 6.7),
):
    _card = replace(
        CARD,
        name=f"resnet{_layers}_v1",
        parameters=_parameters,
        macs=_macs,
        smallest=3,
        published=f"{_error1} % top-1 error, {_error5} % top-5 error, ImageNet, one crop (the authors' repository)",
        top1=round(100 - _error1, 1),
        preprocessing="",
        differences=(RELEASED_POOL,),
    )
    network(_card, TORCHVISION)(partial(resnet, _layers, True))
