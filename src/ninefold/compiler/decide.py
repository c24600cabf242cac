"""What becomes of every node of a graph: a kernel, another name for its maps, a place in others' maps, or torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import torch

from ninefold.compiler.channels import order
from ninefold.compiler.choice import Choice, choose
from ninefold.compiler.operations import Concat, Conv, Dense, Gather, Pad, Reshape, Shuffle, Slice, Torch
from ninefold.kernels.llvm.kernel import NO_BORDER

if TYPE_CHECKING:
    from ninefold.compiler.choice import Rules
    from ninefold.compiler.graph import Graph, Node
    from ninefold.kernels.llvm.kernel import Border


@dataclass(frozen=True, slots=True)
class Renamed:
    """The node's result is its input's maps under another name."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The node's result is its inputs' maps one behind the other, with zeros around and behind where it is larger."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """The node's result is a part of its input's maps.

    Args:
        before: channels of the input before it.
    """

    before: int


@dataclass(frozen=True, slots=True)
class Left:
    """The node is left to torch."""

    reason: str


Decision = Choice | Renamed | Joined | Cut | Left


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
        filled: joined values with zeros behind their last part, or around it.
        frames: rows of zeros above and columns before the part of such a value.
        cuts: values that are parts of others' maps: whose, and channels before them.
    """

    graph: Graph
    rules: Rules
    of: list[Decision] = field(default_factory=list)
    native: set[str] = field(default_factory=set)
    roots: dict[str, str] = field(default_factory=dict)
    borders: dict[str, Border] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    frames: dict[str, tuple[int, int]] = field(default_factory=dict)
    cuts: dict[str, tuple[str, int]] = field(default_factory=dict)

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
    """Decide for every node of a graph."""
    decisions = Decisions(graph, rules)
    for node in graph.nodes:
        decision = _decided(decisions, node)
        decisions.of.append(decision)
        if isinstance(decision, Renamed):
            decisions.roots[node.outputs[0]] = decisions.root(node.inputs[0])
        elif not isinstance(decision, Left):
            decisions.native.add(node.outputs[0])
        if isinstance(node.operation, Pad) and isinstance(decision, Joined):
            (top, _), (left, _) = node.operation.padding[2:]
            decisions.filled.add(node.outputs[0])
            decisions.frames[node.outputs[0]] = (top, left)
        if isinstance(decision, Cut):
            decisions.cuts[node.outputs[0]] = (decisions.root(node.inputs[0]), decision.before)
        for choice in (decision, *decision.further) if isinstance(decision, Choice) else ():
            decisions.widen(choice.x, choice.border)
            for other in choice.others if rules.max_weight_bytes is not None else ():  # any may have to be taken
                decisions.widen(choice.x, other.border)
    return decisions


def homes(decisions: Decisions) -> dict[str, tuple[str, int]]:
    """Give the values that lie inside others: in which one, and channels before them.

    Cuts do; and so do values that are computed right where they are joined. A value has one home at most: one that is
    joined again is copied. So is one with zeros behind its last part, which need memory that nobody else writes, one
    that begins within a block, and one that ends within a block and is read again when what follows lies there.
    """
    found = dict(decisions.cuts)
    lanes, last = decisions.rules.target.lanes, _last_reads(decisions)
    for i, (node, decision) in enumerate(zip(decisions.graph.nodes, decisions.of, strict=True)):
        if not isinstance(decision, Joined):
            continue
        before, twice = 0, Counter(map(decisions.root, decision.parts))
        for part in map(decisions.root, decision.parts):
            channels = decisions.maps(part)[0]
            is_end = before + channels == decisions.maps(node.outputs[0])[0]
            stays_whole = is_end or channels % lanes == 0 or last[part] == i
            is_free = part not in found and twice[part] == 1 and part not in decisions.filled
            if is_free and before % lanes == 0 and stays_whole:
                found[part] = (node.outputs[0], before)
            before += channels
    borders: dict[str, Border] = {}
    while borders != decisions.borders:  # what lies in one another has one border
        borders = dict(decisions.borders)
        for part, (whole, _) in found.items():
            decisions.widen(whole, decisions.border(part))
    return found


def _last_reads(decisions: Decisions) -> dict[str, int]:
    """Give for every value the number of the last node that reads its maps, by whatever name."""
    graph, when = decisions.graph, _when_computed(decisions.graph)
    last: dict[str, int] = {}
    returned = [(len(when), output.name) for output in graph.outputs]
    for i, name in [*((i, name) for i, node in zip(when, graph.nodes, strict=True) for name in node.inputs), *returned]:
        read = decisions.root(name)
        last[read] = max(i, last.get(read, 0))
        while read in decisions.cuts:
            read, _ = decisions.cuts[read]
            last[read] = max(i, last.get(read, 0))
    return last


def _when_computed(graph: Graph) -> list[int]:
    """Give for every node the number of the node with which it is computed at the latest.

    A convolution may wait for those that read its result, to be one kernel with them.
    """
    when = list(range(len(graph.nodes)))
    latest: dict[str, int] = {}
    for i, node in reversed(list(enumerate(graph.nodes))):
        if isinstance(node.operation, Conv):
            when[i] = max(i, *(latest.get(name, i) for name in node.outputs))
            latest.update((name, max(when[i], latest.get(name, 0))) for name in node.inputs)
    return when


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
    if isinstance(operation, Gather | Shuffle | Slice) and (cut := _cut(decisions, node)):
        return cut
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
    largest = max(names, key=lambda name: prod(decisions.graph.shape(name)))
    if not choice.is_heavy and decisions.root(largest) not in decisions.native:
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


def _cut(decisions: Decisions, node: Node) -> Cut | None:
    """Give the part of the input's maps that a result is, if it is one: whole blocks, or all behind a block's end."""
    x = node.inputs[0]
    is_map = len(decisions.graph.shape(x)) == 4 and x in decisions.native
    channels = order(node.operation, decisions.graph.shape(x)[1]) if is_map and len(node.inputs) == 1 else None
    if not channels or channels != tuple(range(channels[0], channels[-1] + 1)):
        return None
    lanes, is_end = decisions.rules.target.lanes, channels[-1] + 1 == decisions.graph.shape(x)[1]
    is_whole = channels[0] % lanes == 0 and (is_end or len(channels) % lanes == 0)
    return Cut(channels[0]) if is_whole else None


def _concat(decisions: Decisions, node: Node, concat: Concat) -> Decision:
    if concat.axis != 1:
        return Left("kernels put maps together along the channels only")
    if any(decisions.root(name) not in decisions.native for name in node.inputs):
        return Left("some of its inputs are in torch already")
    if any(decisions.maps(name)[0] != decisions.graph.shape(name)[1] for name in node.inputs):
        return Left("some of its inputs are maps that were reshaped into rows")
    return Joined(node.inputs)


def _pad(decisions: Decisions, node: Node, pad: Pad) -> Decision:
    is_behind = len(pad.padding) == 4 and pad.padding[0] == (0, 0) and pad.padding[1][0] == 0 and not pad.number
    if not is_behind or node.inputs[0] not in decisions.native:
        return Left("kernels add zeros around maps and behind the last channel only")
    return Joined(node.inputs)
