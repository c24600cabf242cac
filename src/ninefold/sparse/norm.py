"""Batch norm, ReLU and shortcuts between sparse convolutions, on the kernels and workers that the convolutions have.

    y = relu(gamma * (x - mean) * s + beta)               s = 1 / sqrt(var + eps), over the rows
    g = dy where y > 0, else 0
    dbeta = sum of g,    dgamma = sum of g * (x - mean) * s
    dx = gamma * s * (g - dbeta / N - (x - mean) * s * dgamma / N)      without the last two terms where mean and var
                                                                        are fixed

Sums are taken in float32, per block of rows and then over the blocks in their order: results are the same bit for bit
for any number of threads, and no threads but ours run between two convolutions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.autograd import Function
from torch.nn import functional as F

from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.row_norm import NormGradientNumbers, NormNumbers
from ninefold.kernels.llvm.rows import BLOCK, RowEnding, RowMask, RowMoments, RowNormGradient, RowProducts, counts
from ninefold.kernels.llvm.target import host
from ninefold.sparse.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.rows import Rows

_THREADED = 500_000  # numbers from which on a second thread is worth waking


@untraced
def batch_norm(x: Tensor, norm: nn.BatchNorm1d, *, relu: bool) -> Tensor:
    """Give what a batch norm, and perhaps a ReLU behind it, gives; running statistics are brought up to date.

    Args:
        x: (N, C).
        norm: of C channels; nobody may have hooked into it.
        relu: whether ReLU follows.

    Returns:
        (N, C).

    Raises:
        ValueError: as torch does, where statistics of a single row are asked for.
    """
    if not _suits(x, norm):
        y: Tensor = norm(x)
        return F.relu(y) if relu else y
    of_rows = norm.training or norm.running_mean is None or norm.running_var is None
    gamma = torch.ones(x.shape[1]) if norm.weight is None else norm.weight.float()
    beta = torch.zeros(x.shape[1]) if norm.bias is None else norm.bias.float()
    given = None if of_rows else _settled(norm, gamma.detach(), beta.detach())
    how = _How(norm.eps, relu, of_rows, x.dtype == torch.bfloat16)
    y, numbers = _Normed.apply(x.contiguous(), gamma, beta, how, given)
    if norm.training and norm.track_running_stats:
        _keep_up(norm, numbers)
    return y


@untraced
def add_relu(a: Tensor, b: Tensor) -> Tensor:
    """Give relu(a + b).

    Args:
        a: (N, C).
        b: (N, C).
    """
    if not (_has_kernels(a) and _has_kernels(b) and (a.shape, a.dtype) == (b.shape, b.dtype)):
        return F.relu(a + b)
    y: Tensor = _AddRelu.apply(a.contiguous(), b.contiguous())
    return y


class _How(NamedTuple):
    """How rows are normalised.

    Args:
        eps: added to the variance.
        relu: whether ReLU follows.
        of_rows: whether mean and variance are those of the rows; else fixed ones.
        halves: whether rows are bfloat16; what is computed of them is float32.
    """

    eps: float
    relu: bool
    of_rows: bool
    halves: bool


class _Normed(Function):
    """Gives y (N, C) and the numbers per channel that `NormNumbers` gives; where they are given, it takes no sums."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, how: _How, given: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        rows, channels = x.shape
        y = torch.empty_like(x)
        made = _forward_kernels(channels, how)
        moments, joined, ending = made.addresses
        if given is None:
            numbers, parts = torch.empty(5, channels), torch.empty(-(-rows // BLOCK), 2, channels)
            counted = _counts(rows)
            first = _step(moments, len(parts), x, counted, None, parts)
            steps = [first, _step(joined, 1, parts, counted, gamma, numbers, beta)]
        else:
            numbers, steps = given, []
        _compute([*steps, _step(ending, rows, x, None, numbers, y)], x)
        ctx.save_for_backward(x, gamma, numbers)
        ctx.how = how
        ctx.mark_non_differentiable(numbers)
        return y, numbers

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            grads = _differentiable(*ctx.saved_tensors, grad, ctx.how)
        else:
            grads = _gradients(*ctx.saved_tensors, grad.contiguous(), ctx.how)
        return *(g if wanted else None for g, wanted in zip(grads, ctx.needs_input_grad, strict=False)), None, None


class _AddRelu(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        y = torch.empty_like(a)
        made = _sum_kernels(a.shape[1], a.dtype == torch.bfloat16)
        _compute([_step(made.addresses[0], len(a), a, None, None, y, b)], a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (y,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            dx = grad * (y > 0)
        else:
            made = _sum_kernels(y.shape[1], y.dtype == torch.bfloat16)
            dx, grad = torch.empty_like(y), grad.contiguous()
            _compute([_step(made.addresses[1], len(y), y, None, None, dx, grad)], y)
        return dx, dx


def _gradients(x: Tensor, _: Tensor, numbers: Tensor, grad: Tensor, how: _How) -> tuple[Tensor, ...]:
    rows, channels = x.shape
    counted, dx = _counts(rows), torch.empty_like(x)
    parts, found = torch.empty(-(-rows // BLOCK), 2, channels), torch.empty(7, channels)
    made = _backward_kernels(channels, how)
    products, joined, gradient = made.addresses
    steps = (
        _step(products, len(parts), x, counted, numbers, parts, grad),
        _step(joined, 1, parts, counted, numbers, found),
        _step(gradient, rows, x, None, found, dx, grad),
    )
    _compute(steps, x)
    return dx, found[5].clone(), found[6].clone()


def _differentiable(x: Tensor, gamma: Tensor, numbers: Tensor, grad: Tensor, how: _How) -> tuple[Tensor, ...]:
    """Give the gradients in operations that torch can take gradients of."""
    factor, shift, mean, scale, _ = numbers.unbind()
    dtype, x, grad = x.dtype, x.float(), grad.float()
    if how.relu:
        grad = grad * (torch.addcmul(shift, x.detach(), factor) > 0)
    if how.of_rows:
        mean, scale = x.mean(0), (x.var(0, correction=0) + how.eps).rsqrt()
    normal = (x - mean) * scale
    dgamma, dbeta = (grad * normal).sum(0), grad.sum(0)
    if how.of_rows:
        grad = grad - (dbeta + normal * dgamma) / len(x)
    return (grad * (scale * gamma)).to(dtype), dgamma, dbeta


def _settled(norm: nn.BatchNorm1d, gamma: Tensor, beta: Tensor) -> Tensor:
    """Give the numbers of a norm with fixed statistics."""
    mean, var = norm.running_mean.float(), norm.running_var.float()
    scale = (var + norm.eps).rsqrt()
    return torch.stack([gamma * scale, beta - mean * gamma * scale, mean, scale, var])


def _keep_up(norm: nn.BatchNorm1d, numbers: Tensor) -> None:
    """Move the running statistics, where a norm keeps some."""
    share = norm.momentum
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        share = 1 / int(norm.num_batches_tracked) if share is None else share
    _, _, mean, _, var = numbers.unbind()
    for running, found in ((norm.running_mean, mean), (norm.running_var, var)):
        if running is not None:
            running.lerp_(found.to(running.dtype), share or 0.0)


def _suits(x: Tensor, norm: nn.BatchNorm1d) -> bool:
    """Whether the kernels do what torch would."""
    kept = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return (
        _has_kernels(x)
        and len(x) > 1
        and x.shape[1] == norm.num_features
        and all(
            tensor is None or (_is_plain(tensor, (x.dtype, torch.float32)) and tensor.is_contiguous())
            for tensor in kept
        )
    )


def is_ours(x: Tensor) -> bool:
    """Whether our kernels read these rows, of float32."""
    return _are_rows(x) and _is_plain(x, (torch.float32,)) and not torch.is_autocast_enabled("cpu")


def _has_kernels(x: Tensor) -> bool:
    """Whether our kernels read these rows, of float32 or bfloat16."""
    if x.dtype == torch.bfloat16:
        return _are_rows(x) and _is_plain(x, (x.dtype,)) and x.shape[1] % 2 == 0 and host().has_bf16
    return is_ours(x)


def _are_rows(x: Tensor) -> bool:
    return x.dim() == 2 and len(x) > 0 and x.shape[1] >= host().lanes


def _is_plain(x: Tensor, dtypes: Sequence[torch.dtype]) -> bool:
    return x.dtype in dtypes and x.device.type == "cpu"


class _Made(NamedTuple):
    """Compiled kernels.

    Args:
        library: that they live in.
        addresses: of their functions.
    """

    library: Library
    addresses: tuple[int, ...]


@lru_cache(maxsize=64)
def _forward_kernels(channels: int, how: _How) -> _Made:
    row, halves = (channels, host().lanes), how.halves
    ending = RowEnding(*row, True, False, how.relu, halves=halves)
    return _made(RowMoments(*row, halves=halves), NormNumbers(*row, how.eps), ending)


@lru_cache(maxsize=64)
def _backward_kernels(channels: int, how: _How) -> _Made:
    row, halves = (channels, host().lanes), how.halves
    products, gradient = (kind(*row, how.relu, halves=halves) for kind in (RowProducts, RowNormGradient))
    return _made(products, NormGradientNumbers(*row, how.of_rows), gradient)


@lru_cache(maxsize=64)
def _sum_kernels(channels: int, halves: bool) -> _Made:
    row = channels, host().lanes
    return _made(RowEnding(*row, False, True, True, halves=halves), RowMask(*row, halves=halves))


def _made(*kernels: Rows) -> _Made:
    library = build(kernels, host())
    return _Made(library, tuple(library.addresses[kernel.name] for kernel in kernels))


def _step(address: int, units: int, *operands: Tensor | None) -> Step:
    """Give a kernel over all units, called with x, weight, bias, y and residual."""
    return Step(address, (units, 1), *(0 if tensor is None else tensor.data_ptr() for tensor in operands))


def _compute(steps: Sequence[Step], x: Tensor) -> None:
    compute(steps, torch.get_num_threads() if x.numel() >= _THREADED else 1)


@lru_cache(maxsize=64)
def _counts(rows: int) -> Tensor:
    return torch.from_numpy(counts(rows))
