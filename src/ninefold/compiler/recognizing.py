"""Rules that see one operation in several nodes, or none at all in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from ninefold.compiler.graph import Node
from ninefold.compiler.operations import (
    RELU6,
    Activation,
    Add,
    Concat,
    LocalResponse,
    Multiply,
    Pad,
    Permute,
    Pool,
    Reshape,
    Scale,
    Shuffle,
    Slice,
    Torch,
    Upsample,
    activation_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.compiler.draft import Draft, Result

_EXPANSIONS: Final = (torch.ops.aten.expand.default, torch.ops.aten.expand_as.default)
_TWICE_IS_ONCE: Final = ("relu", "clamp")


def nothing(draft: Draft, node: Node) -> Result:
    """Leave out what gives its input back, unless that is the caller's own tensor and is returned."""
    x = node.inputs[0] if len(node.inputs) == 1 or isinstance(node.operation, Scale) else None
    if x is None or not _does_nothing(draft, node) or (draft.giver(x) is None and draft.is_returned(node.outputs[0])):
        return None
    return x


def _does_nothing(draft: Draft, node: Node) -> bool:
    operation, shape = node.operation, draft.shape(node.inputs[0])
    if isinstance(operation, Reshape | Slice):
        return draft.shape(node.outputs[0]) == shape
    if isinstance(operation, Permute):
        return operation.axes == tuple(range(len(operation.axes)))
    if isinstance(operation, Pool):
        ones = {*operation.kernel, *operation.stride} == {1} and operation.divisor in (0, 1)
        return ones and not any(map(any, operation.padding))
    if isinstance(operation, Pad):
        return not any(map(any, operation.padding))
    if isinstance(operation, Upsample):
        return set(operation.factors) == {1}
    if isinstance(operation, Activation):
        giver = draft.giver(node.inputs[0])
        return (
            giver is not None
            and operation.kind in _TWICE_IS_ONCE
            and operation in (giver.operation, activation_of(giver.operation))
        )
    return isinstance(operation, Concat) or _is_scale(draft, node, 1.0, 0.0)


def _is_scale(draft: Draft, node: Node | None, factor: float, summand: float) -> bool:
    """Say whether a node scales all channels by that factor and summand, with no activation."""
    if node is None or not isinstance(node.operation, Scale) or node.operation.activation:
        return False
    return _all_are(draft.constants(node.inputs[1:]), factor, summand)


def _all_are(vectors: list[Tensor] | None, factor: float, summand: float) -> bool:
    if vectors is None:
        return False
    scale, shift = vectors
    return bool(((scale - factor).abs() < 1e-7).all() and ((shift - summand).abs() < 1e-7).all())


def reshape_of_reshape(draft: Draft, node: Node) -> Result:
    """Reshape once."""
    found = draft.only(node.inputs[0], Reshape) if isinstance(node.operation, Reshape) else None
    return None if found is None else [Node(node.operation, found[0].inputs, node.outputs)]


def permute_of_permute(draft: Draft, node: Node) -> Result:
    """Permute once."""
    found = draft.only(node.inputs[0], Permute) if isinstance(node.operation, Permute) else None
    if found is None or not isinstance(node.operation, Permute):
        return None
    axes = tuple(found[1].axes[axis] for axis in node.operation.axes)
    return [Node(Permute(axes), found[0].inputs, node.outputs)]


def shuffle(draft: Draft, node: Node) -> Result:
    """See a channel shuffle where channels are cut into groups, axes 1 and 2 exchanged, and all is put back."""
    permuted = draft.only(node.inputs[0], Permute) if isinstance(node.operation, Reshape) else None
    cut = draft.only(permuted[0].inputs[0], Reshape) if permuted else None
    if permuted is None or cut is None:
        return None
    shape, parts = draft.shape(cut[0].inputs[0]), cut[1].shape
    exchanged = permuted[1].axes == (0, 2, 1, *range(3, len(parts)))
    if not exchanged or draft.shape(node.outputs[0]) != shape or (parts[0], *parts[3:]) != (shape[0], *shape[2:]):
        return None
    return [Node(Shuffle(parts[1]), cut[0].inputs, node.outputs)]


def subsampling(draft: Draft, node: Node) -> Result:
    """See a pooling of one pixel where every n-th row or column is taken."""
    cut = node.operation
    if not isinstance(cut, Slice) or cut.start or cut.step == 1 or cut.axis < 2:
        return None
    shape = draft.shape(node.inputs[0])
    if cut.stop != shape[cut.axis]:
        return None
    ones = (1,) * (len(shape) - 2)
    stride = tuple(cut.step if axis == cut.axis else 1 for axis in range(2, len(shape)))
    return [Node(Pool("max", ones, stride, ((0, 0),) * len(ones), ones), node.inputs, node.outputs)]


def subsampling_of_subsampling(draft: Draft, node: Node) -> Result:
    """Take every n-th row and column at once."""
    outer = node.operation
    found = draft.only(node.inputs[0], Pool) if isinstance(outer, Pool) and _is_subsampling(outer) else None
    if found is None or not isinstance(outer, Pool) or not _is_subsampling(found[1]):
        return None
    stride = tuple(a * b for a, b in zip(found[1].stride, outer.stride, strict=True))
    return [Node(Pool("max", outer.kernel, stride, outer.padding, outer.dilation), found[0].inputs, node.outputs)]


