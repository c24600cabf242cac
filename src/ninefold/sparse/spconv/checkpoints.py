"""Checkpoints of spconv 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.sparse.spconv.pytorch.convolution import SparseConvolution

if TYPE_CHECKING:
    from torch import Tensor, nn


def converted_from_1(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a checkpoint of spconv 1 as spconv 2 and the drop-in load it.

    Weights were (*kernel, C_in, C_out) and are (C_out, *kernel, C_in). Those of one offset keep the order of their
    numbers, because layers read them as (C_in, C_out) in both versions.

    Args:
        model: of drop-in layers; its names say which tensors are their weights.
        state: name to tensor, not changed.

    Returns:
        Name to tensor.

    >>> import torch
    >>> from ninefold.sparse import spconv
    >>> layer = spconv.SparseConv2d(4, 8, 3, bias=False)
    >>> converted_from_1(layer, {"weight": torch.zeros(3, 3, 4, 8)})["weight"].shape
    torch.Size([8, 3, 3, 4])
    """
    convs = {f"{name}.weight".lstrip("."): m for name, m in model.named_modules() if isinstance(m, SparseConvolution)}
    return {name: _converted(convs[name], value) if name in convs else value for name, value in state.items()}


def _converted(layer: SparseConvolution, weight: Tensor) -> Tensor:
    if layer.conv1x1:
        return weight.reshape(layer.weight_shape)
    return weight.movedim(-1, 0).contiguous()
