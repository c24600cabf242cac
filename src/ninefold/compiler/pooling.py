"""Convolutions that pool their results while they are in registers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ninefold.compiler.choice import pools
from ninefold.compiler.graph import Node
from ninefold.compiler.operations import Conv, Pool

if TYPE_CHECKING:
    from ninefold.compiler.choice import Rules
    from ninefold.compiler.graph import Graph


def pooled(graph: Graph, rules: Rules) -> Graph:
    """Let a convolution pool where nobody else reads its result, and the kernel that the rules prefer for it can."""
    givers = {node.outputs[0]: node for node in graph.nodes if isinstance(node.operation, Conv)}
    nodes: list[Node] = []
    gone: set[str] = set()
    for node in graph.nodes:
        conv = givers.get(node.inputs[0]) if isinstance(node.operation, Pool) else None
        together = _together(graph, conv, node, rules) if conv else None
        if together:
            gone.add(node.inputs[0])
        nodes.append(together or node)
    return replace(graph, nodes=tuple(node for node in nodes if node.outputs[0] not in gone))


def _together(graph: Graph, conv: Node, node: Node, rules: Rules) -> Node | None:
    layer, pool = conv.operation, node.operation
    if not isinstance(layer, Conv) or not isinstance(pool, Pool) or graph.uses[conv.outputs[0]] > 1:
        return None
    window, *others = {*pool.kernel, *pool.stride}
    is_plain = not others and set(pool.dilation) == {1} and not any(map(any, pool.padding))
    if pool.kind != "max" or not is_plain or layer.pool > 1 or not pools(layer.spec, window, rules):
        return None
    return Node(replace(layer, pool=window), conv.inputs, node.outputs)