def _is_subsampling(pool: Pool) -> bool:
    return pool.kind == "max" and set(pool.kernel) == {1} and not any(map(any, pool.padding))


def hard_sigmoid(draft: Draft, node: Node) -> Result:
    """See hardsigmoid(x) in relu6(x + 3) / 6."""
    inner = draft.giver(node.inputs[0]) if _is_scale(draft, node, 1 / 6, 0.0) else None
    if inner is None or not _is_relu6_of_three_more(draft, inner):
        return None
    return [Node(Activation("hardsigmoid"), inner.inputs[:1], node.outputs)]


def _is_relu6_of_three_more(draft: Draft, node: Node) -> bool:
    if not isinstance(node.operation, Scale) or node.operation.activation != RELU6:
        return False
    return _all_are(draft.constants(node.inputs[1:]), 1.0, 3.0)


def spread_by_itself(draft: Draft, node: Node) -> Result:
    """Leave out a tensor's expansion where a sum or a product spreads it itself."""
    if not isinstance(node.operation, Add | Multiply):
        return None
    shorter = tuple(_expanded(draft, name) for name in node.inputs)
    shapes = [draft.shape(name) for name in shorter]
    if shorter == node.inputs or torch.broadcast_shapes(*shapes) != draft.shape(node.outputs[0]):
        return None
    return [Node(node.operation, shorter, node.outputs)]


def _expanded(draft: Draft, name: str) -> str:
    """Give what a value was before it was expanded."""
    giver = draft.giver(name)
    is_expansion = giver is not None and isinstance(giver.operation, Torch) and giver.operation.target in _EXPANSIONS
    return giver.inputs[0] if giver is not None and is_expansion else name


def gated_by_itself(draft: Draft, node: Node) -> Result:
    """See silu(x) in x * sigmoid(x), and hardswish(x) in x * hardsigmoid(x)."""
    if not isinstance(node.operation, Multiply):
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        giver = draft.giver(gate)
        if giver is None or not isinstance(giver.operation, Activation) or giver.inputs != (x,):
            continue
        kind = {"sigmoid": "silu", "hardsigmoid": "hardswish"}.get(giver.operation.kind)
        if kind is not None:
            return [Node(Activation(kind), (x,), node.outputs)]
    return None


def hard_swish(draft: Draft, node: Node) -> Result:
    """See hardswish(x) in x * relu6(x + 3) / 6, multiplied first."""
    found = draft.only(node.inputs[0], Multiply) if _is_scale(draft, node, 1 / 6, 0.0) else None
    if found is None:
        return None
    for x, gate in (found[0].inputs, found[0].inputs[::-1]):
        giver = draft.giver(gate)
        if giver is not None and giver.inputs[0] == x and _is_relu6_of_three_more(draft, giver):
            return [Node(Activation("hardswish"), (x,), node.outputs)]
    return None


def local_response(draft: Draft, node: Node) -> Result:
    """See local response normalisation in x / (k + alpha * mean of squares over neighbouring channels)^beta."""
    if not _calls(node, torch.ops.aten.div.Tensor) or len(draft.shape(node.outputs[0])) != 4 or len(node.inputs) != 2:
        return None
    x, divisor = node.inputs
    power = draft.giver(divisor)
    scale = draft.giver(power.inputs[0]) if power and _calls(power, torch.ops.aten.pow.Tensor_Scalar) else None
    known = draft.constants(scale.inputs[1:]) if scale and scale.operation == Scale() else None
    if power is None or scale is None or known is None or any((v != v[0]).any() for v in known):
        return None
    size = _mean_of_squares(draft, scale.inputs[0], x)
    alpha, k = (float(vector[0]) for vector in known)
    beta = float(power.operation.arguments[1]) if isinstance(power.operation, Torch) else 0.0
    return [Node(LocalResponse(size, alpha, beta, k), (x,), node.outputs)] if size else None


def _calls(node: Node, target: Any) -> bool:
    return isinstance(node.operation, Torch) and node.operation.target == target


def _mean_of_squares(draft: Draft, name: str, x: str) -> int:
    """Give over how many neighbouring channels a value is the mean of x's squares; 0 if it is none."""
    found: list[Node] = []
    for kind in (Reshape, Pool, Reshape, Multiply):
        giver = draft.giver(name)
        if giver is None or not isinstance(giver.operation, kind):
            return 0
        found.append(giver)
        name = giver.inputs[0]
    pool, square = found[1].operation, found[3]
    n, c, h, w = draft.shape(x)
    if square.inputs != (x, x) or draft.shape(found[1].inputs[0]) != (n, 1, c, h, w) or not isinstance(pool, Pool):
        return 0
    size = pool.kernel[0]
    wanted = Pool("average", (size, 1, 1), (1, 1, 1), ((size // 2, (size - 1) // 2), (0, 0), (0, 0)), (1, 1, 1))
    return size if pool == wanted and draft.shape(found[0].outputs[0]) == (n, c, h, w) else 0


RECOGNITIONS: Final = (
    nothing,
    reshape_of_reshape,
    permute_of_permute,
    shuffle,
    subsampling,
    subsampling_of_subsampling,
    hard_sigmoid,
    spread_by_itself,
    gated_by_itself,
    hard_swish,
    local_response,
)
