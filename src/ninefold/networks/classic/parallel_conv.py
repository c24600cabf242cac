"""One block of parallel 1x1, 3x3 and 5x5 convolutions, and a classifier: the smallest network with branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.networks.zoo import network
from ninefold.nn import Backbone, Classifier, MeanHead, ParallelConv
from ninefold.records import Card

if TYPE_CHECKING:
    from torch import Tensor


class ParallelConvBackbone(Backbone):
    """One `ParallelConv` at full resolution.

    Args:
        in_channels: channels of a picture.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.block = ParallelConv(in_channels)
        self.channels = (self.block.out_channels,)
        self.strides = (1,)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the one map (N, 192, H, W)."""
        return [self.block(images)]


@network(
    Card(
        name="parallel_conv",
        family="classic",
        task="classify",
        paper="C. Szegedy et al.: Going Deeper with Convolutions, CVPR, Figure 2(a)",
        year=2015,
        link="https://arxiv.org/abs/1409.4842",
        input=(3, 224, 224),
        classes=10,
        parameters=8_842,
        macs=337_184_640,
        differences=(
            "The paper's naive module also has a max-pooling branch; here the three convolutions stand alone.",
            "The paper stacks nine modules; this is one, followed by global average pooling and a dense layer.",
        ),
    )
)
def parallel_conv(classes: int, in_channels: int) -> Classifier:
    """Build the block with its classifier."""
    backbone = ParallelConvBackbone(in_channels)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))
