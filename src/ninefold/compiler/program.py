"""A plan that runs: stages of kernels and of torch, and the table that says which is which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from ninefold.compiler.locks import Lock
from ninefold.compiler.run import bound, compute, returned

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """

    lines: tuple[Line, ...] = ()
    kernels: int = 0
    weight_bytes: int = 0
    map_bytes: int = 0
    threads: int = 1
    reason: str = ""

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
        return "\n".join([*lines, totals])


@dataclass(frozen=True, slots=True)
class Fetch:
    """Copy a tensor of torch's to where kernels read it."""

    name: str


@dataclass(frozen=True, slots=True)
class TorchCall:
    """Compute a node with torch."""

    node: Node


@dataclass(frozen=True, slots=True)
class Compute:
    """Run kernels."""

    plan: NativePlan


Stage = Fetch | TorchCall | Compute


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
        self._lock = Lock()
        self._storages = {view.untyped_storage().data_ptr() for view in views.values()}

    def run(self, *inputs: Any) -> Any:
        """Compute the network; see `compiler.run.run`."""
        known: dict[str, Tensor] = {**self._graph.constants, **bound(self._graph, inputs)}
        with self._lock:
            for stage in self._stages:
                if isinstance(stage, Compute):
                    stage.plan.run()
                elif isinstance(stage, Fetch):
                    _copy(known[stage.name], self._views[stage.name])
                else:
                    operands = [self._tensor(known, name) for name in stage.node.inputs]
                    results = compute(stage.node.operation, operands)
                    known.update(zip(stage.node.outputs, results, strict=True))
            outputs = {o.name: self._own(self._tensor(known, o.name)) for o in self._graph.outputs if o.name}
        return returned(self._graph, outputs)

    def _tensor(self, known: Mapping[str, Tensor], name: str) -> Tensor:
        """Give a value that torch has, or take it from where kernels have put it."""
        return known[name] if name in known else self._views[name]

    def _own(self, tensor: Tensor) -> Tensor:
        """Copy what the next run would overwrite."""
        if tensor.untyped_storage().data_ptr() not in self._storages:
            return tensor
        return torch.from_numpy(tensor.numpy().copy())


def _copy(source: Tensor, target: Tensor) -> None:
    """Copy by NumPy, on this thread: torch's own threads would go on spinning beside the kernels' for milliseconds."""
    if source.dtype == target.dtype:
        np.copyto(target.numpy(), source.detach().numpy())
    else:
        target.copy_(source)
