"""Blocks over sparse tensors: convolution, batch norm, ReLU; and two of them with a shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from torch import nn

from ninefold.sparse import SparseSequential, SubMConv
from ninefold.sparse.norm import add_relu

if TYPE_CHECKING:
    from ninefold.sparse import SparseTensor


class Norm(NamedTuple):
    """How batch norm goes.

    Args:
        eps: added to the variance, > 0.
        momentum: share of a batch in the running mean and variance, 0 to 1.
    """

    eps: float = 1e-5
    momentum: float = 0.1

    def layer(self, channels: int) -> nn.BatchNorm1d:
        """Build the layer for (N, channels)."""
        return nn.BatchNorm1d(channels, self.eps, self.momentum)


def norm_act(conv: nn.Module, channels: int, norm: Norm) -> SparseSequential:
    """Put batch norm and ReLU behind a convolution that gives sparse tensors.

    Args:
        conv: the convolution, without bias.
        channels: that it gives.
        norm: how batch norm goes.
    """
    return SparseSequential(conv, norm.layer(channels), nn.ReLU(inplace=True))


@final
class SparseBasicBlock(nn.Module):
    """Two submanifold convolutions of 3x3x3 and a shortcut, which is dense where the width changes.

        y = relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))

    Args:
        in_channels: C, >= 1.
        channels: of the output, >= 1.
        norm: how batch norm goes.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, figure 2, on
    sites; a width changes by a dense layer with batch norm (their option B).
    """

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = norm_act(SubMConv(in_channels, channels, 3, bias=False), channels, norm)
        self.conv2 = SparseSequential(SubMConv(channels, channels, 3, bias=False), norm.layer(channels))
        widens = in_channels != channels
        dense = nn.Linear(in_channels, channels, bias=False)
        self.shortcut = SparseSequential(dense, norm.layer(channels)) if widens else nn.Identity()

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Give `channels` features at the same sites."""
        y = self.conv2(self.conv1(x))
        return y.with_features(add_relu(y.features, self.shortcut(x).features))
