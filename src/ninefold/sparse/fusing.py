"""What layers do together: a convolution takes over the batch norm and ReLU behind it, batch norm the ReLU."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.sparse.engine import Ending
from ninefold.sparse.norm import batch_norm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def taken_over(bias: Tensor | None, followers: Iterable[nn.Module]) -> tuple[Ending, int] | None:
    """Give the ending of a convolution that is followed by batch norm with fixed statistics, and perhaps ReLU.

        (conv + bias - mean) * gamma / sqrt(var + eps) + beta = factor * conv + (beta + (bias - mean) * factor)

    Args:
        bias: of the convolution, or None.
        followers: the layers behind it.

    Returns:
        The ending and how many layers it stands for; None where gradients are recorded, no such batch norm follows, or
        somebody hooked in between.
    """
    norm, act = (*islice(followers, 2), None, None)[:2]
    if torch.is_grad_enabled() or not is_plain(norm, nn.BatchNorm1d):
        return None
    folded = _folded(norm, bias)
    if folded is None:
        return None
    relu = is_plain(act, nn.ReLU)
    return Ending(*folded, relu), 2 if relu else 1


def applied(features: Tensor, layers: Iterable[nn.Module]) -> tuple[Tensor, int]:
    """Hand features to the first of some layers that know nothing of sites; batch norm does the ReLU behind it at once.

    Args:
        features: (N, C).
        layers: at least one.

    Returns:
        What came out, and how many layers it went through.
    """
    norm, act = (*islice(layers, 2), None)[:2]
    if not is_plain(norm, nn.BatchNorm1d):
        return norm(features), 1
    relu = is_plain(act, nn.ReLU)
    return batch_norm(features, norm, relu=relu), 2 if relu else 1


def _folded(norm: nn.BatchNorm1d, bias: Tensor | None) -> tuple[Tensor, Tensor] | None:
    mean, var = norm.running_mean, norm.running_var
    if norm.training or mean is None or var is None:
        return None
    wide = torch.promote_types(var.dtype, torch.float32)
    mean, factor = mean.to(wide), (var.to(wide) + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight
    shift = (-mean if bias is None else bias - mean) * factor
    return factor, shift if norm.bias is None else shift + norm.bias


def is_plain(layer: nn.Module | None, kind: type[nn.Module]) -> bool:
    """Whether a layer does what its class does, and nothing besides."""
    return type(layer) is kind and not any(getattr(layer, hooks) for hooks in _HOOKS)


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")  # torch has no other door
