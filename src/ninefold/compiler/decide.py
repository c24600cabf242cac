"""What becomes of every node of a graph: a kernel, another name for its maps, a place in others' maps, or torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

import torch

from ninefold.compiler.choice import Choice, choose, is_known
from ninefold.compiler.graph import Graph, Node
from ninefold.compiler.operations import Concat, Conv, Dense, Pad, Reshape, Torch, activation_of
from ninefold.kernels.llvm.kernel import NO_BORDER

if TYPE_CHECKING:
    from ninefold.compiler.choice import Rules
    from ninefold.kernels.llvm.kernel import Border


@dataclass(frozen=True, slots=True)
class Renamed:
    """The node's result is its input's maps under another name."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The node's result is its inputs' maps one behind the other, and zeros behind the last if it has more channels."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """The node is left to torch."""

    reason: str


Decision = Choice | Renamed | Joined | Left


@dataclass(slots=True)
class Decisions:
    """What was decided, node by node.

    Args:
        graph: whose nodes these are.
        rules: what decided.
        of: one decision per node, in order.
        native: values that kernels compute: they lie in blocks.
        roots: of values that are other names, the value whose maps they are.
        borders: zeros that have to lie around a value's maps.
        filled: joined values with zeros behind their last part.
    """

    graph: Graph
    rules: Rules
    of: list[Decision] = field(default_factory=list)
    native: set[str] = field(default_factory=set)
    roots: dict[str, str] = field(default_factory=dict)
    borders: dict[str, Border] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)

    def root(self, name: str) -> str:
        """Give the value whose maps a value is: most are their own."""
        return self.roots.get(name, name)

    def maps(self, name: str) -> tuple[int, int, int]:
        """Give (C, H, W) of a value's maps."""
        _, channels, height, width = (*self.graph.shape(self.root(name)), 1, 1)[:4]
        return channels, height, width

    def border(self, name: str) -> Border:
        """Give the zeros around a value's maps."""
        return self.borders.get(self.root(name), NO_BORDER)

    def widen(self, name: str, border: Border) -> None:
        """See to it that at least so many zeros lie around a value's maps."""
        above, below, left, right = map(max, self.border(name), border)
        self.borders[self.root(name)] = (above, below, left, right)


def decide(graph: Graph, rules: Rules) -> Decisions:
    """Decide for every node of a graph whose activations kernels know: see `unfused`."""
    decisions = Decisions(graph, rules)
    for node in graph.nodes:
        decision = _decided(decisions, node)
        decisions.of.append(decision)
        if isinstance(decision, Renamed):
            decisions.roots[node.outputs[0]] = decisions.root(node.inputs[0])
        elif not isinstance(decision, Left):
            decisions.native.add(node.outputs[0])
        if isinstance(node.operation, Pad) and isinstance(decision, Joined):
            decisions.filled.add(node.outputs[0])
        if isinstance(decision, Choice):
            decisions.widen(decision.x, decision.border)
    return decisions


def unfused(graph: Graph) -> Graph:
    """Take out of layers the activations that kernels do not know."""
    nodes, values = [], dict(graph.values)
    for node in graph.nodes:
        activation = activation_of(node.operation)
        if is_known(activation):
            nodes.append(node)
            continue
        name = f"{node.outputs[0]} before {activation}"
        values[name] = values[node.outputs[0]]
        nodes.append(Node(replace(node.operation, activation=None), node.inputs, (name,)))
        nodes.append(Node(activation, (name,), node.outputs))
    return replace(graph, nodes=tuple(nodes), values=values)


def homes(decisions: Decisions) -> dict[str, tuple[str, int]]:
    """Give the values that are computed right where they are joined: their joined value, and channels before them.

    A value has one home at most: one that is joined again is copied. So is one with zeros behind its last part, which
    need memory that nobody else writes.
    """
    found: dict[str, tuple[str, int]] = {}
    for node, decision in zip(decisions.graph.nodes, decisions.of, strict=True):
        if not isinstance(decision, Joined):
            continue
        before, twice = 0, Counter(map(decisions.root, decision.parts))
        for part in map(decisions.root, decision.parts):
            if part not in found and twice[part] == 1 and part not in decisions.filled:
                found[part] = (node.outputs[0], before)
            before += decisions.maps(part)[0]
    for part, (joined, _) in found.items():
        decisions.widen(joined, decisions.border(part))
    return found


