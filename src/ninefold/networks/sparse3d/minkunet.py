"""MinkUNet: a U of sparse convolutions that labels every voxel.

name         stem        widths down, up                            blocks down, up          features of a voxel
minkunet14   5x5x5       32, 64, 128, 256, 128, 128, 96, 96         1, 1, 1, 1, 1, 1, 1, 1   3: a colour
minkunet18   5x5x5       32, 64, 128, 256, 128, 128, 96, 96         2, 2, 2, 2, 2, 2, 2, 2   3: a colour
minkunet34   5x5x5       32, 64, 128, 256, 256, 128, 96, 96         2, 3, 4, 6, 2, 2, 2, 2   3: a colour
minkunet42   3x3x3 twice 32, 64, 128, 256, 256, 128, 96, 96         2, 2, 2, 2, 2, 2, 2, 2   4: x, y, z, intensity

14, 18 and 34 are what the authors' code calls 14A, 18A and 34C; 42 is the form in which the authors of TorchSparse run
it on LiDAR.
"""

from __future__ import annotations

from functools import partial
from math import prod, sqrt
from typing import TYPE_CHECKING, Final

from torch import nn

from ninefold.networks.zoo import SPHERE, network
from ninefold.nn import SparseUNet, SparseUNetShape
from ninefold.records import Card
from ninefold.sparse import InverseConv, SparseConv, SubMConv

if TYPE_CHECKING:
    from collections.abc import Mapping

_NARROW: Final = (32, 64, 128, 256, 128, 128, 96, 96)
_WIDE: Final = (32, 64, 128, 256, 256, 128, 96, 96)
_SHAPES: Final[Mapping[str, SparseUNetShape]] = {
    "minkunet14": SparseUNetShape((5,), 32, _NARROW, (1,) * 8),
    "minkunet18": SparseUNetShape((5,), 32, _NARROW, (2,) * 8),
    "minkunet34": SparseUNetShape((5,), 32, _WIDE, (2, 3, 4, 6, 2, 2, 2, 2)),
    "minkunet42": SparseUNetShape((3, 3), 32, _WIDE, (2,) * 8),
}
# Features of a voxel, parameters, multiply-accumulates on the sphere.
_COUNTS: Final[Mapping[str, tuple[int, int, int]]] = {
    "minkunet14": (3, 8_024_500, 7_050_608_896),
    "minkunet18": (3, 15_493_172, 12_637_700_352),
    "minkunet34": (3, 37_856_052, 14_173_929_728),
    "minkunet42": (4, 21_723_412, 13_653_329_920),
}


def minkunet(name: str, classes: int, in_channels: int) -> SparseUNet:
    """Build a MinkUNet; convolutions start as K. He et al. propose, by the number of products that a value goes into.

    Args:
        name: a row of the table above.
        classes: scores of a voxel.
        in_channels: features of a voxel.

    Source: C. Choy, J. Gwak, S. Savarese, "4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks", CVPR
    2019, figure 4; K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 14.
    """
    model = SparseUNet(_SHAPES[name], in_channels, classes)
    for layer in model.modules():
        if isinstance(layer, SubMConv | SparseConv | InverseConv):
            nn.init.normal_(layer.weight, std=sqrt(2 / (layer.out_channels * prod(layer.kernel))))
    return model


def _card(name: str) -> Card:
    in_channels, parameters, macs = _COUNTS[name]
    return Card(
        name=name,
        family="sparse3d",
        task="segment_points",
        paper="C. Choy, J. Gwak, S. Savarese: 4D Spatio-Temporal ConvNets, CVPR",
        year=2019,
        link="https://arxiv.org/abs/1904.08755",
        input=(in_channels,),
        classes=20,
        parameters=parameters,
        macs=macs,
        reads="points",
        counted_on=SPHERE,
    )


for _name in _SHAPES:
    network(_card(_name))(partial(minkunet, _name))
