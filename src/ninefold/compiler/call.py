"""One call of an operator in torch's graph, as a lowering reads it, and what it may add to ours."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import torch

from ninefold.compiler.graph import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor
    from torch.fx import Node as FxNode

    from ninefold.compiler.operations import Operation


class Builder(ABC):
    """A graph that is being built: what a `Call` may ask of it. Abstract; `capture` holds the final one."""

    @abstractmethod
    def emit(self, operation: Operation, inputs: Sequence[str], name: str, value: Value) -> str:
        """Add a node with one output and give the output's name."""

    @abstractmethod
    def named(self, name: str, tensor: Tensor) -> str:
        """Keep a constant under a name and give the name."""

    @abstractmethod
    def value(self, name: str) -> Value:
        """Give what is known of a value."""

    @abstractmethod
    def is_computed(self, name: str) -> bool:
        """Say whether a node gives this value: it is neither an input nor a constant."""


@final
class Call:
    """One call of an operator, its arguments by the names of the operator's schema."""

    def __init__(self, node: FxNode, builder: Builder, names: Mapping[FxNode, Any]) -> None:
        schema = node.target._schema.arguments  # noqa: SLF001  # torch has no other door to it
        self._arguments = {a.name: a.default_value for a in schema}
        self._arguments.update(zip((a.name for a in schema), node.args, strict=False))
        self._arguments.update(node.kwargs)
        self._node, self._builder, self._names = node, builder, names

    def __getitem__(self, argument: str) -> Any:
        """Give an argument that is no tensor."""
        return self._arguments[argument]

    def get(self, argument: str, default: Any) -> Any:
        """Give an argument that not every form of the operator has."""
        return self._arguments.get(argument, default)

    @property
    def first(self) -> str:
        """Give the name of the first argument: a tensor that operators call now "self", now "input"."""
        return self.name(next(iter(self._arguments.values())))

    @property
    def dims(self) -> int:
        """Give the number of spatial axes that the operator works on: the 2 of `max_pool2d`."""
        (found,) = re.findall(r"(\d)d", str(self._node.target))
        return int(found)

    def tensor(self, argument: str) -> str:
        """Give the name of a tensor argument; "" for None."""
        return self.name(self._arguments[argument])

    def name(self, argument: FxNode | None) -> str:
        """Give the name of a value of torch's graph; "" for None."""
        return "" if argument is None else self._names[argument]

    def value(self, name: str) -> Value:
        """Give shape and dtype of a value by its name."""
        return self._builder.value(name)

    @property
    def results(self) -> list[Value]:
        """Give shape and dtype of every result."""
        given = self._node.meta["val"]
        return [Value(tuple(t.shape), t.dtype) for t in ([given] if isinstance(given, torch.Tensor) else given)]

    @property
    def result(self) -> Value:
        """Give shape and dtype of the result, or of the first of several."""
        return self.results[0]

    @property
    def is_float(self) -> bool:
        """Say whether the result is of real numbers."""
        return self.result.dtype.is_floating_point

    @property
    def is_returned(self) -> bool:
        """Say whether the model returns the result."""
        return any(user.op == "output" for user in self._node.users)

    def uses_only(self, index: int) -> bool:
        """Say whether nothing but result `index` of several is used."""
        return all(user.args[1] == index for user in self._node.users if user.users)

    def is_computed(self, name: str) -> bool:
        """Say whether a value is neither an input nor a constant."""
        return self._builder.is_computed(name)

    def constant(self, number: float, *shape: int) -> str:
        """Keep a number, or a tensor of nothing else, as a constant and give its name."""
        tensor = torch.full(shape, number, dtype=self.result.dtype)
        return self._builder.named(f"{self._node.name}.{number:g}", tensor)

    def emit(self, operation: Operation, *inputs: str, name: str = "", shape: Sequence[int] | None = None) -> str:
        """Add a node; one with a `name` of its own gives not the call's result, but what leads to it."""
        value = self.result if shape is None else Value(tuple(shape), self.result.dtype)
        full = f"{self._node.name}.{name}" if name else self._node.name
        return self._builder.emit(operation, [i for i in inputs if i], full, value)


Names = str | tuple[str, ...] | None
Lowering = Callable[[Call], Names]