def _decided(decisions: Decisions, node: Node) -> Decision:
    operation = node.operation
    if isinstance(operation, Torch):
        return Left(operation.reason)
    if reason := _odd(decisions.graph, node):
        return Left(reason)
    if isinstance(operation, Reshape):
        return _reshape(decisions, node)
    if isinstance(operation, Concat):
        return _concat(decisions, node, operation)
    if isinstance(operation, Pad):
        return _pad(decisions, node, operation)
    x = node.inputs[0]
    root = decisions.root(x)
    shape = decisions.graph.shape(root if isinstance(operation, Dense) else x)
    choice = choose(node, decisions.graph, shape, root not in decisions.native, decisions.rules)
    if isinstance(choice, str):
        return Left(choice)
    return _reachable(decisions, choice, looks_through=isinstance(operation, Dense))


def _odd(graph: Graph, node: Node) -> str:
    """Say what is odd about a node's values; "" if they all are maps or rows of numbers that kernels know."""
    computed = [name for name in (*node.inputs, *node.outputs) if name not in graph.constants]
    for name in computed:
        if not name or graph.values[name].dtype != torch.float32:
            return "kernels compute with float32 only"
        if graph.shape(name)[:1] != (graph.pictures,):
            return "its first axis is not the batch"
    weights = isinstance(node.operation, Conv | Dense)
    shapes = [graph.shape(name) for name in (computed if not weights else node.outputs)]
    if any(len(shape) not in (2, 4) and not isinstance(node.operation, Reshape) for shape in shapes):
        return "kernels work on maps (N, C, H, W) and rows (N, C)"
    return ""


def _reachable(decisions: Decisions, choice: Choice, *, looks_through: bool) -> Decision:
    names = [name for name in (choice.x, choice.residual) if name]
    if any(name in decisions.graph.constants for name in names):
        return Left("it reads a constant where kernels read maps")
    if not choice.is_heavy and any(decisions.root(name) not in decisions.native for name in names):
        return Left("its input is in torch already, and it is not worth a change of layout")
    flat = [name for name in names if decisions.root(name) != name and decisions.maps(name)[1:] != (1, 1)]
    if flat and not looks_through:
        return Left(f"it reads {flat[0]}, whose maps were reshaped")
    return choice


def _reshape(decisions: Decisions, node: Node) -> Decision:
    root = decisions.root(node.inputs[0])
    if root not in decisions.native:
        return Left("its input is in torch already")
    pictures, *maps = decisions.graph.shape(root)
    shape = decisions.graph.shape(node.outputs[0])
    is_row = shape == (pictures, prod(maps))
    is_pixel = len(shape) == 4 and shape == (pictures, prod(maps), 1, 1) and prod(maps[1:]) == 1
    return Renamed() if is_row or is_pixel else Left("kernels know no such change of shape")


def _concat(decisions: Decisions, node: Node, concat: Concat) -> Decision:
    lanes = decisions.rules.target.lanes
    if concat.axis != 1 or len(decisions.graph.shape(node.outputs[0])) != 4:
        return Left("kernels put maps together along the channels only")
    if any(name not in decisions.native for name in node.inputs):
        return Left("some of its inputs are in torch already")
    if any(decisions.maps(name)[0] % lanes for name in node.inputs[:-1]):
        return Left(f"its inputs are no multiples of {lanes} channels")
    return Joined(node.inputs)


def _pad(decisions: Decisions, node: Node, pad: Pad) -> Decision:
    behind = pad.padding[1][1] if len(pad.padding) == 4 else 0
    only_channels = pad.padding == ((0, 0), (0, behind), (0, 0), (0, 0)) and not pad.number
    if not only_channels or node.inputs[0] not in decisions.native:
        return Left("kernels add zeros behind the last channel of maps only")
    return Joined(node.inputs)
