"""Two orders of rows: Ninefold sorts sites, and users of spconv keep theirs as they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.autograd import Function

from ninefold.sparse.sites import Sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Placed:
    """Sorted sites, and which of the user's rows each is.

    Args:
        sites: N of them.
        order: int64 (N,), the user's row of every sorted one; None where the user's are sorted.
        back: int64 (N,), the sorted row of every one of the user's; None likewise.
    """

    sites: Sites
    order: Tensor | None = None
    back: Tensor | None = None

    @classmethod
    def of(cls, indices: Tensor, size: Sequence[int], batch: int) -> Self:
        """Sort sites.

        Args:
            indices: int32 (N, 1 + D), in any order and memory layout.
            size: of the grid.
            batch: number of pictures.

        Raises:
            InvalidInput: when a site lies outside or comes twice.
        """
        sites, order = Sites.of(indices, size, batch)
        rows = torch.arange(len(order), device=order.device)
        if torch.equal(order, rows):
            return cls(sites)
        return cls(sites, order, torch.empty_like(order).scatter_(0, order, rows))

    def fits(self, indices: Tensor, size: Sequence[int], batch: int) -> bool:
        """Say whether these are the sites, row by row: users change indices in place."""
        sites = self.sites
        facts = (sites.size, sites.batch, sites.coords.shape, sites.coords.device)
        if facts != (tuple(size), batch, indices.shape, indices.device):
            return False
        return torch.equal(indices if self.order is None else indices[self.order], sites.coords)

    def by_key(self, rows: Tensor) -> Tensor:
        """Give the user's rows in the order of the sorted sites."""
        return rows if self.order is None else _Reordered.apply(rows, self.order, self.back)

    def as_came(self, rows: Tensor) -> Tensor:
        """Give rows of the sorted sites in the user's order."""
        return rows if self.order is None else _Reordered.apply(rows, self.back, self.order)

    def users(self, numbers: Tensor) -> Tensor:
        """Give the user's row numbers for those of sorted sites."""
        return numbers if self.order is None else self.order[numbers].to(numbers.dtype)


class _Reordered(Function):
    """Gathering along a permutation, whose gradient is gathered too: torch's own would scatter and add."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, back: Tensor) -> Tensor:
        ctx.orders = order, back
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        order, back = ctx.orders
        return _Reordered.apply(grad, back, order), None, None
