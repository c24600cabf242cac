"""Compiled networks in a file: what they compute and their weights, no code.

The file is one of safetensors. Its tensors are the constants of the simplified graphs, each distinct one once; its
metadata hold, as JSON under "ninefold", one graph per shape of input, and how they are planned. Whoever loads it plans
anew, for the machine at hand; machine code comes from the cache folder or is made again, so that a file from one
processor is of use on another and can do nothing but what the operations named in `plain` do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final, get_args

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten  # the only place where torch keeps them

from ninefold import __version__
from ninefold.compiler.checking import derived
from ninefold.compiler.choice import Precision, Rules
from ninefold.compiler.graph import Graph, Node, Output, Value
from ninefold.compiler.operations import Operation
from ninefold.compiler.plain import Leaf, decoded, encoded
from ninefold.compiler.planner import planned
from ninefold.compiler.tuning import Tuner
from ninefold.errors import InvalidInput, RunError, StorageFull, Unsupported
from ninefold.kernels.llvm.target import host
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from ninefold.compiler.program import Program

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network is planned; see `compile`."""

    precision: Precision
    threads: int | None
    tune: bool
    max_weight_bytes: int | None = None

    def planned(self, graph: Graph) -> Program:
        """Plan a graph for this machine."""
        rules, tuner = Rules(host(), self.precision, self.max_weight_bytes), Tuner(host()) if self.tune else None
        return planned(graph, rules, self.threads or torch.get_num_threads(), tuner)

    def check(self) -> None:
        """Raise ValueError where a setting from a file is out of range."""
        is_count = type(self.threads) is int and self.threads >= 1
        has_limit = type(self.max_weight_bytes) is int and self.max_weight_bytes >= 0
        if self.precision not in get_args(Precision) or not (is_count or self.threads is None):
            raise ValueError(f"{self} is out of range")
        if not (has_limit or self.max_weight_bytes is None):
            raise ValueError(f"{self} is out of range")


def save(path: Path, graphs: Iterable[tuple[Graph, Any]], settings: Settings) -> None:
    """Write simplified graphs and their constants to one file.

    Args:
        path: of the file; its folder must exist.
        graphs: each with the positional arguments it was captured for, as a tuple.
        settings: kept with them; `threads=None` is for as many as torch uses where they are loaded.

    Raises:
        InvalidInput: when the folder does not exist.
        Unsupported: when a node or what a network takes or returns cannot be written; an older file is as it was.
        StorageFull: when the disk has no room; an older file is as it was.
    """
    from safetensors.torch import save as in_safetensors

    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent} is no folder; make it before saving {path.name} there")
    tensors: dict[str, Tensor] = {}
    content = {
        "format": _FORMAT,
        "version": __version__,
        "settings": asdict(settings),
        "graphs": [_written(graph, inputs, tensors) for graph, inputs in graphs],
    }
    write_bytes(path, in_safetensors(tensors, {"ninefold": json.dumps(content)}))


