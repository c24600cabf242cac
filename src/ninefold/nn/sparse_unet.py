"""The U-shaped network over sparse tensors that MinkUNet and SpUNet are variants of.

    level   cells of        encoder                                        decoder
    0       1 cell          stem                                           up 4, with the stem's features: blocks
    1       2x2x2           down 1, blocks                                 up 3, with level 1's features: blocks
    2       4x4x4           down 2, blocks                                 up 2, with level 2's features: blocks
    3       8x8x8           down 3, blocks                                 up 1, with level 3's features: blocks
    4       16x16x16        down 4, blocks

Down is a sparse convolution of 2x2x2 with stride 2; up is the inverse convolution along the same kernel map, so that it
ends on exactly the sites that the encoder had there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import torch
from torch import nn

from ninefold.errors import InvalidInput
from ninefold.nn.sparse_residual import Norm, SparseBasicBlock, norm_act
from ninefold.records import Logits
from ninefold.sparse import InverseConv, SparseConv, SparseSequential, SubMConv
from ninefold.sparse.fusing import applied, taken_over

if TYPE_CHECKING:
    from ninefold.sparse import KernelMap, SparseTensor
    from ninefold.spec import Axes

_TORCH: Final = Norm()


@dataclass(frozen=True, slots=True)
class SparseUNetShape:
    """How wide and deep a `SparseUNet` is.

    Args:
        stem: kernel of each submanifold convolution of the stem, odd.
        stem_channels: that each of them gives.
        widths: of the four levels down, then of the four levels up.
        blocks: residual blocks of each, likewise.
        down_widens: whether the convolution down takes the new width; else it keeps its input's, and the first block
            widens.
        norm: how batch norm goes.
    """

    stem: tuple[int, ...]
    stem_channels: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    down_widens: bool = False
    norm: Norm = _TORCH


@final
class SparseUNet(nn.Module):
    """Scores for every site: a U of four levels of sparse convolutions.

    Args:
        shape: widths and depths.
        in_channels: features of a site, >= 1.
        classes: scores of a site, >= 1.

    Source: C. Choy, J. Gwak, S. Savarese, "4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks", CVPR
    2019, figure 4, whose convolutions on all sites that a kernel reaches are submanifold ones in its code.
    """

    def __init__(self, shape: SparseUNetShape, in_channels: int, classes: int) -> None:
        super().__init__()
        width, norm, levels = shape.stem_channels, shape.norm, len(shape.widths) // 2
        inputs = (in_channels, *[width] * (len(shape.stem) - 1))
        convs = [SubMConv(c, width, k, bias=False) for c, k in zip(inputs, shape.stem, strict=True)]
        self.stem = SparseSequential(*(norm_act(conv, width, norm) for conv in convs))
        skips = [width]
        self.downs, self.encoders, self.ups, self.decoders = (nn.ModuleList() for _ in range(4))
        for channels, count in zip(shape.widths[:levels], shape.blocks[:levels], strict=True):
            down = channels if shape.down_widens else width
            self.downs.append(norm_act(SparseConv(width, down, 2, 2, bias=False), down, norm))
            self.encoders.append(_blocks(down, channels, count, norm))
            width = channels
            skips.append(width)
        for skip, channels, count in zip(skips[-2::-1], shape.widths[levels:], shape.blocks[levels:], strict=True):
            self.ups.append(_Up(width, channels, norm))
            self.decoders.append(_blocks(channels + skip, channels, count, norm))
            width = channels
        self.head = nn.Linear(width, classes)

    def forward(self, x: SparseTensor) -> Logits:
        """Give the scores (V, classes) of the sites of `x`, in their order.

        Args:
            x: features (V, in_channels) on a grid of three axes, each of at least 16 cells.

        Raises:
            InvalidInput: when the grid is smaller.
        """
        least = 2 ** len(self.downs)
        if min(x.size) < least:
            raise InvalidInput(f"a grid of {x.size} cells came; wanted at least {least} along each axis; enlarge it")
        y = self.stem(x)
        way: list[tuple[SparseTensor, KernelMap]] = []
        for down, blocks in zip(self.downs, self.encoders, strict=True):
            way.append((y, down[0].map(y.sites)))
            y = blocks(down(y))
        for up, blocks in zip(self.ups, self.decoders, strict=True):
            skip, earlier = way.pop()
            risen = up(y, earlier, skip.stride)
            y = blocks(risen.with_features(torch.cat([risen.features, skip.features], dim=1)))
        return Logits(self.head(y.features))


@final
class _Up(nn.Module):
    """Inverse convolution of 2x2x2, batch norm, ReLU."""

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = InverseConv(in_channels, channels, 2, bias=False)
        self.norm_act = nn.Sequential(norm.layer(channels), nn.ReLU(inplace=True))

    def forward(self, x: SparseTensor, earlier: KernelMap, stride: Axes) -> SparseTensor:
        taken = taken_over(self.conv.bias, self.norm_act)
        if taken is not None:
            return self.conv(x, earlier, stride, taken[0])
        y = self.conv(x, earlier, stride)
        return y.with_features(applied(y.features, self.norm_act)[0])


def _blocks(in_channels: int, channels: int, count: int, norm: Norm) -> nn.Sequential:
    widths = (in_channels, *[channels] * (count - 1))
    return nn.Sequential(*(SparseBasicBlock(width, channels, norm) for width in widths))
