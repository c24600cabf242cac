"""spconv's maximum: it begins at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.map import KernelMap


def max_pool(x: Tensor, pairs: KernelMap) -> Tensor:
    """Give the largest of 0 and the rows that meet each output row.

    Every row that equals the maximum gets the whole gradient, unlike `ninefold.sparse.pool`, where they share it.

    Args:
        x: (N, C).
        pairs: from N to M rows.

    Returns:
        (M, C).
    """
    return _MaxPool.apply(x, pairs)


class _MaxPool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pairs: KernelMap) -> Tensor:
        y = x.new_zeros((len(pairs.outputs), x.shape[1]))
        for k in range(pairs.volume):
            i, o = pairs.pairs(k)  # within an offset no output row comes twice
            y[o] = torch.maximum(y[o], x[i])
        ctx.save_for_backward(x, y)
        ctx.pairs = pairs
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        dx = torch.zeros_like(x)
        for k in range(ctx.pairs.volume):
            i, o = ctx.pairs.pairs(k)
            dx.index_add_(0, i, grad[o] * (x[i] == y[o]))
        return dx, None
