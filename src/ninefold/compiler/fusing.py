"""Rules that let a layer do what stands before or after it: padding, activation, the sum with a shortcut."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ninefold.compiler.graph import Node
from ninefold.compiler.operations import Activation, Add, Conv, Dense, Pad, Pool, Scale

if TYPE_CHECKING:
    from ninefold.compiler.draft import Draft, Result
    from ninefold.spec import Pairs


def activation_after_layer(draft: Draft, node: Node) -> Result:
    """Apply an activation where its input is made."""
    if not isinstance(node.operation, Activation):
        return None
    for kind in (Conv, Dense, Scale, Add):
        found = draft.only(node.inputs[0], kind)
        if found is not None and found[1].activation is None:
            return [Node(replace(found[1], activation=node.operation), found[0].inputs, node.outputs)]
    return None


def sum_after_conv(draft: Draft, node: Node) -> Result:
    """Add a tensor of the same shape where one of the two is made by a convolution."""
    operation = node.operation
    if not isinstance(operation, Add) or len({draft.shape(name) for name in (*node.inputs, *node.outputs)}) > 1:
        return None
    for made, other in (node.inputs, node.inputs[::-1]):
        found = draft.only(made, Conv)
        if found is not None and found[1].activation is None and not found[1].residual:
            conv = replace(found[1], residual=True, activation=operation.activation)
            return [Node(conv, (*found[0].inputs, other), node.outputs)]
    return None


def padding_before_conv(draft: Draft, node: Node) -> Result:
    """Let a convolution pad its input itself."""
    conv = node.operation
    if not isinstance(conv, Conv) or conv.spec.transposed:
        return None
    pad = _zeros_around(draft, node.inputs[0])
    if pad is None:
        return None
    x = pad.inputs[0]
    spec = replace(conv.spec, in_size=draft.shape(x)[2:], padding=_sum(conv.spec.padding, pad))
    return [Node(replace(conv, spec=spec), (x, *node.inputs[1:]), node.outputs)]


def padding_before_average(draft: Draft, node: Node) -> Result:
    """Let an average pooling that counts its padding pad its input itself."""
    pool = node.operation
    if not isinstance(pool, Pool) or pool.kind != "average" or not (pool.count_padding or pool.divisor):
        return None
    pad = _zeros_around(draft, node.inputs[0])
    return None if pad is None else [Node(replace(pool, padding=_sum(pool.padding, pad)), pad.inputs, node.outputs)]


def _zeros_around(draft: Draft, name: str) -> Node | None:
    found = draft.only(name, Pad)
    if found is None or found[1].number or any(map(any, found[1].padding[:2])):
        return None
    return found[0]


def _sum(padding: Pairs, node: Node) -> Pairs:
    pad = node.operation.padding[2:] if isinstance(node.operation, Pad) else padding
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(padding, pad, strict=True))


FUSIONS: Final = (activation_after_layer, sum_after_conv, padding_before_conv, padding_before_average)