def _written(graph: Graph, inputs: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    leaves, structure = tree_flatten(inputs)
    given = [Leaf(name, graph.values[name] if name else x) for name, x in zip(graph.inputs, leaves, strict=True)]
    gives = [Leaf(output.name, output.thing) for output in graph.outputs]
    return {
        "inputs": encoded(tree_unflatten(given, structure)),
        "outputs": encoded(tree_unflatten(gives, graph.structure)),
        "nodes": [_written_node(node) for node in graph.nodes],
        "constants": {name: _kept(tensor, tensors) for name, tensor in graph.constants.items()},
    }


def _written_node(node: Node) -> list[Any]:
    try:
        return [encoded(node.operation), node.inputs, node.outputs]
    except Unsupported as error:
        raise Unsupported(f"the node {', '.join(node.outputs)} stands in the way of saving: {error}") from error


def _kept(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    """Keep a tensor under a name that its numbers give, so that equal ones are kept once."""
    own = tensor.detach().clone(memory_format=torch.contiguous_format)
    numbers = own.reshape(-1).view(torch.uint8).numpy()
    name = hashlib.sha256(f"{own.dtype} {tuple(own.shape)}".encode() + numbers.tobytes()).hexdigest()[:32]
    tensors[name] = own
    return name


def load(path: str | Path) -> Loaded:
    """Read what `Compiled.save` wrote, and plan it for this machine; no code from the file is run.

    Args:
        path: of the file.

    Returns:
        A callable module that computes what was saved, without the model it was made from.

    Raises:
        RunError: when the file is missing, damaged, or holds what this version does not know.

    >>> import tempfile
    >>> from ninefold.compiler import compile
    >>> fast = compile(nn.Conv2d(3, 8, 3).eval(), torch.zeros(1, 3, 8, 8), threads=1, tune=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fast.save(Path(folder, "conv.safetensors"))
    ...     loaded = load(Path(folder, "conv.safetensors"))
    >>> torch.equal(loaded(torch.ones(1, 3, 8, 8)), fast(torch.ones(1, 3, 8, 8)))
    True
    """
    path = Path(path)
    metadata, tensors = _read(path)
    try:
        content = json.loads(metadata["ninefold"])
        _check_format(path, content)
        settings = Settings(**content["settings"])
        settings.check()
        networks = [_network(data, tensors, settings) for data in content["graphs"]]
        return Loaded(path, networks)
    except (RunError, StorageFull):
        raise
    except Exception as error:  # whatever a changed file leads to, in our code or torch's
        raise RunError(
            f"{path} holds no network that can be used ({_sentence(error)}); "
            "take another copy or save the compiled network again"
        ) from error


def _read(path: Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunError(f"{path} is not there; wanted a file that the save of a compiled network wrote")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # a handle, not a dict
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} cannot be read as safetensors ({error}); take another copy or save again") from error
    if "ninefold" not in metadata:
        raise RunError(f"{path} holds no compiled network; wanted a file that the save of a compiled network wrote")
    return metadata, tensors


def _check_format(path: Path, content: Mapping[str, Any]) -> None:
    if content["format"] != _FORMAT:
        raise RunError(
            f"{path} has the format {content['format']!r} of ninefold {content['version']!r}, and {__version__} reads "
            f"the format {_FORMAT}; save it again with this version"
        )


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


@dataclass(frozen=True, slots=True)
class _Network:
    """A program, and what it takes.

    Args:
        leaves: name, and shape and dtype of every tensor; what is no tensor, as it is.
        structure: of the positional arguments.
        program: what runs.
    """

    leaves: tuple[Leaf, ...]
    structure: Any
    program: Program

    def takes(self, leaves: list[Any], structure: Any) -> bool:
        """Say whether these are the arguments it was planned for."""
        if structure != self.structure:
            return False
        pairs = [(_seen(leaf), wanted.thing) for leaf, wanted in zip(leaves, self.leaves, strict=True)]
        return all(type(seen) is type(wanted) and seen == wanted for seen, wanted in pairs)

    def __str__(self) -> str:
        """Give the shapes of what it takes."""
        return _shapes([leaf.thing for leaf in self.leaves])


def _network(data: Mapping[str, Any], tensors: Mapping[str, Tensor], settings: Settings) -> _Network:
    leaves, structure = tree_flatten(decoded(data["inputs"]))
    constants = {name: tensors[key] for name, key in data["constants"].items()}
    graph = _graph(data, leaves, constants)
    with torch.inference_mode(mode=False):  # what is made here is also written to outside of that mode
        return _Network(tuple(leaves), structure, settings.planned(graph))


def _graph(data: Mapping[str, Any], leaves: list[Leaf], constants: dict[str, Tensor]) -> Graph:
    """Build a graph whose every shape is derived from its inputs and constants."""
    nodes = tuple(_node(*written) for written in data["nodes"])
    outputs, structure = tree_flatten(decoded(data["outputs"]))
    given = {leaf.name: leaf.thing for leaf in leaves if leaf.name}
    if set(given) & set(constants) or not given or not next(iter(given.values())).shape:
        raise ValueError(f"its inputs cannot be {', '.join(given) or 'none at all'}")
    values = {name: Value(tuple(tensor.shape), tensor.dtype) for name, tensor in constants.items()}
    values = derived({**given, **values}, nodes)
    if unknown := [output.name for output in outputs if output.name and output.name not in values]:
        raise ValueError(f"nothing computes its output {unknown[0]!r}")
    return Graph(
        inputs=tuple(leaf.name for leaf in leaves),
        nodes=nodes,
        outputs=tuple(Output(output.name, output.thing) for output in outputs),
        values=values,
        constants=constants,
        structure=structure,
    )


def _node(written: Any, inputs: list[str], outputs: list[str]) -> Node:
    operation = decoded(written)
    if not isinstance(operation, Operation):
        raise ValueError(f"{operation!r} is no operation")  # noqa: TRY004  # the file is wrong, not a type
    return Node(operation, tuple(inputs), tuple(outputs))


def _seen(leaf: Any) -> Any:
    return Value(tuple(leaf.shape), leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf


def _shapes(things: Iterable[Any]) -> str:
    words = [f"{thing.shape} of {thing.dtype}" if isinstance(thing, Value) else repr(thing) for thing in things]
    return ", ".join(words) or "nothing"


@final
class Loaded(nn.Module):
    """A compiled network from a file; `load` makes one. It computes as in evaluation mode, whatever mode it is set to.

    It takes what was planned when it was saved and nothing else, being without the model that could compute it. Any
    number of threads may call it. Results carry no gradients.

    Args:
        path: of the file, for messages.
        networks: one per shape of input, at least one.
    """

    def __init__(self, path: Path, networks: Iterable[_Network]) -> None:
        super().__init__()
        self._path, self._networks = path, tuple(networks)
        self.plan = self._networks[0].program.plan
        self.eval()

    def forward(self, *inputs: Any) -> Any:
        """Compute what was saved.

        Raises:
            InvalidInput: when the inputs are not of shapes, dtypes and structure that were saved.
            Unsupported: when an input needs gradients or is not on the CPU.
        """
        leaves, structure = tree_flatten(inputs)
        network = next((network for network in self._networks if network.takes(leaves, structure)), None)
        if network is None:
            raise InvalidInput(
                f"{_shapes(map(_seen, leaves))} came, and {self._path.name} was saved for "
                f"{' or '.join(map(str, self._networks))}; compile the model for this and save it again"
            )
        _refuse(leaves)
        self.plan = network.program.plan
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return network.program.run(*inputs)


def _refuse(leaves: Iterable[Any]) -> None:
    for tensor in (leaf for leaf in leaves if isinstance(leaf, torch.Tensor)):
        if tensor.device.type != "cpu":
            raise Unsupported(f"an input is on {tensor.device}, and kernels compute on the CPU; move it there")
        if tensor.requires_grad and torch.is_grad_enabled():
            raise Unsupported("an input needs gradients, and a loaded network has none; call it under torch.no_grad()")
