"""Kernels that read and write every number a time or two: pooling, sums, products, activations."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from math import prod
from typing import TYPE_CHECKING

from ninefold.compiler.asked import Asked, Choice, Layouts, epilogue_of
from ninefold.compiler.channels import order
from ninefold.compiler.operations import (
    Activation,
    Add,
    ChannelPool,
    Gather,
    LocalResponse,
    Multiply,
    Operation,
    Pool,
    Resize,
    Scale,
    Shuffle,
    Slice,
    Upsample,
)
from ninefold.kernels.llvm import response
from ninefold.kernels.llvm.elementwise import Elementwise
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.gather import Gather as GatherKernel
from ninefold.kernels.llvm.pooling import ChannelPool as ChannelPoolKernel
from ninefold.kernels.llvm.pooling import GlobalAverage
from ninefold.kernels.llvm.pooling import Pool as PoolKernel
from ninefold.kernels.llvm.resize import Resize as ResizeKernel
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.kernels.llvm.elementwise import Factor
    from ninefold.kernels.llvm.kernel import Kernel


@singledispatch
def light(operation: Operation, asked: Asked) -> Choice | str:  # noqa: ARG001  # the signature of all below
    """Give the kernel for an operation, or a sentence that says why there is none."""
    return f"no kernel computes {operation}"


@light.register(Pool)
def _pool(operation: Pool, asked: Asked) -> Choice | str:
    maps = asked.maps
    if len(asked.x_shape) != 4:
        return f"kernels work on 2 spatial axes, and x has the shape {asked.x_shape}"
    is_global = operation.kernel == maps[2:] and not any(map(any, operation.padding)) and not operation.divisor
    if is_global and operation.kind == "average":
        return _light(lambda at: GlobalAverage(at["x"], at["y"]), "global average", asked)
    axes = zip(operation.padding, operation.kernel, operation.dilation, strict=True)
    if any(max(pair) > d * (k - 1) for pair, k, d in axes):
        return "a window meets padding only"
    spec = ConvSpec.of(
        maps,
        (maps[1], 1, *operation.kernel),
        stride=operation.stride,
        padding=operation.padding,
        dilation=operation.dilation,
        groups=maps[1],
    )
    ends = (operation.count_padding, operation.divisor)
    return _light(lambda at: PoolKernel(operation.kind, spec, at["x"], at["y"], *ends), f"{operation.kind} pool", asked)


@light.register(ChannelPool)
def _channel_pool(operation: ChannelPool, asked: Asked) -> Choice | str:
    return _light(lambda at: ChannelPoolKernel(operation.kind, at["x"], at["y"]), "channel pool", asked)


@light.register(LocalResponse)
def _local_response(operation: LocalResponse, asked: Asked) -> Choice | str:
    size, alpha, beta, k = operation.size, operation.alpha, operation.beta, operation.k
    if reason := response.why_not(size, beta, asked.rules.target.lanes):
        return reason
    if k <= 0:
        return f"kernels divide by no less than k > 0, and k={k:g} came"
    made = response.LocalResponse
    return _light(lambda at: made(at["x"], at["y"], size, alpha, beta, k), "local response", asked)


@light.register(Resize | Upsample)
def _resize(operation: Resize | Upsample, asked: Asked) -> Choice | str:
    kind, corners = (operation.kind, operation.align_corners) if isinstance(operation, Resize) else ("nearest", False)
    if len(asked.x_shape) != 4:
        return f"kernels work on 2 spatial axes, and x has the shape {asked.x_shape}"
    return _light(lambda at: ResizeKernel(kind, at["x"], at["y"], corners), "resize", asked)


@light.register(Scale)
def _scale(operation: Scale, asked: Asked) -> Choice | str:
    x, scale, shift = asked.node.inputs
    epilogue = epilogue_of(operation.activation, bias=True, residual=False)
    if not asked.are_constants((scale, shift)):
        return "its factors are computed by the network"
    chosen = _light(lambda at: Elementwise(at["x"], at["y"], epilogue, "weight"), "elementwise", asked)
    return replace(chosen, x=x, weight=scale, bias=shift)


@light.register(Activation)
def _activation(operation: Activation, asked: Asked) -> Choice | str:
    epilogue = epilogue_of(operation, bias=False, residual=False)
    return _light(lambda at: Elementwise(at["x"], at["y"], epilogue), "elementwise", asked)


@light.register(Add)
def _add(operation: Add, asked: Asked) -> Choice | str:
    return _of_two(epilogue_of(operation.activation, bias=False, residual=True), "none", asked)


@light.register(Multiply)
def _multiply(operation: Multiply, asked: Asked) -> Choice | str:  # noqa: ARG001
    return _of_two(Epilogue(), "gate", asked)


@light.register(Gather | Shuffle | Slice)
def _gather(operation: Gather | Shuffle | Slice, asked: Asked) -> Choice | str:
    x, *other = asked.node.inputs
    channels = order(operation, sum(asked.graph.shape(name)[1] for name in asked.node.inputs))
    if not channels or len(asked.x_shape) != 4:
        return "kernels take slices of maps along the channels only"

    def make(at: Layouts) -> Kernel:
        return GatherKernel(at["x"], at["y"], channels, residual=at.get("residual"))

    return replace(_light(make, "gather", asked), x=x, residual=other[0] if other else "")


def _of_two(epilogue: Epilogue, factor: Factor, asked: Asked) -> Choice | str:
    """Give the kernel that reads two values, of which either may be spread over the other's channels or places."""
    (output,), shapes = asked.node.outputs, [asked.graph.shape(name) for name in asked.node.inputs]
    if len({len(shape) for shape in (*shapes, asked.graph.shape(output))}) > 1:
        return f"kernels join maps of as many axes, and these have the shapes {shapes[0]} and {shapes[1]}"
    x, other = sorted(asked.node.inputs, key=lambda name: -prod(asked.graph.shape(name)))

    def make(at: Layouts) -> Kernel:
        return Elementwise(at["x"], at["y"], epilogue, factor, at["residual"])

    return replace(_light(make, "elementwise", asked), x=x, residual=other)


def _light(make: Callable[[Layouts], Kernel], why: str, asked: Asked) -> Choice:
    return Choice(make, why, asked.node.inputs[0], is_heavy=False)
