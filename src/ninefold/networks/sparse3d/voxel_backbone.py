"""The middle encoder of SECOND, from voxels to a map seen from above.

stage   layers                                                           channels   cells of
1       two submanifold convolutions of 3x3x3                                  16    1x1x1
2       sparse 3x3x3 with stride 2, two submanifold                            32    2x2x2
3       the same                                                               64    4x4x4
4       the same, without padding along z                                      64    8x8x8
5       sparse of 3 along z only, with stride 2                               128   16x8x8

Batch norm and ReLU follow each of the twelve convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from torch import nn

from ninefold.nn import Norm, norm_act
from ninefold.sparse import SparseConv, SparseSequential, SubMConv

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse import SparseTensor

_NORM: Final = Norm(eps=1e-3, momentum=0.01)


@final
class VoxelBackBone8x(nn.Module):
    """SECOND's sparse convolutions, in the widths that OpenPCDet gives them; a backbone, so no card names it.

    Args:
        in_channels: features of a voxel, >= 1.

    Source: Y. Yan, Y. Mao, B. Li, "SECOND: Sparsely Embedded Convolutional Detection", Sensors 2018, section 3.1.2.
    """

    channels = (16, 32, 64, 64, 128)
    strides = (1, 2, 4, 8, 8)

    def __init__(self, in_channels: int = 4) -> None:
        super().__init__()
        a, b, c, d, e = self.channels
        last = SparseConv(d, e, (3, 1, 1), (2, 1, 1), bias=False)
        self.stages = nn.ModuleList(
            [
                SparseSequential(_submanifold(in_channels, a), _submanifold(a, a)),
                _stage(a, b, (1, 1, 1)),
                _stage(b, c, (1, 1, 1)),
                _stage(c, d, (0, 1, 1)),
                norm_act(last, e, _NORM),
            ]
        )

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Give the features of the five stages, finest first.

        Args:
            x: features (V, in_channels) on a grid of z, y, x.
        """
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def from_above(x: SparseTensor) -> Tensor:
    """Give all cells of a grid as a map seen from above, (batch, C * z, y, x): what SECOND's dense part reads.

    Args:
        x: the last features of `VoxelBackBone8x`.
    """
    return x.dense().flatten(1, 2)


def _submanifold(in_channels: int, channels: int) -> SparseSequential:
    return norm_act(SubMConv(in_channels, channels, 3, bias=False), channels, _NORM)


def _stage(in_channels: int, channels: int, padding: tuple[int, int, int]) -> SparseSequential:
    down = norm_act(SparseConv(in_channels, channels, 3, 2, padding, bias=False), channels, _NORM)
    return SparseSequential(down, _submanifold(channels, channels), _submanifold(channels, channels))
