"""The engine `gather_gemm_scatter`: offset by offset, gather rows, multiply, add them where they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from ninefold.sparse.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.engine import Job
    from ninefold.sparse.map import KernelMap

_HALVES = (torch.bfloat16, torch.float16)


@final
class GatherGemmScatter(Engine):
    """Multiply by torch's own matrix product, which rounds each; half precision is summed over offsets in float32.

    Within an offset no output row comes twice, so rows are added in a fixed order and results repeat bit for bit.
    """

    name: ClassVar[str] = "gather_gemm_scatter"

    def why_not(self, job: Job) -> str | None:  # noqa: ARG002  # the contract
        """Accept everything."""
        return None

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Add one product of matrices per offset."""
        groups = x.shape[1] // weight.shape[2]
        y = x.new_zeros((len(pairs.outputs), len(weight)), dtype=_sum_dtype(x))
        by_offset = weight.unflatten(0, (groups, -1)).permute(2, 0, 3, 1)  # (K, G, C / G, O / G)
        for k, matrices in enumerate(by_offset):
            i, o = pairs.pairs(k)
            rows = _runs(x[i], groups) @ matrices  # (G, P, O / G)
            y.index_add_(0, o, rows.transpose(0, 1).flatten(1).to(y.dtype))
        return y.to(x.dtype)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Multiply the rows that meet under each offset."""
        gradients = []
        for k in range(pairs.volume):
            i, o = pairs.pairs(k)
            gradients.append(_runs(grad[o], groups).mT @ _runs(x[i], groups))  # (G, O / G, C / G)
        return torch.stack(gradients, dim=2).flatten(0, 1)


def _runs(rows: Tensor, groups: int) -> Tensor:
    """Cut (P, C) into (G, P, C / G)."""
    return rows.unflatten(1, (groups, -1)).transpose(0, 1)


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in _HALVES else x.dtype
