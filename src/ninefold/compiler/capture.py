"""From a torch module and an example input to a graph, through torch.export."""

from __future__ import annotations

import logging
import operator
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch._ops import OpOverload  # the only place where torch keeps it
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node as FxNode
from torch.utils._pytree import tree_map_only  # the only place where torch keeps it

from ninefold.compiler.call import Builder, Call
from ninefold.compiler.graph import Graph, Node, Output, Value
from ninefold.compiler.lowering import lowering_of
from ninefold.compiler.operations import Operation, Reference, Torch
from ninefold.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn
    from torch.export import ExportedProgram

_TORCH = Path(torch.__file__).parent
_CONSTANTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def captured(model: nn.Module, inputs: Sequence[Any]) -> Graph:
    """Trace a model in evaluation mode for inputs of these shapes.

    What a model does in place comes out as what it computes: no node changes what it reads. Shapes are those of the
    example; parameters and buffers are named as the model names them, and are not copied.

    Args:
        model: in evaluation mode.
        inputs: the positional arguments of `forward`: tensors, or tuples, lists and dicts of them.

    Raises:
        InvalidInput: when the model is in training mode.
        Unsupported: when torch cannot export it; the message names the line of the model's source.

    >>> block = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()).eval()
    >>> graph = captured(block, [torch.zeros(1, 3, 6, 6)])
    >>> [str(node.operation) for node in graph.nodes], graph.shape(graph.outputs[0].name)
    (['conv 3x3', 'relu'], (1, 8, 4, 4))
    """
    if model.training:
        raise InvalidInput(
            f"{type(model).__name__} is in training mode, in which layers behave otherwise; call .eval()"
        )
    return _Builder(_exported(model, tuple(inputs))).graph()


def _exported(model: nn.Module, inputs: tuple[Any, ...]) -> ExportedProgram:
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(model, inputs, strict=False)
            return _functional(program)
    except Exception as error:  # torch raises every kind of error here, also those of the model's own code
        raise Unsupported(
            f"{type(model).__name__} cannot be captured{_place(error)}: {_sentence(error)}; "
            "change what torch names, or call the model itself"
        ) from error


def _functional(program: ExportedProgram) -> ExportedProgram:
    """Give a program in which nothing is done in place.

    Where every operator that works in place gets a tensor that nothing else reads, the operator that makes a new one
    computes the same; otherwise torch follows all views, which takes longer than the export.
    """
    in_place = [node for node in program.graph.nodes if _changes_its_input(node)]
    others = [_not_in_place(node) if _alone_reads_its_input(node) else None for node in in_place]
    if None in others:
        return program.run_decompositions({})  # no operator is taken apart
    for node, target in zip(in_place, others, strict=True):
        node.target = target
        node._rename(target.overloadpacket.__name__)  # noqa: SLF001  # a table shows it
    return program


def _changes_its_input(node: FxNode) -> bool:
    return isinstance(node.target, OpOverload) and node.target._schema.is_mutable  # noqa: SLF001  # no other door


def _alone_reads_its_input(node: FxNode) -> bool:
    changed = node.args[0]
    made = isinstance(changed, FxNode) and isinstance(changed.target, OpOverload) and len(changed.users) == 1
    returns = changed.target._schema.returns if made else ()  # noqa: SLF001
    return made and all(value.alias_info is None or value.alias_info.is_write for value in returns)


def _not_in_place(node: FxNode) -> Any:
    """Give the operator without the trailing underscore, or None."""
    namespace, name = node.target._schema.name.split("::")  # noqa: SLF001
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    return getattr(packet, node.target._overloadname, None) if name.endswith("_") else None  # noqa: SLF001


@contextmanager
def _quiet() -> Iterator[None]:
    # A failing export prints the trace and logs what it could not find; all that matters is in the exception.
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _place(error: Exception) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename not in (__file__, "<string>") and _TORCH not in Path(frame.filename).parents:
            return f" at {frame.filename}:{frame.lineno} ({frame.line})"
    return ""


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"torch says {lines[0].rstrip('.')!r}" if lines else f"torch raised {type(error).__name__}"


