"""How much a network over sparse tensors computes: that depends on which cells are active."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from ninefold.sparse import InverseConv, SparseConv, SparseConvTranspose, SparseTensor, SubMConv

if TYPE_CHECKING:
    from torch import Tensor

_CONVS: Final = (SubMConv, SparseConv, SparseConvTranspose, InverseConv)


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


@dataclass(frozen=True, slots=True)
class SparseLayerRow:
    """One layer of a network over sparse tensors.

    Args:
        name: path of the module, as in `network.named_modules()`.
        kind: the module's class.
        kernel: of convolutions, per axis; None of others.
        stride: cells of the first grid per cell of its output's, per axis; None of layers that know features only.
        sites: rows of its output.
        channels: of its output.
        parameters: numbers that it is the first to use.
        macs: multiply-accumulates on these sites; convolutions and dense layers only.
    """

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    sites: int
    channels: int
    parameters: int
    macs: int


def sparse_layers(network: nn.Module, x: SparseTensor) -> list[SparseLayerRow]:
    """Run a network in evaluation and tell of each layer without further ones inside.

    Args:
        network: left as it is.
        x: what it reads.

    Returns:
        The layers in the order in which they ran, those that give their input back left out.
    """
    rows: list[SparseLayerRow] = []
    seen: set[int] = set()

    def note(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        fresh = [p for p in layer.parameters() if id(p) not in seen]
        seen.update(map(id, fresh))
        is_sparse = isinstance(output, SparseTensor)
        sites, channels = (output.features if is_sparse else output).shape
        kernel = layer.kernel if isinstance(layer, _CONVS) else None
        counts = sites, channels, sum(p.numel() for p in fresh), _products(layer, inputs)
        rows.append(SparseLayerRow(name, type(layer).__name__, kernel, output.stride if is_sparse else None, *counts))

    leaves = [(name, m) for name, m in network.named_modules() if not any(m.children()) and type(m) is not nn.Identity]
    hooks = [layer.register_forward_hook(partial(note, name)) for name, layer in leaves]
    training = network.training
    with torch.inference_mode():
        network.eval()(x)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return rows


def sparse_macs(network: nn.Module, x: SparseTensor) -> int:
    """Count the multiply-accumulates of convolutions and dense layers: a product per pair, input and output channel.

    Args:
        network: left as it is.
        x: what it reads.
    """
    return sum(row.macs for row in sparse_layers(network, x))


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
