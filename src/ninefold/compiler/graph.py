"""A network as a value: nodes in the order in which they run, and the constants that they read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from ninefold.compiler.operations import Operation


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a tensor before it is computed."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, the values it reads and the values it gives.

    Args:
        operation: what is computed.
        inputs: names of what is read, in the operation's order.
        outputs: names of what is given; "" for a result of a torch operator that is no tensor.
    """

    operation: Operation
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A network for one shape of its input.

    Args:
        inputs: names of what it is called with, in order; "" for an argument that is no tensor.
        nodes: every one reads inputs, constants and what nodes before it give.
        outputs: what it returns, in order: names of values, or what is no tensor, as it is.
        values: shape and dtype of every value.
        constants: parameters, buffers and what was computed from them.
        structure: how torch's pytrees put the outputs back into what the model returns.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    values: Mapping[str, Value]
    constants: dict[str, Tensor] = field(repr=False)
    structure: Any = field(repr=False)

    @cached_property
    def uses(self) -> Counter[str]:
        """Count how often each value is read, being an output counted too."""
        read = Counter(name for node in self.nodes for name in node.inputs)
        read.update(output.name for output in self.outputs if output.name)
        return read

    @property
    def pictures(self) -> int:
        """Give the length of the first axis of the first tensor among the inputs."""
        return self.shape(next(name for name in self.inputs if name))[0]

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of a value."""
        return self.values[name].shape

    def __str__(self) -> str:
        """Give one line per node: what it gives, what it computes, what it reads."""
        rows = [
            (", ".join(node.outputs), str(node.operation), str(self._sizes(node)), " ".join(node.inputs))
            for node in self.nodes
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = [
            "  ".join([*(word.ljust(width) for word, width in zip(row, widths, strict=False)), row[3]]) for row in rows
        ]
        heads = (f"inputs   {', '.join(self.inputs)}", f"outputs  {', '.join(map(str, self.outputs))}")
        return "\n".join([heads[0], *lines, heads[1]])

    def _sizes(self, node: Node) -> str:
        return ", ".join("x".join(map(str, self.shape(name))) for name in node.outputs if name)


@dataclass(frozen=True, slots=True)
class Output:
    """One leaf of what a network returns: a value by its name or, where the name is "", the thing itself."""

    name: str
    thing: Any = None

    def __str__(self) -> str:
        """Give the name, or the thing."""
        return self.name or repr(self.thing)