@final
class _Builder(Builder):
    """Turns the nodes of an exported program into ours, one by one."""

    def __init__(self, program: ExportedProgram) -> None:
        self._program = program
        self._names: dict[FxNode, str | tuple[str, ...]] = {}
        self._nodes: list[Node] = []
        self._computed: set[str] = set()
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Tensor] = {}

    def graph(self) -> Graph:
        """Build the graph."""
        self._refuse_side_effects()
        inputs = self._read_placeholders()
        for node in self._program.graph.nodes:
            if node.op == "call_function" and node.users:
                self._names[node] = self._lowered(node)
        (returned,) = next(n for n in self._program.graph.nodes if n.op == "output").args
        return Graph(
            inputs=inputs,
            nodes=tuple(self._nodes),
            outputs=tuple(
                Output(self._names[leaf]) if isinstance(leaf, FxNode) else Output("", leaf) for leaf in returned
            ),
            values=self._values,
            constants=self._constants,
            structure=self._program.call_spec.out_spec,
        )

    def _refuse_side_effects(self) -> None:
        for output in self._program.graph_signature.output_specs:
            if output.kind is not OutputKind.USER_OUTPUT:
                raise Unsupported(
                    f"the model changes {output.target!r} in place when it is called; run the model itself"
                )

    def _read_placeholders(self) -> tuple[str, ...]:
        inputs = []
        tensors = {**self._program.state_dict, **self._program.constants}
        placeholders = (n for n in self._program.graph.nodes if n.op == "placeholder")
        for node, spec in zip(placeholders, self._program.graph_signature.input_specs, strict=True):
            is_tensor = isinstance(node.meta["val"], torch.Tensor)
            if spec.kind in _CONSTANTS:
                self._names[node] = self.named(spec.target, tensors[spec.target].detach())
            elif spec.kind is InputKind.USER_INPUT:
                self._names[node] = self._valued(node.name, node.meta["val"]) if is_tensor else ""
                inputs.append(self._names[node])
            else:
                raise Unsupported(f"the model keeps {spec.target!r}, which is no tensor; run the model itself")
        return tuple(inputs)

    def _lowered(self, node: FxNode) -> str | tuple[str, ...]:
        if node.target is operator.getitem:
            source, index = node.args
            return self._names[source][index]
        lowering = lowering_of(node.target)
        names = lowering(Call(node, self, self._names)) if lowering else None
        return self._left_to_torch(node) if names is None else names

    def _left_to_torch(self, node: FxNode) -> str | tuple[str, ...]:
        read: list[str] = []

        def reference(argument: FxNode) -> Reference:
            read.append(self._names[argument])
            return Reference(len(read) - 1)

        arguments = tree_map_only(FxNode, reference, tuple(node.args))
        named = tree_map_only(FxNode, reference, dict(node.kwargs))
        result = node.meta["val"]
        if isinstance(result, torch.Tensor):
            outputs: tuple[str, ...] = (self._valued(node.name, result),)
        elif isinstance(result, list | tuple):
            tensors = [isinstance(part, torch.Tensor) for part in result]
            outputs = tuple(
                self._valued(f"{node.name}.{i}", part) if is_tensor else ""
                for i, (part, is_tensor) in enumerate(zip(result, tensors, strict=True))
            )
        else:
            raise Unsupported(f"the model computes with the number that {node.target} gives; run the model itself")
        operation = Torch(node.target, tuple(arguments), tuple(named.items()))
        self._append(Node(operation, tuple(read), outputs))
        return outputs[0] if isinstance(result, torch.Tensor) else outputs

    # What a `Call` may ask for.

    def emit(self, operation: Operation, inputs: Sequence[str], name: str, value: Value) -> str:
        """Add a node with one output and give the output's name."""
        self._values[name] = value
        self._append(Node(operation, tuple(inputs), (name,)))
        return name

    def named(self, name: str, tensor: Tensor) -> str:
        """Keep a constant under a name and give the name."""
        self._constants[name] = tensor
        return self._valued(name, tensor)

    def value(self, name: str) -> Value:
        """Give what is known of a value."""
        return self._values[name]

    def is_computed(self, name: str) -> bool:
        """Say whether a node gives this value: it is neither an input nor a constant."""
        return name in self._computed

    def _append(self, node: Node) -> None:
        self._nodes.append(node)
        self._computed.update(node.outputs)

    def _valued(self, name: str, tensor: Tensor) -> str:
        self._values[name] = Value(tuple(tensor.shape), tensor.dtype)
        return name
