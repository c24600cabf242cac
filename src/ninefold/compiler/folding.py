"""Rules that compute with constants once: weight expressions, batch norm, factors and summands per channel."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Final

import torch

from ninefold.compiler.graph import Node
from ninefold.compiler.operations import Add, BatchNorm, Conv, Dense, Multiply, Pool, Scale, Torch, activation_of
from ninefold.compiler.run import compute

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.compiler.draft import Draft, Result


def constants(draft: Draft, node: Node) -> Result:
    """Compute what depends on constants only."""
    operands = draft.constants(node.inputs)
    if operands is None or _is_random(node) or not all(node.outputs):
        return None
    draft.become_constants(node, compute(node.operation, operands))
    return []


def _is_random(node: Node) -> bool:
    return isinstance(node.operation, Torch) and torch.Tag.nondeterministic_seeded in node.operation.target.tags


def batch_norm(draft: Draft, node: Node) -> Result:
    """Make batch norm a scale: weight / sqrt(variance + epsilon), bias - mean * scale."""
    operation, known = node.operation, draft.constants(node.inputs[1:])
    if not isinstance(operation, BatchNorm) or known is None:
        return None
    weight, bias, mean, variance = (vector.double() for vector in known)
    scale = weight / torch.sqrt(variance + operation.epsilon)
    return [_scale(draft, node, node.inputs[0], (scale, bias - mean * scale), Scale())]


def per_channel_constant(draft: Draft, node: Node) -> Result:
    """Make a product with, or a sum of, one constant per channel a scale."""
    operation = node.operation
    if not isinstance(operation, Multiply | Add):
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        known, shape = draft.constants([other]), draft.shape(node.outputs[0])
        vector = _per_channel(known[0], shape) if known and draft.shape(x) == shape else None
        if vector is not None:
            pair = (
                (vector, torch.zeros_like(vector))
                if isinstance(operation, Multiply)
                else (torch.ones_like(vector), vector)
            )
            return [_scale(draft, node, x, pair, Scale(activation_of(operation)))]
    return None


def _per_channel(constant: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Give (C,) for a constant that broadcasts along every axis but axis 1; None for another."""
    if len(shape) < 2 or constant.dim() > len(shape):
        return None
    full = constant.reshape((1,) * (len(shape) - constant.dim()) + tuple(constant.shape))
    if full.numel() not in (1, full.shape[1]):
        return None
    return full.flatten().expand(shape[1]).double()


def scale_of_scale(draft: Draft, node: Node) -> Result:
    """Make two scales one: (x * a + b) * c + d = x * (a * c) + (b * c + d)."""
    found = draft.only(node.inputs[0], Scale) if isinstance(node.operation, Scale) else None
    if found is None or found[1].activation:
        return None
    inner = found[0]
    a, b, c, d = (vector.double() for vector in draft.constants([*inner.inputs[1:], *node.inputs[1:]]) or ())
    return [_scale(draft, node, inner.inputs[0], (a * c, b * c + d), node.operation)]


def scale_after_layer(draft: Draft, node: Node) -> Result:
    """Fold a scale into the convolution or dense layer before it: rows of the weight are scaled, the bias is too."""
    operation = node.operation
    found = _layer(draft, node.inputs[0]) if isinstance(operation, Scale) else None
    if found is None:
        return None
    layer, weight, bias = found
    scale, shift = (vector.double() for vector in draft.constants(node.inputs[1:]) or ())
    transposed = isinstance(layer.operation, Conv) and layer.operation.spec.transposed
    if transposed:  # (C, O / groups, *kernel): output channel g * n + i is column i of the rows of group g
        groups = layer.operation.spec.groups
        of_row = scale.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1).reshape(weight.shape[:2])
        new = weight.double() * of_row.view(*of_row.shape, *(1,) * (weight.dim() - 2))
    else:
        new = weight.double() * scale.view(-1, *(1,) * (weight.dim() - 1))
    shifted = shift if bias is None else bias.double() * scale + shift
    return [_layer_with(draft, layer, (new, shifted), node.outputs, operation)]


def scale_before_layer(draft: Draft, node: Node) -> Result:
    """Fold a scale into the convolution or dense layer after it; a shift only where no padding would be shifted too."""
    found = draft.only(node.inputs[0], Scale) if isinstance(node.operation, Conv | Dense) else None
    known = draft.constants(node.inputs[1 : 2 + node.operation.bias]) if found else None
    if found is None or known is None or found[1].activation or not _is_flat_dense(draft, node):
        return None
    scale, shift = (vector.double() for vector in draft.constants(found[0].inputs[1:]) or ())
    if shift.any() and _sees_padding(node):
        return None
    weight = known[0].double()
    of_weight = _input_channels(node, scale, weight)
    sums = (weight * _input_channels(node, shift, weight)).flatten(1).sum(1) if shift.any() else 0.0
    bias = known[1].double() + sums if node.operation.bias else sums
    return [_rescaled(draft, node, found[0].inputs[0], weight * of_weight, bias)]


