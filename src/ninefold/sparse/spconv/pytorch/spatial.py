"""Sites that come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ninefold.sparse.spconv.pytorch.modules import SparseModule

if TYPE_CHECKING:
    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor


class RemoveDuplicate(SparseModule):
    """Keeps the first row of every site; rows come out sorted."""

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """Give a tensor without keys."""
        sites, row_of = torch.unique(x.indices, dim=0, return_inverse=True)
        numbers = torch.arange(len(x.indices), device=row_of.device)
        first = numbers.new_full((len(sites),), len(numbers)).scatter_reduce(0, row_of, numbers, "amin")
        return x.select_by_index(first)
