"""A graph run by torch, node by node: what every faster way of running it is held to."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten  # the only place where torch keeps them

from ninefold.compiler.operations import (
    Activation,
    Add,
    BatchNorm,
    ChannelPool,
    Concat,
    Conv,
    Dense,
    Gather,
    LocalResponse,
    Multiply,
    Operation,
    Pad,
    Permute,
    Pool,
    Reference,
    Reshape,
    Resize,
    Scale,
    Shuffle,
    Slice,
    Torch,
    Upsample,
)
from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.compiler.graph import Graph
    from ninefold.spec import Pairs


def run(graph: Graph, *inputs: Any) -> Any:
    """Compute a graph with torch's operators.

    Args:
        graph: as `captured` or `simplified` gives it.
        inputs: as the model takes them, of the shapes that the graph was captured for.

    Returns:
        What the model returns, in the same structure.

    Raises:
        InvalidInput: when a shape or dtype is not the graph's.
    """
    known = {**graph.constants, **bound(graph, inputs)}
    left = graph.uses.copy()
    for node in graph.nodes:
        results = compute(node.operation, [known[name] for name in node.inputs])
        known.update(zip(node.outputs, results, strict=True))
        left.subtract(node.inputs)
        for name in (*node.inputs, *node.outputs):
            if not left[name]:
                known.pop(name, None)
    return returned(graph, known)


def bound(graph: Graph, inputs: Sequence[Any]) -> dict[str, Tensor]:
    """Give what a graph is called with by name, once every shape and dtype is known to be right."""
    leaves, _ = tree_flatten(tuple(inputs))
    if len(leaves) != len(graph.inputs):
        raise InvalidInput(
            f"{len(leaves)} inputs came and the graph takes {len(graph.inputs)}: {', '.join(graph.inputs)}"
        )
    given = {name: leaf for name, leaf in zip(graph.inputs, leaves, strict=True) if name}
    for name, tensor in given.items():
        wanted = graph.values[name]
        if not isinstance(tensor, torch.Tensor) or (tuple(tensor.shape), tensor.dtype) != (wanted.shape, wanted.dtype):
            came = f"{tuple(tensor.shape)} of {tensor.dtype}" if isinstance(tensor, torch.Tensor) else repr(tensor)
            raise InvalidInput(f"{name} is {came}, and the graph was captured for {wanted.shape} of {wanted.dtype}")
    return given


def returned(graph: Graph, known: dict[str, Tensor]) -> Any:
    """Put the outputs into the structure that the model returns."""
    # A constant is copied: a caller may change what is returned.
    own = {name: known[name].clone() for output in graph.outputs if (name := output.name) in graph.constants}
    leaves = [{**known, **own}[output.name] if output.name else output.thing for output in graph.outputs]
    return tree_unflatten(leaves, graph.structure)


def compute(operation: Operation, x: Sequence[Tensor]) -> tuple[Any, ...]:
    """Compute one operation; gives its results in the order of the node's outputs."""
    result = _computed(operation, x)
    return tuple(result) if isinstance(result, list | tuple) else (result,)


@singledispatch
def _computed(operation: Operation, x: Sequence[Tensor]) -> Any:
    raise NotImplementedError(type(operation).__name__)


@_computed.register(Torch)
def _torch(operation: Torch, x: Sequence[Tensor]) -> Any:
    arguments, named = tree_map_only(
        Reference, lambda r: x[r.index], (operation.arguments, dict(operation.named)), is_leaf=_is_reference
    )
    return operation.target(*arguments, **named)


def _is_reference(thing: Any) -> bool:
    return isinstance(thing, Reference)


@_computed.register(Activation)
def _activation(operation: Activation, x: Sequence[Tensor]) -> Tensor:
    return activated(operation, x[0])


@_computed.register(Conv)
def _conv(operation: Conv, x: Sequence[Tensor]) -> Tensor:
    spec, operands = operation.spec, list(x[2:])
    bias = operands.pop(0) if operation.bias else None
    if spec.transposed:
        y = _spread(operation, x[0], x[1], bias)
    else:
        padded = _padded(x[0], spec.padding, 0.0)
        conv = (F.conv1d, F.conv2d, F.conv3d)[spec.dims - 1]
        y = conv(padded, x[1], bias, spec.stride, 0, spec.dilation, spec.groups)
    y = activated(operation.activation, y + operands[0] if operation.residual else y)
    return F.max_pool2d(y, operation.pool) if operation.pool > 1 else y


def _spread(operation: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    spec = operation.spec
    conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spec.dims - 1]
    # torch cuts off the same number at both ends: all is computed, and cut here.
    y = conv(x, weight, bias, spec.stride, 0, spec.output_padding, spec.groups, spec.dilation)
    for axis, ((before, _), n) in enumerate(zip(spec.padding, spec.out_size, strict=True), start=2):
        y = y.narrow(axis, before, n)
    return y


@_computed.register(Dense)
def _dense(operation: Dense, x: Sequence[Tensor]) -> Tensor:
    return activated(operation.activation, F.linear(*x))


