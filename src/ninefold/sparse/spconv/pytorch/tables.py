"""Branches: one tensor into several layers, several tensors into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch.functional import sparse_add_hash_based
from ninefold.sparse.spconv.pytorch.modules import SparseModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor


class ConcatTable(SparseModule):
    """Several layers over one tensor."""

    def forward(self, x: Any) -> list[Any]:
        """Give what each layer gives."""
        return [module(x) for module in self._modules.values()]

    def add(self, module: nn.Module) -> ConcatTable:
        """Append a layer, and give the table."""
        self.add_module(str(len(self._modules)), module)
        return self


class JoinTable(SparseModule):
    """Tensors at the same sites, their channels one after the other."""

    def forward(self, x: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """Give a tensor that knows the keys of the first."""
        _check_rows(x)
        return x[0].replace_feature(torch.cat([one.features for one in x], dim=1))


class AddTable(SparseModule):
    """Tensors at the same sites, their features added."""

    def forward(self, x: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """Give a tensor that knows the keys of the first."""
        _check_rows(x)
        return x[0].replace_feature(sum(one.features for one in x))


class AddTableMisaligned(SparseModule):
    """Tensors on the same grid at different sites, their features added."""

    def forward(self, x: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """Give a tensor at all sites, see `sparse_add`."""
        return sparse_add_hash_based(*x)


def _check_rows(tensors: Sequence[SparseConvTensor]) -> None:
    facts = {(tuple(x.spatial_shape), x.batch_size, len(x.indices)) for x in tensors}
    if len(facts) != 1:
        raise Refused(f"tensors of (size, batch, sites) {sorted(facts)} came; wanted the same sites in all")
