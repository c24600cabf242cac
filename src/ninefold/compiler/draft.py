"""A graph while it is being rewritten: what rules look at and what applying one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, final

from ninefold.compiler.graph import Graph, Node, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from ninefold.compiler.operations import Operation

Kind = TypeVar("Kind", bound="Operation")


@final
class Draft:
    """The nodes of a graph, who gives each value and how often it is read.

    A rule is a function `rule(draft, node)`. It gives None where it has nothing to say; the name of an older value that
    is the same as the node's; or the nodes that take the node's place, of which the last gives the node's outputs
    (none at all where it has kept the outputs as constants). Nodes that nothing reads any more go by themselves.

    Args:
        graph: where to begin; it is not changed.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._order = list(graph.nodes)
        self._values = dict(graph.values)
        self._constants = dict(graph.constants)
        self._uses = graph.uses.copy()
        self._givers = {name: node for node in graph.nodes for name in node.outputs if name}
        self._same: dict[str, str] = {}
        for node in reversed(graph.nodes):
            self._drop_unread(node)

    # What rules ask.

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of a value."""
        return self._values[name].shape

    def value(self, name: str) -> Value:
        """Give shape and dtype of a value."""
        return self._values[name]

    def giver(self, name: str) -> Node | None:
        """Give the node that computes a value; None for inputs and constants."""
        return self._givers.get(name)

    def only(self, name: str, kind: type[Kind]) -> tuple[Node, Kind] | None:
        """Give the node that computes a value with its operation, if it is of that kind and the value is read once."""
        node = self._givers.get(name)
        if node is None or self._uses[name] != 1 or not isinstance(node.operation, kind):
            return None
        return node, node.operation

    def constants(self, names: Iterable[str]) -> list[Tensor] | None:
        """Give the constants of these names, or None when one of them is no constant."""
        names = list(names)
        return [self._constants[name] for name in names] if all(name in self._constants for name in names) else None

    def is_returned(self, name: str) -> bool:
        """Say whether a value is an output of the graph."""
        return any(self._resolved(output.name) == name for output in self._graph.outputs)

    # What rules do.

    def keep(self, name: str, tensor: Tensor) -> str:
        """Keep a constant under a new name that begins with `name`, and give that name."""
        return self.name(name, Value(tuple(tensor.shape), tensor.dtype), tensor)

    def name(self, wish: str, value: Value, tensor: Tensor | None = None) -> str:
        """Give a name that no value has yet: `wish`, with a number where it is taken."""
        new, count = wish, 2
        while new in self._values:
            new, count = f"{wish}.{count}", count + 1
        self._values[new] = value
        if tensor is not None:
            self._constants[new] = tensor
        return new

    def become_constants(self, node: Node, tensors: Sequence[Tensor]) -> None:
        """Keep the outputs of a node as constants, under their own names."""
        self._constants.update(zip(node.outputs, tensors, strict=True))
        for name in node.outputs:
            del self._givers[name]

    def sweep(self, rules: Sequence[Rule]) -> bool:
        """Try all rules on all nodes once, in order; say whether one applied."""
        changed, nodes, self._order = False, self._order, []
        for old in nodes:
            if self._is_gone(old):
                continue
            node = replace(old, inputs=tuple(map(self._resolved, old.inputs)))
            self._give(node)
            result = next((r for rule in rules if (r := rule(self, node)) is not None), None)
            changed |= result is not None
            self._apply(node, result)
        return changed

    def graph(self) -> Graph:
        """Give the graph as it stands."""
        nodes = [replace(n, inputs=tuple(map(self._resolved, n.inputs))) for n in self._order if not self._is_gone(n)]
        outputs = tuple(replace(output, name=self._resolved(output.name)) for output in self._graph.outputs)
        known = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        known |= {output.name for output in outputs} | set(self._graph.inputs)
        return replace(
            self._graph,
            nodes=tuple(nodes),
            outputs=outputs,
            values={name: value for name, value in self._values.items() if name in known},
            constants={name: tensor for name, tensor in self._constants.items() if name in known},
        )

    def _apply(self, node: Node, result: Result) -> None:
        if result is None:
            self._order.append(node)
        elif isinstance(result, str):
            (name,) = node.outputs
            self._same[name] = result
            self._uses[result] += self._uses.pop(name, 0)
            self._drop_unread(node)
        else:
            self._order += result
            for new in result:
                self._uses.update(new.inputs)
                self._give(new)
            self._unread(node.inputs)

    def _give(self, node: Node) -> None:
        self._givers.update((name, node) for name in node.outputs if name)

    def _is_gone(self, node: Node) -> bool:
        return not any(name in self._givers for name in node.outputs)

    def _drop_unread(self, node: Node) -> None:
        if any(self._uses[name] for name in node.outputs if name):
            return
        for name in node.outputs:
            self._givers.pop(name, None)
        self._unread(node.inputs)

    def _unread(self, names: Sequence[str]) -> None:
        self._uses.subtract(names)
        for name in set(names):
            giver = self._givers.get(name)
            if giver is not None and not self._uses[name]:
                self._drop_unread(giver)

    def _resolved(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name


Result = str | list[Node] | None
Rule = Callable[[Draft, Node], Result]
