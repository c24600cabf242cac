"""Sparse convolution of features over a kernel map, with gradients of every order.

With the sums of `engine`, slide (the forward one) and compare (the weight's gradient):

    of  y = slide(x, w, map)       dx = slide(dy, exchanged(w), map.swapped)    dw = compare(x, dy, map)
    of  w = compare(x, y, map)     dx = slide(y, exchanged(dw), map.swapped)    dy = slide(x, dw, map)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function

from ninefold.errors import InvalidInput
from ninefold.sparse.copies import cast
from ninefold.sparse.engine import DTYPES, Job, exchanged
from ninefold.sparse.engines import engine_for

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.engine import Ending, Engine
    from ninefold.sparse.map import KernelMap


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, pairs: KernelMap, engine: str = "auto") -> Tensor:
    """Convolve features over a kernel map.

        y[o] = bias + sum over offsets k and pairs (i, o) of k of  weight[:, k] @ x[i]

    Under `torch.autocast` the numbers are brought into its dtype first, as torch's own convolutions do.

    Args:
        x: (N, C), a row per input site.
        weight: (O, *kernel, C / groups): what its last axis lacks of C says how many groups there are.
        bias: (O,), or None for none.
        pairs: the kernel map, from N to M sites.
        engine: a name of `ninefold.sparse.ENGINES`, or "auto" for the first that can.

    Returns:
        (M, O).

    Raises:
        InvalidInput: when shapes, dtypes or devices do not meet.
        Unsupported: when the named engine cannot do it.
    """
    x, weight, bias = in_autocast(x, weight, bias)
    groups = _groups(x, weight, pairs)
    if bias is not None and (bias.shape, bias.dtype, bias.device) != (weight.shape[:1], x.dtype, x.device):
        raise InvalidInput(
            f"bias of shape {tuple(bias.shape)} is {bias.dtype} on {bias.device}; wanted ({len(weight)},), {x.dtype} "
            f"on {x.device}"
        )
    chosen = engine_for(Job(x.shape[1], len(weight), groups, x.device, x.dtype), engine)
    y = _Slide.apply(x, weight.flatten(1, -2), pairs, groups, chosen)
    return y if bias is None else y + bias


def finished_conv(x: Tensor, weight: Tensor, ending: Ending, pairs: KernelMap) -> Tensor:
    """Convolve features and end every sum, without gradients: engines that can do it while a sum is near.

        y[o] = relu(bias + factor * sum over k and pairs (i, o) of k of  weight[:, k] @ x[i])

    Args:
        x: (N, C), as in `conv`.
        weight: (O, *kernel, C / groups).
        ending: factor, bias, and whether ReLU follows.
        pairs: the kernel map, from N to M sites.

    Returns:
        (M, O).

    Raises:
        InvalidInput: when shapes or dtypes do not meet.
    """
    x, weight = in_autocast(x, weight)
    job = Job(x.shape[1], len(weight), _groups(x, weight, pairs), x.device, x.dtype)
    if not ending.factor.shape == ending.bias.shape == weight.shape[:1]:
        raise InvalidInput(
            f"factor of shape {tuple(ending.factor.shape)} and bias of shape {tuple(ending.bias.shape)} came for "
            f"{len(weight)} output channels; wanted one number each"
        )
    return engine_for(job).finished(x.contiguous(), weight.flatten(1, -2), pairs, ending)


@torch.no_grad()
def conv_gradients(
    x: Tensor, weight: Tensor, grad: Tensor, pairs: KernelMap, engine: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Give the gradients of `conv` for x and weight, where only they are wanted.

    Args:
        x: (N, C), as in `conv`, and so are weight, pairs and engine.
        weight: (O, *kernel, C / groups).
        grad: (M, O), that of the result.
        pairs: the kernel map, from N to M sites.
        engine: a name, or "auto".

    Returns:
        (N, C) and (O, *kernel, C / groups).

    Raises:
        InvalidInput: when shapes or dtypes do not meet.
        Unsupported: when the named engine cannot do it.
    """
    groups = _groups(x, weight, pairs)
    if (grad.shape, grad.dtype) != ((len(pairs.outputs), len(weight)), x.dtype):
        raise InvalidInput(
            f"grad of shape {tuple(grad.shape)} is {grad.dtype}; wanted {(len(pairs.outputs), len(weight))}, {x.dtype}"
        )
    chosen = engine_for(Job(x.shape[1], len(weight), groups, x.device, x.dtype), engine)
    rows = grad.contiguous()
    dx = chosen.forward(rows, exchanged(weight.flatten(1, -2), groups), pairs.swapped)
    return dx, chosen.weight_gradient(x.contiguous(), rows, pairs, groups).view(weight.shape)


def in_autocast(x: Tensor, *others: Tensor | None) -> Any:
    """Give tensors in the dtype of `torch.autocast` where that is on for their device; float64 stays.

    Args:
        x: says which device.
        others: as many as there are.

    Returns:
        All of them, x first.
    """
    every, device = (x, *others), x.device.type
    if not torch.is_autocast_enabled(device):
        return every
    dtype = torch.get_autocast_dtype(device)
    return tuple(t if t is None or t.dtype == torch.float64 else cast(t, dtype) for t in every)


class _Slide(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pairs: KernelMap, groups: int, engine: Engine) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.rest = pairs, groups, engine
        return engine.forward(x.contiguous(), weight, pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (pairs, groups, engine) = ctx.saved_tensors, ctx.rest
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        dx = _Slide.apply(grad, exchanged(weight, groups), pairs.swapped, groups, engine) if wants_x else None
        dw = _Compare.apply(x, grad, pairs, groups, engine) if wants_weight else None
        return dx, dw, None, None, None


class _Compare(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int, engine: Engine) -> Tensor:
        ctx.save_for_backward(x, grad)
        ctx.rest = pairs, groups, engine
        return engine.weight_gradient(x.contiguous(), grad.contiguous(), pairs, groups)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x, grad), (pairs, groups, engine) = ctx.saved_tensors, ctx.rest
        wants_x, wants_grad, *_ = ctx.needs_input_grad
        dx = _Slide.apply(grad, exchanged(g, groups), pairs.swapped, groups, engine) if wants_x else None
        dgrad = _Slide.apply(x, g, pairs, groups, engine) if wants_grad else None
        return dx, dgrad, None, None, None


def _groups(x: Tensor, weight: Tensor, pairs: KernelMap) -> int:
    fits = x.dim() == 2 and len(x) == len(pairs.inputs) and weight.shape[1:-1] == torch.Size(pairs.kernel)
    if not fits:
        raise InvalidInput(
            f"x of shape {tuple(x.shape)} and weight of shape {tuple(weight.shape)} came; wanted "
            f"({len(pairs.inputs)}, C) and (O, {', '.join(map(str, pairs.kernel))}, C / groups)"
        )
    if x.dtype != weight.dtype or x.dtype not in DTYPES:
        raise InvalidInput(f"x is {x.dtype} and weight is {weight.dtype}; wanted both in one of {DTYPES}")
    if not x.device == weight.device == pairs.in_rows.device:
        raise InvalidInput(
            f"x is on {x.device}, weight on {weight.device} and the sites on {pairs.in_rows.device}; wanted all on one"
        )
    groups, rest = divmod(x.shape[1], max(1, weight.shape[-1]))
    if not weight.numel() or not groups or rest or len(weight) % groups:
        raise InvalidInput(
            f"{x.shape[1]} input and {len(weight)} output channels do not fit a weight that sees {weight.shape[-1]} "
            "channels at a time"
        )
    return groups
