"""How much a network over sparse tensors computes: that depends on which cells are active."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ninefold.sparse import InverseConv, SparseConv, SparseConvTranspose, SparseTensor, SubMConv

if TYPE_CHECKING:
    from torch import Tensor


def sphere(channels: int, cells: int = 64) -> SparseTensor:
    """Give a thin shell in a cube: the surface on which networks' multiply-accumulates are counted and compared.

    A cell is active where its centre lies between cells / 2 - 1.25 and cells / 2 from the centre of the cube; all its
    numbers are whole, so that every machine finds the same cells.

    Args:
        channels: features of a cell, all 1.
        cells: of the cube's side, >= 3.

    >>> sphere(3).features.shape
    torch.Size([15192, 3])
    """
    axis = (2 * torch.arange(cells) + 1 - cells).square()  # four times the squared distance from the middle
    far = axis[:, None, None] + axis[:, None] + axis  # (cells, cells, cells)
    coords = ((far <= cells**2) & (4 * far >= (2 * cells - 5) ** 2)).nonzero()
    scan = torch.cat([torch.zeros_like(coords[:, :1]), coords], dim=1)
    return SparseTensor.of(torch.ones(len(coords), channels), scan, (cells,) * 3, 1)


def sparse_macs(network: nn.Module, x: SparseTensor) -> int:
    """Count the multiply-accumulates of convolutions and dense layers: a product per pair, input and output channel.

    Args:
        network: left as it is.
        x: what it reads.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], _output: Any) -> None:
        nonlocal total
        total += _products(layer, inputs)

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    training = network.training
    with torch.inference_mode():
        network.eval()(x)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total


def _products(layer: nn.Module, inputs: tuple[Any, ...]) -> int:
    if isinstance(layer, nn.Linear):
        rows: Tensor = inputs[0]
        return len(rows) * layer.in_features * layer.out_features
    if isinstance(layer, InverseConv):
        pairs = inputs[1].count
    elif isinstance(layer, SubMConv | SparseConv | SparseConvTranspose):
        pairs = layer.map(inputs[0].sites).count
    else:
        return 0
    return pairs * layer.in_channels * layer.out_channels // layer.groups