@_computed.register(BatchNorm)
def _batch_norm(operation: BatchNorm, x: Sequence[Tensor]) -> Tensor:
    y, weight, bias, mean, variance = x
    return F.batch_norm(y, mean, variance, weight, bias, eps=operation.epsilon)


@_computed.register(Scale)
def _scale(operation: Scale, x: Sequence[Tensor]) -> Tensor:
    scale, shift = (per_channel(vector, x[0].dim()) for vector in x[1:])
    return activated(operation.activation, x[0] * scale + shift)


@_computed.register(Add)
def _add(operation: Add, x: Sequence[Tensor]) -> Tensor:
    return activated(operation.activation, x[0] + x[1])


@_computed.register(Multiply)
def _multiply(operation: Multiply, x: Sequence[Tensor]) -> Tensor:  # noqa: ARG001
    return x[0] * x[1]


@_computed.register(Pool)
def _pool(operation: Pool, x: Sequence[Tensor]) -> Tensor:
    dims = len(operation.kernel)
    if operation.kind == "max":
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
        padded = _padded(x[0], operation.padding, -torch.inf)
        return pool(padded, operation.kernel, operation.stride, 0, operation.dilation)
    sums = _sums(operation, _padded(x[0], operation.padding, 0.0))
    if operation.divisor or operation.count_padding or not any(map(any, operation.padding)):
        return sums / (operation.divisor or torch.Size(operation.kernel).numel())
    inside = _padded(torch.ones_like(x[0][:1, :1]), operation.padding, 0.0)
    return sums / _sums(operation, inside)


def _sums(operation: Pool, padded: Tensor) -> Tensor:
    dims = len(operation.kernel)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dims - 1]
    return pool(padded, operation.kernel, operation.stride) * torch.Size(operation.kernel).numel()


@_computed.register(ChannelPool)
def _channel_pool(operation: ChannelPool, x: Sequence[Tensor]) -> Tensor:
    return x[0].mean(1, keepdim=True) if operation.kind == "average" else x[0].amax(1, keepdim=True)


@_computed.register(LocalResponse)
def _local_response(operation: LocalResponse, x: Sequence[Tensor]) -> Tensor:
    return F.local_response_norm(x[0], operation.size, operation.alpha, operation.beta, operation.k)


@_computed.register(Resize)
def _resize(operation: Resize, x: Sequence[Tensor]) -> Tensor:
    corners = operation.align_corners if operation.kind == "bilinear" else None
    return F.interpolate(x[0], operation.size, mode=operation.kind, align_corners=corners)


@_computed.register(Concat)
def _concat(operation: Concat, x: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(x), dim=operation.axis)


@_computed.register(Upsample)
def _upsample(operation: Upsample, x: Sequence[Tensor]) -> Tensor:
    y = x[0]
    for axis, factor in enumerate(operation.factors, start=2):
        y = y.repeat_interleave(factor, dim=axis)
    return y


@_computed.register(Pad)
def _pad(operation: Pad, x: Sequence[Tensor]) -> Tensor:
    ends = [end for pair in reversed(operation.padding) for end in pair]
    return F.pad(x[0], ends, value=operation.number)


@_computed.register(Slice)
def _slice(operation: Slice, x: Sequence[Tensor]) -> Tensor:
    index = slice(operation.start, operation.stop, operation.step)
    return x[0][(*(slice(None),) * operation.axis, index)]


@_computed.register(Reshape)
def _reshape(operation: Reshape, x: Sequence[Tensor]) -> Tensor:
    return x[0].reshape(operation.shape)


@_computed.register(Permute)
def _permute(operation: Permute, x: Sequence[Tensor]) -> Tensor:
    return x[0].permute(operation.axes)


@_computed.register(Shuffle)
def _shuffle(operation: Shuffle, x: Sequence[Tensor]) -> Tensor:
    n, channels, *size = x[0].shape
    return x[0].reshape(n, operation.groups, channels // operation.groups, *size).transpose(1, 2).reshape(x[0].shape)


@_computed.register(Gather)
def _gather(operation: Gather, x: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(x), 1)[:, list(operation.channels)]


_ONE_NUMBER = {
    "relu": F.relu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "selu": F.selu,
    "softplus": F.softplus,
    "mish": F.mish,
    "clamp": torch.clamp,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
}


def activated(activation: Activation | None, x: Tensor) -> Tensor:
    """Apply an activation, or none."""
    return x if activation is None else _ONE_NUMBER[activation.kind](x, *activation.numbers)


def per_channel(vector: Tensor, rank: int) -> Tensor:
    """Give (C,) a shape that broadcasts over (N, C, ...) of that rank."""
    return vector.view(-1, *(1,) * (rank - 2))


def _padded(x: Tensor, padding: Pairs, number: float) -> Tensor:
    ends = [end for pair in reversed(padding) for end in pair]
    return F.pad(x, ends, value=number) if any(ends) else x
