"""Two orders of rows: Ninefold sorts sites, and users of spconv keep theirs as they came, some sites twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.autograd import Function

from ninefold.errors import InvalidInput
from ninefold.sparse.sites import Sites
from ninefold.sparse.spconv.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Placed:
    """Sorted sites, and which of the user's rows each is.

    Args:
        sites: no two alike.
        order: int64 (sites,), the user's row of every site; None where the user's are sorted, or share sites.
        back: int64 (N,), the site of every one of the user's rows; None where the user's are sorted.
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
            InvalidInput: when a site lies outside.
        """
        try:
            sites, order = Sites.of(indices, size, batch)
        except InvalidInput:
            shared = _shared(indices, size, batch)
            if shared is None:
                raise
            return cls(shared[0], None, shared[1])
        rows = torch.arange(len(order), device=order.device)
        if torch.equal(order, rows):
            return cls(sites)
        return cls(sites, order, torch.empty_like(order).scatter_(0, order, rows))

    def fits(self, indices: Tensor, size: Sequence[int], batch: int) -> bool:
        """Say whether these are the sites, row by row: users change indices in place."""
        sites = self.sites
        if (sites.size, sites.batch, sites.coords.device) != (tuple(size), batch, indices.device):
            return False
        return torch.equal(indices, sites.coords if self.back is None else sites.coords[self.back])

    @property
    def is_shared(self) -> bool:
        """Say whether some rows have one site."""
        return self.order is None and self.back is not None

    def by_key(self, rows: Tensor) -> Tensor:
        """Give the user's rows in the order of the sorted sites."""
        self._check(rows)
        self._refuse_shared()
        return rows if self.order is None else _Reordered.apply(rows, self.order, self.back)

    def joined(self, rows: Tensor, total: bool) -> Tensor:
        """Give one row per sorted site.

        Args:
            rows: the user's.
            total: for the sum of those that share a site, else their mean.
        """
        if not self.is_shared:
            return self.by_key(rows)
        self._check(rows)
        sums = rows.new_zeros((len(self.sites), rows.shape[1])).index_add(0, self.back, rows)
        return sums if total else sums / torch.bincount(self.back)[:, None].to(rows.dtype)

    def as_came(self, rows: Tensor) -> Tensor:
        """Give rows of the sorted sites in the user's order; those that share a site get the same."""
        if self.is_shared:
            return rows.index_select(0, self.back)
        return rows if self.order is None else _Reordered.apply(rows, self.back, self.order)

    def users(self, numbers: Tensor) -> Tensor:
        """Give the user's row numbers for those of sorted sites."""
        self._refuse_shared()
        return numbers if self.order is None else self.order[numbers].to(numbers.dtype)

    def _check(self, rows: Tensor) -> None:
        wanted = len(self.sites) if self.back is None else len(self.back)
        if len(rows) != wanted:
            raise Refused(f"{len(rows)} rows of features came for {wanted} sites; wanted one each")

    def _refuse_shared(self) -> None:
        if self.is_shared:
            counts = torch.bincount(self.back)
            site = int(counts.argmax())
            raise Refused(
                f"{int(counts[site])} rows are site {tuple(self.sites.coords[site].tolist())}, which convolutions take "
                "and poolings and tables of pairs do not; merge such rows first"
            )


def _shared(indices: Tensor, size: Sequence[int], batch: int) -> tuple[Sites, Tensor] | None:
    """Give the sites that rows share, and which each row has; None where the rows are wrong in another way."""
    is_inside = bool(((indices >= 0) & (indices < indices.new_tensor([batch, *size]))).all())
    kinds, back = torch.unique(Sites(indices, tuple(size), batch).keys, return_inverse=True)
    if not is_inside or len(kinds) == len(back):
        return None
    any_row = torch.empty_like(kinds).scatter_(0, back, torch.arange(len(back), device=back.device))
    return Sites.of(indices[any_row], size, batch)[0], back


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
