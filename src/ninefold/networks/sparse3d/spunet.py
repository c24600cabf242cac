"""SpUNet: MinkUNet-34 on submanifold convolutions, whose convolutions down widen at once."""

from __future__ import annotations

from typing import Final

from torch import nn

from ninefold.networks.zoo import SPHERE, network
from ninefold.nn import Norm, SparseUNet, SparseUNetShape
from ninefold.records import Card
from ninefold.sparse import InverseConv, SparseConv, SubMConv

_SHAPE: Final = SparseUNetShape(
    stem=(5,),
    stem_channels=32,
    widths=(32, 64, 128, 256, 256, 128, 96, 96),
    blocks=(2, 3, 4, 6, 2, 2, 2, 2),
    down_widens=True,
    norm=Norm(eps=1e-3, momentum=0.01),
)


@network(
    Card(
        name="spunet",
        family="sparse3d",
        task="segment_points",
        paper="Pointcept Contributors: Pointcept: A Codebase for Point Cloud Perception Research",
        year=2023,
        link="https://github.com/Pointcept/Pointcept",
        input=(6,),
        classes=20,
        parameters=39_157_844,
        macs=14_312_099_328,
        reads="points",
        counted_on=SPHERE,
    )
)
def spunet(classes: int, in_channels: int) -> SparseUNet:
    """Build SpUNet-v1m1; every weight starts normal with a deviation of 0.02, cut off at 2.

    Args:
        classes: scores of a voxel.
        in_channels: features of a voxel.
    """
    model = SparseUNet(_SHAPE, in_channels, classes)
    for layer in model.modules():
        if isinstance(layer, SubMConv | SparseConv | InverseConv | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(model.head.bias)
    return model
