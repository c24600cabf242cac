"""The engine `reference`: `ninefold.reference.sparse`, for whoever wants to see every product."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from ninefold import reference
from ninefold.sparse.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.engine import Job
    from ninefold.sparse.map import KernelMap


@final
class Reference(Engine):
    """Walk through the rulebook pair by pair, in float64, and round once."""

    name: ClassVar[str] = "reference"

    def why_not(self, job: Job) -> str | None:
        """Accept what is on the CPU."""
        return None if job.device.type == "cpu" else f"it computes with NumPy, and the tensors are on {job.device}"

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Sum group by group."""
        book, width = _book(pairs), weight.shape[2]
        groups = x.shape[1] // width
        matrices = weight.double().unflatten(0, (groups, -1)).permute(0, 2, 3, 1)  # (G, K, C / G, O / G)
        runs = [
            torch.from_numpy(reference.sparse_convolve(run.numpy(), w.numpy(), None, book))
            for run, w in zip(x.double().split(width, dim=1), matrices, strict=True)
        ]
        return torch.cat(runs, dim=1).to(x.dtype)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Sum group by group."""
        book = _book(pairs)
        both = zip(x.double().chunk(groups, dim=1), grad.double().chunk(groups, dim=1), strict=True)
        runs = [torch.from_numpy(reference.sparse_weight_gradient(a.numpy(), b.numpy(), book)) for a, b in both]
        return torch.cat([run.permute(2, 0, 1) for run in runs]).to(x.dtype)  # each (K, C / G, O / G)


def _book(pairs: KernelMap) -> reference.Rulebook:
    sites = tuple(map(tuple, pairs.outputs.coords.tolist()))
    rules = ((zip(*(side.tolist() for side in pairs.pairs(k)), strict=True)) for k in range(pairs.volume))
    return reference.Rulebook(sites, tuple(tuple(rule) for rule in rules))
