"""How far a planned network is from the same network summed directly, measured when it is planned."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final, final

import torch
from torch.utils._pytree import tree_flatten  # the only place where torch keeps it

from ninefold.compiler.operations import Torch
from ninefold.compiler.run import run

if TYPE_CHECKING:
    from ninefold.compiler.graph import Graph
    from ninefold.compiler.program import Program

# The largest error of one layer in float32 by F(m, 3), in parts of its largest output: 256 channels of normally
# distributed numbers, the worst of four draws. It grows with about the square root of the number of channels.
OF_FORM: Final = {2: 6.5e-7, 3: 1.2e-6, 4: 3.6e-6, 5: 1.5e-5, 6: 2.1e-5}


@final
@dataclass(frozen=True, slots=True)
class Computed:
    """What torch makes of a random input.

    Args:
        inputs: the leaves of the input.
        results: those of the result that are of real numbers.
    """

    inputs: list[torch.Tensor | None]
    results: list[torch.Tensor]

    def error(self, program: Program) -> float | None:
        """Give a program's largest difference, in parts of the largest number; None where it is no finite number.

        Torch sums directly and in float32, so its own rounding is part of the difference.
        """
        ours = _floats(program.compute(self.inputs))
        gaps = [_gap(a, b) for a, b in zip(ours, self.results, strict=True)]
        return max(gaps) if gaps and all(map(isfinite, gaps)) else None


def computed(graph: Graph) -> Computed | None:
    """Let torch compute a graph; None for inputs other than float32, and where operators draw random numbers.

    Args:
        graph: with all its constants.
    """
    values = [graph.values[name] for name in graph.inputs if name]
    if any(value.dtype != torch.float32 for value in values) or any(_is_random(node.operation) for node in graph.nodes):
        return None
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(graph.shape(name), generator=generator) if name else None for name in graph.inputs]
    with torch.no_grad():
        return Computed(inputs, _floats(run(graph, *inputs)))


def _is_random(operation: object) -> bool:
    return isinstance(operation, Torch) and torch.Tag.nondeterministic_seeded in getattr(operation.target, "tags", ())


def _floats(results: object) -> list[torch.Tensor]:
    leaves, _ = tree_flatten(results)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.numel()]


def _gap(result: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((result - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(torch.float32).tiny)).item()
