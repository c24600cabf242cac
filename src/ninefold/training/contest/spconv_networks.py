"""Ninefold's sparse networks out of spconv's layers, with the same weights: what they are compared with."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, final

import torch
from torch import nn
from torch.nn import functional as F

from ninefold.errors import InvalidInput, MissingExtra
from ninefold.sparse import InverseConv, SparseConv, SubMConv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ninefold.nn import SparseBasicBlock, SparseUNet


def load_spconv() -> Any:
    """Import spconv's layers, and help its backward pass where there is no CUDA.

    Raises:
        MissingExtra: when it is not installed.
    """
    try:
        from spconv import pytorch
        from spconv.pytorch import ops
    except ImportError as error:
        raise MissingExtra.of("spconv", "bench") from error
    if not torch.cuda.is_available():
        ops.get_current_stream = lambda: 0  # it asks for CUDA's even when it needs none
    return pytorch


def sequence(network: nn.Module) -> nn.Module:
    """Give a network whose layers follow one another, as spconv's.

    Args:
        network: of convolutions, batch norms and ReLUs.
    """
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    level, layers = 0, []
    for layer in leaves:
        level += isinstance(layer, SparseConv)
        layers.append(_layer(layer, level))
    spconv: Any = load_spconv()
    made: nn.Module = spconv.SparseSequential(*layers)
    return made


@final
class PeerUNet(nn.Module):
    """A `SparseUNet` out of spconv's layers.

    Args:
        network: whose weights are copied.
    """

    def __init__(self, network: SparseUNet) -> None:
        super().__init__()
        self.stem = _at_level(network.stem.modules(), 0)
        self.downs = nn.ModuleList(_at_level(down, n) for n, down in enumerate(network.downs, 1))
        self.encoders = nn.ModuleList(_blocks(blocks, n) for n, blocks in enumerate(network.encoders, 1))
        levels = len(network.ups)
        self.ups = nn.ModuleList(_at_level([up.conv, *up.norm_act], levels - n) for n, up in enumerate(network.ups))
        self.decoders = nn.ModuleList(_blocks(blocks, levels - n) for n, blocks in enumerate(network.decoders, 1))
        self.head = deepcopy(network.head)

    def forward(self, x: Any) -> Any:
        """Give the scores as the features of the sites."""
        y, skips = self.stem(x), []
        for down, blocks in zip(self.downs, self.encoders, strict=True):
            skips.append(y.features)
            y = blocks(down(y))
        for up, blocks in zip(self.ups, self.decoders, strict=True):
            y = up(y)
            y = blocks(y.replace_feature(torch.cat([y.features, skips.pop()], dim=1)))
        return y.replace_feature(self.head(y.features))


@final
class _Block(nn.Module):
    def __init__(self, block: SparseBasicBlock, level: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _at_level(block.conv1, level), _at_level(block.conv2, level)
        self.shortcut = deepcopy(block.shortcut)

    def forward(self, x: Any) -> Any:
        y = self.conv2(self.conv1(x))
        return y.replace_feature(F.relu(y.features + self.shortcut(x.features)))


def _blocks(blocks: nn.Module, level: int) -> nn.Module:
    return nn.Sequential(*(_Block(block, level) for block in blocks.children()))


def _at_level(layers: Iterable[nn.Module], level: int) -> nn.Module:
    kept = [_layer(layer, level) for layer in layers if not isinstance(layer, nn.Sequential)]
    spconv: Any = load_spconv()
    made: nn.Module = spconv.SparseSequential(*kept)
    return made


def _layer(layer: nn.Module, level: int) -> nn.Module:
    """Give one layer; `level` counts the strided convolutions up to it, and including it."""
    spconv: Any = load_spconv()
    if isinstance(layer, SubMConv):
        made = spconv.SubMConv3d(*_channels(layer), bias=False, indice_key=f"{layer.kernel} at {level}")
    elif isinstance(layer, SparseConv):
        moves = layer.stride, layer.padding
        made = spconv.SparseConv3d(*_channels(layer), *moves, bias=False, indice_key=f"to {level}")
    elif isinstance(layer, InverseConv):
        made = spconv.SparseInverseConv3d(*_channels(layer), bias=False, indice_key=f"to {level}")
    else:
        return deepcopy(layer)
    if layer.bias is not None:
        raise InvalidInput(f"{layer} has a bias, which spconv's CPU layers refuse in evaluation; leave it out")
    with torch.no_grad():
        made.weight.copy_(layer.weight)
    return made  # type: ignore[no-any-return]


def _channels(layer: SubMConv | SparseConv | InverseConv) -> tuple[int, int, list[int]]:
    return layer.in_channels, layer.out_channels, list(layer.kernel)
