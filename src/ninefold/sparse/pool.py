"""Pooling over kernel maps and over whole pictures; cells without a site do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import torch

from ninefold.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.map import KernelMap
    from ninefold.sparse.tensor import SparseTensor

PoolKind = Literal["max", "mean", "sum"]
_REDUCE: Final[dict[str, str]] = {"max": "amax", "mean": "mean", "sum": "sum"}


def pool(x: Tensor, pairs: KernelMap, kind: PoolKind) -> Tensor:
    """Give the largest, the mean or the sum of the rows that meet each output site.

    Rows that share a maximum share its gradient.

    Args:
        x: (N, C), a row per input site.
        pairs: the kernel map, from N to M sites; every output site is met.
        kind: what is taken.

    Returns:
        (M, C).

    Raises:
        InvalidInput: when there is not one row per site.
        UnknownName: when there is no such kind.
    """
    if len(x) != len(pairs.inputs):
        raise InvalidInput(f"{len(x)} rows came for {len(pairs.inputs)} input sites; wanted one each")
    both = [pairs.pairs(k) for k in range(pairs.volume)]
    i, o = (torch.cat(side).long() for side in zip(*both, strict=True))
    return _reduced(x[i], o, len(pairs.outputs), kind)


def global_pool(x: SparseTensor, kind: PoolKind) -> Tensor:
    """Give the largest, the mean or the sum over all sites of each picture; zeros for a picture without a site.

    Args:
        x: whose features are (N, C).
        kind: what is taken.

    Returns:
        (batch, C).

    Raises:
        UnknownName: when there is no such kind.
    """
    return _reduced(x.features, x.coords[:, 0].long(), x.batch, kind)


def _reduced(rows: Tensor, target: Tensor, count: int, kind: PoolKind) -> Tensor:
    if kind not in _REDUCE:
        raise UnknownName.among("pooling", kind, _REDUCE)
    index = target[:, None].expand_as(rows)
    zeros = rows.new_zeros((count, rows.shape[1]))
    return zeros.scatter_reduce(0, index, rows, _REDUCE[kind], include_self=False)
