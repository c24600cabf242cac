"""The convolutions of a benchmark network, written as layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ninefold.training import benchmark_networks

if TYPE_CHECKING:
    from ninefold.spec import Axes


def layers_of(name: str, least: int = 1) -> list[str]:
    """Give the distinct convolutions of a network for one picture, as `contest.layers.parse_layer` reads them.

    Args:
        name: of a benchmark network.
        least: rows that a layer's result has at least.

    Raises:
        UnknownName: when there is no such network.

    >>> layers_of("squeezenet1_1", least=56)
    ['3x224x224:64k3s2p0']
    """
    model, found = benchmark_networks.create(name), dict[str, None]()
    hooks = [
        layer.register_forward_hook(partial(_note, found, least))
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    with torch.no_grad():
        model(benchmark_networks.picture(1))
    for hook in hooks:
        hook.remove()
    return list(found)


def _note(found: dict[str, None], least: int, layer: nn.Conv2d, inputs: Any, result: torch.Tensor) -> None:
    if result.shape[2] >= least:
        found[_written(layer, tuple(inputs[0].shape[1:]))] = None


def _written(layer: nn.Conv2d, shape: Axes) -> str:
    (kernel,), (stride,), (padding,), (dilation,) = map(
        set, (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    )
    size = "x".join(map(str, shape))
    usual = dilation * (kernel - 1) // 2
    parts = (f"s{stride}" * (stride > 1), f"p{padding}" * (padding != usual), f"d{dilation}" * (dilation > 1))
    return f"{size}:{layer.out_channels}k{kernel}{''.join(parts)}" + f"g{layer.groups}" * (layer.groups > 1)
