"""A plan that runs: stages of kernels and of torch, and the table that says which is which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch.utils._pytree import tree_flatten  # the only place where torch keeps it

from ninefold.compiler.locks import Lock
from ninefold.compiler.run import bound, compute, returned
from ninefold.kernels.llvm.memory import ALIGNMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ninefold.compiler.graph import Graph, Node
    from ninefold.kernels.llvm.plan import Plan as NativePlan


@dataclass(frozen=True, slots=True)
class Line:
    """What a table says of one node.

    Args:
        name: of its result.
        operation: what is computed.
        shape: of the result.
        runs: the kernel and how it was set, or "torch".
        why: why it stays in torch; "" for a kernel.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    runs: str
    why: str = ""

    @property
    def words(self) -> tuple[str, str, str, str]:
        """Give what stands in a table."""
        runs = f"{self.runs}: {self.why}" if self.why else self.runs
        return self.name, self.operation, "x".join(map(str, self.shape)), runs


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs when a compiled network is called, as a value.

    Args:
        lines: one per node of the simplified graph; none where the model itself runs.
        kernels: how many calls of kernels, changes of layout among them.
        weight_bytes: of weights in the kernels' order.
        map_bytes: of maps, which share memory.
        threads: that may compute.
        reason: why the model itself runs; "" where it does not.
        error: largest difference from torch on a random input, in parts of the largest number; None where Winograd's
            algorithm has no part in it, or it cannot be measured.
        max_weight_bytes: what `weight_bytes` was to stay within; None for no limit.
    """

    lines: tuple[Line, ...] = ()
    kernels: int = 0
    weight_bytes: int = 0
    map_bytes: int = 0
    threads: int = 1
    reason: str = ""
    error: float | None = None
    max_weight_bytes: int | None = None

    def table(self) -> str:
        """Give one line per node and the totals, or why the model itself runs."""
        if self.reason:
            return f"the model itself runs: {self.reason}"
        rows = [line.words for line in self.lines]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = ["  ".join([*(w.ljust(n) for w, n in zip(row, widths, strict=False)), row[3]]) for row in rows]
        totals = (
            f"{self.kernels} kernel calls on {self.threads} threads, "
            f"{self.weight_bytes / 2**20:.1f} MiB of weights, {self.map_bytes / 2**20:.1f} MiB of maps"
        )
        return "\n".join([*lines, totals, *self._remarks])

    @property
    def _remarks(self) -> list[str]:
        remarks = []
        if self.max_weight_bytes is not None and self.weight_bytes > self.max_weight_bytes:
            remarks.append(f"no plan has fewer weights, and the limit is {self.max_weight_bytes / 2**20:.1f} MiB")
        if self.error is not None:
            remarks.append(f"largest relative error measured: {self.error:.1e}")
        return remarks


@dataclass(frozen=True, slots=True)
class TorchCall:
    """Compute a node with torch."""

    node: Node


@dataclass(frozen=True, slots=True)
class Source:
    """A step that reads a tensor of torch's.

    Args:
        step: its place in the plan.
        name: of the tensor.
    """

    step: int
    name: str


@dataclass(frozen=True, slots=True)
class Compute:
    """Run kernels."""

    plan: NativePlan
    sources: tuple[Source, ...] = ()


Stage = TorchCall | Compute


@final
class Program:
    """A network for one shape of its input. It works in its own memory: of several threads that call it, one runs.

    Args:
        graph: what it computes.
        stages: in order.
        views: values that lie in planes, as tensors: what torch gives to kernels and takes from them.
        plan: what it does, to be read.
        owner: what keeps the memory and the code.
    """

    def __init__(
        self, graph: Graph, stages: tuple[Stage, ...], views: Mapping[str, Tensor], plan: Plan, owner: Any
    ) -> None:
        self.plan = plan
        self._graph, self._stages, self._views, self._owner = graph, stages, views, owner
        is_tensor = graph.structure.is_leaf() and graph.outputs[0].name not in graph.constants
        self._only = graph.outputs[0].name if is_tensor else ""
        self._lock = Lock()
        self._storages = {view.untyped_storage().data_ptr() for view in views.values()}
        self._arrays = {name: view.numpy() for name, view in views.items()}

    def run(self, *inputs: Any) -> Any:
        """Compute the network; see `compiler.run.run`."""
        bound(self._graph, inputs)
        return self.compute(tree_flatten(inputs)[0])

    def compute(self, leaves: Sequence[Any]) -> Any:
        """Compute the network, whose results carry no gradients.

        Args:
            leaves: of the inputs, of the shapes and dtypes that the graph was captured for.
        """
        known: dict[str, Tensor] = {**self._graph.constants, **dict(zip(self._graph.inputs, leaves, strict=True))}
        with self._lock.own:
            for stage in self._stages:
                if isinstance(stage, Compute):
                    for source in stage.sources:
                        self._give(stage.plan, source, known[source.name])
                    stage.plan.run()
                else:
                    self._call(stage.node, known)
            if self._only:
                return self._own(known, self._only)
            outputs = {o.name: self._own(known, o.name) for o in self._graph.outputs if o.name}
        return returned(self._graph, outputs)

    def _give(self, plan: NativePlan, source: Source, tensor: Tensor) -> None:
        """Let a step read a tensor where it lies, if it lies as planes do, or else a copy."""
        planes = self._arrays[source.name]  # (N, ...)
        if _lies_as_planes(tensor) and (len(planes) == 1 or not planes[0].nbytes % ALIGNMENT):
            plan.read_from(source.step, tensor.data_ptr(), planes[0].nbytes)
            return
        _copy(tensor, self._views[source.name])
        plan.read_from(source.step, planes.ctypes.data, planes.strides[0])

    def _call(self, node: Node, known: dict[str, Tensor]) -> None:
        operands = [self._tensor(known, name) for name in node.inputs]
        with torch.no_grad():
            known.update(zip(node.outputs, compute(node.operation, operands), strict=True))

    def _tensor(self, known: Mapping[str, Tensor], name: str) -> Tensor:
        """Give a value that torch has, or take it from where kernels have put it."""
        return known[name] if name in known else self._views[name]

    def _own(self, known: Mapping[str, Tensor], name: str) -> Tensor:
        """Give a value, or a copy of what the next run would overwrite."""
        tensor = known.get(name)
        if tensor is None:
            return torch.from_numpy(self._arrays[name].copy())
        if tensor.untyped_storage().data_ptr() not in self._storages:
            return tensor
        return torch.from_numpy(tensor.numpy().copy())


def _lies_as_planes(tensor: Tensor) -> bool:
    is_plain = type(tensor) is torch.Tensor and tensor.layout is torch.strided and tensor.dtype is torch.float32
    return is_plain and tensor.is_contiguous() and not tensor.is_neg() and not tensor.data_ptr() % ALIGNMENT


def _copy(source: Tensor, target: Tensor) -> None:
    """Copy by NumPy, on this thread: torch's own threads would go on spinning beside the kernels' for milliseconds."""
    if source.dtype == target.dtype:
        np.copyto(target.numpy(), source.detach().numpy())
    else:
        target.copy_(source)