def _rescaled(draft: Draft, node: Node, x: str, weight: Tensor, bias: Tensor | float) -> Node:
    dtype = draft.constants(node.inputs[1:2])[0].dtype
    names = [x, draft.keep(f"{node.inputs[1]} scaled", weight.to(dtype))]
    operation = node.operation
    if isinstance(bias, torch.Tensor):
        names.append(draft.keep(f"{node.outputs[0]} bias", bias.to(dtype)))
    rest = node.inputs[2 + operation.bias :]
    return Node(replace(operation, bias=isinstance(bias, torch.Tensor)), (*names, *rest), node.outputs)


def _is_flat_dense(draft: Draft, node: Node) -> bool:
    # Only with two axes is the dense layer's last axis the channel axis.
    return isinstance(node.operation, Conv) or len(draft.shape(node.inputs[0])) == 2


def _sees_padding(node: Node) -> bool:
    return isinstance(node.operation, Conv) and (
        node.operation.spec.transposed or any(map(any, node.operation.spec.padding))
    )


def _input_channels(node: Node, vector: Tensor, weight: Tensor) -> Tensor:
    """Give a vector over x's channels the shape in which it multiplies the weight."""
    operation = node.operation
    if not isinstance(operation, Conv):
        return vector
    ones, groups = (1,) * (weight.dim() - 2), operation.spec.groups
    if operation.spec.transposed:
        return vector.view(-1, 1, *ones)
    of_group = vector.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    return of_group.reshape(weight.shape[0], -1, *ones)


def scale_before_average(draft: Draft, node: Node) -> Result:
    """Scale after an average pooling, where there is less to scale, rather than before it."""
    pool = node.operation
    found = draft.only(node.inputs[0], Scale) if isinstance(pool, Pool) and pool.kind == "average" else None
    if found is None or found[1].activation:
        return None
    scale, shift = draft.constants(found[0].inputs[1:]) or ()
    if shift.any() and any(map(any, pool.padding)):
        return None
    name = draft.name(f"{node.outputs[0]} unscaled", draft.value(node.outputs[0]))
    counted = prod(pool.kernel) / pool.divisor if pool.divisor else 1.0
    pooled = Node(pool, found[0].inputs[:1], (name,))
    return [pooled, _scale(draft, node, name, (scale.double(), shift.double() * counted), Scale())]


def _layer(draft: Draft, name: str) -> tuple[Node, Tensor, Tensor | None] | None:
    """Give the layer that alone makes a value, with nothing done to its result yet, and its weight and bias."""
    found = draft.only(name, Conv) or draft.only(name, Dense)
    if found is None or found[1].activation or (isinstance(found[1], Conv) and found[1].residual):
        return None
    known = draft.constants(found[0].inputs[1:])
    if known is None or not _is_flat_dense(draft, found[0]):
        return None
    return found[0], known[0], known[1] if found[1].bias else None


def _layer_with(
    draft: Draft, layer: Node, parameters: tuple[Tensor, Tensor], outputs: tuple[str, ...], scale: Scale
) -> Node:
    dtype = draft.constants(layer.inputs[1:2])[0].dtype
    weight = draft.keep(f"{layer.inputs[1]} scaled", parameters[0].to(dtype))
    bias = draft.keep(f"{outputs[0]} bias", parameters[1].to(dtype))
    operation = replace(layer.operation, bias=True, activation=scale.activation)
    return Node(operation, (layer.inputs[0], weight, bias), outputs)


def _scale(draft: Draft, node: Node, x: str, vectors: tuple[Tensor, Tensor], scale: Scale) -> Node:
    name, dtype = node.outputs[0], draft.value(node.outputs[0]).dtype
    pair = [draft.keep(f"{name} {what}", v.to(dtype)) for what, v in zip(("scale", "shift"), vectors, strict=True)]
    return Node(scale, (x, *pair), node.outputs)


FOLDINGS: Final = (
    constants,
    batch_norm,
    per_channel_constant,
    scale_of_scale,
    scale_after_layer,
    scale_before_layer,
    scale_before_average,
)
