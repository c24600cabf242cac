"""Whether a graph from elsewhere is what it says: kernels trust shapes, so nothing runs before every one is derived."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import singledispatch
from typing import TYPE_CHECKING

import torch
from torch._subclasses.fake_tensor import FakeTensorMode  # the only place where torch keeps it

from ninefold.compiler.graph import Value
from ninefold.compiler.operations import (
    ChannelPool,
    Conv,
    Dense,
    Gather,
    LocalResponse,
    Operation,
    Pad,
    Pool,
    Resize,
    Scale,
)
from ninefold.compiler.run import compute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from ninefold.compiler.graph import Node


def derived(given: Mapping[str, Value], nodes: Sequence[Node]) -> dict[str, Value]:
    """Give shape and dtype of every value, by computing all nodes on tensors without data.

    Args:
        given: of inputs and constants.
        nodes: in the order in which they run.

    Raises:
        ValueError: when a node does not fit what it reads; what torch raises passes through.
    """
    with _quiet(), FakeTensorMode(), torch.no_grad():
        known = {name: torch.empty(value.shape, dtype=value.dtype) for name, value in given.items()}
        for node in nodes:
            operands = [known[name] for name in node.inputs]
            if not _fits(node.operation, operands):
                shapes = ", ".join(str(tuple(operand.shape)) for operand in operands)
                raise ValueError(f"{node.operation} cannot read tensors of the shapes {shapes}")
            for name, result in zip(node.outputs, compute(node.operation, operands), strict=True):
                if name in known:
                    raise ValueError(f"{name!r} is computed twice")
                if name:
                    known[name] = result
    return {name: Value(tuple(tensor.shape), tensor.dtype) for name, tensor in known.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    # What does not fit is logged with its trace; all that matters is in the exception.
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


@singledispatch
def _fits(operation: Operation, x: Sequence[Tensor]) -> bool:  # noqa: ARG001  # the signature of all below
    """Say whether an operation may read tensors of these shapes, beyond what torch itself refuses."""
    return True


@_fits.register(Conv)
def _conv(operation: Conv, x: Sequence[Tensor]) -> bool:
    spec, pool = operation.spec, operation.pool
    is_window = spec.dims == 2 and type(pool) is int and 1 < pool <= min(spec.out_size)
    if type(pool) is not int or not (pool == 1 or is_window):
        return False
    bias = [(spec.out_channels,)] * operation.bias
    residual = [(spec.batch, spec.out_channels, *spec.out_size)] * operation.residual
    return _are(x, (spec.batch, spec.in_channels, *spec.in_size), spec.weight_shape, *bias, *residual)


@_fits.register(Dense)
def _dense(operation: Dense, x: Sequence[Tensor]) -> bool:
    outs, ins = x[1].shape
    return _are(x, (*x[0].shape[:-1], ins), (outs, ins), *[(outs,)] * operation.bias)


@_fits.register(Scale)
def _scale(operation: Scale, x: Sequence[Tensor]) -> bool:  # noqa: ARG001
    channels = (x[0].shape[1],)
    return _are(x, tuple(x[0].shape), channels, channels)


@_fits.register(Pool)
def _pool(operation: Pool, x: Sequence[Tensor]) -> bool:
    dims = len(operation.kernel)
    same = all(len(axes) == dims for axes in (operation.stride, operation.padding, operation.dilation))
    ends = [end for pair in operation.padding for end in pair]
    windows = operation.kind == "max" or (operation.kind == "average" and set(operation.dilation) == {1})
    return same and windows and min(ends) >= 0 and x[0].dim() == dims + 2


@_fits.register(Pad)
def _pad(operation: Pad, x: Sequence[Tensor]) -> bool:
    return len(operation.padding) == x[0].dim() and min(map(min, operation.padding)) >= 0


@_fits.register(Gather)
def _gather(operation: Gather, x: Sequence[Tensor]) -> bool:
    there = sum(operand.shape[1] for operand in x)
    return len(x) in (1, 2) and all(type(c) is int and 0 <= c < there for c in operation.channels)


@_fits.register(LocalResponse)
def _local_response(operation: LocalResponse, x: Sequence[Tensor]) -> bool:
    return type(operation.size) is int and operation.size > 0 and x[0].dim() == 4


@_fits.register(Resize)
def _resize(operation: Resize, x: Sequence[Tensor]) -> bool:
    sizes = [type(n) is int and n > 0 for n in operation.size]
    return operation.kind in ("nearest", "bilinear") and x[0].dim() == 4 and sizes == [True, True]


@_fits.register(ChannelPool)
def _channel_pool(operation: ChannelPool, x: Sequence[Tensor]) -> bool:
    return operation.kind in ("max", "average") and x[0].dim() == 4


def _are(x: Sequence[Tensor], *shapes: tuple[int, ...]) -> bool:
    return [tuple(operand.shape) for operand in x] == list(shapes) and len({operand.dtype for operand in x}) == 1
