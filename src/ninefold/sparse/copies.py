"""Copies that torch makes on the calling thread, in parts.

It shares copies of 2^15 numbers and more between its own threads, which go on looking for work for some milliseconds:
on the processors that our kernels need next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd import Function

if TYPE_CHECKING:
    from torch import Tensor

_ALONE: Final = 2**15 - 1  # numbers that torch copies without other threads


def copied(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Give a contiguous copy, without gradients.

    Args:
        x: of one axis or more.
        dtype: of the copy.
    """
    if x.device.type != "cpu" or x.numel() <= _ALONE:
        return x.to(dtype, memory_format=torch.contiguous_format, copy=True)
    y = torch.empty(x.shape, dtype=dtype)
    rows = max(1, _ALONE // x[0].numel())
    for part, source in zip(y.split(rows), x.split(rows), strict=True):
        part.copy_(source)
    return y


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Give x in a dtype, x itself where it has it; gradients come in the dtype of x.

    Args:
        x: of one axis or more.
        dtype: of the result.
    """
    if x.dtype == dtype:
        return x
    y: Tensor = _Cast.apply(x, dtype)
    return y


class _Cast(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = x.dtype
        return copied(x, dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return cast(grad, ctx.dtype), None
