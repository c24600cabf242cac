"""Numbers at active sites."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from ninefold.errors import InvalidInput
from ninefold.sparse.sites import Sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.spec import Axes


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """A row of features at every active site of a batch of grids; all other cells count as zeros.

    Rows stand in the order of the sites: sorted by picture, then by the coordinates, the first axis first.

    Args:
        features: (N, C).
        sites: N of them.
        stride: cells of the first grid per cell of this one, one number per axis.

    >>> import torch
    >>> x = SparseTensor.of(torch.tensor([[1.0], [2.0]]), torch.tensor([[0, 4], [0, 1]]), size=(6,))
    >>> x.coords.tolist(), x.features.tolist(), x.dense().tolist()
    ([[0, 1], [0, 4]], [[2.0], [1.0]], [[[0.0, 2.0, 0.0, 0.0, 1.0, 0.0]]])
    """

    features: Tensor
    sites: Sites
    stride: Axes

    def __post_init__(self) -> None:
        if self.features.dim() != 2 or len(self.features) != len(self.sites):
            raise InvalidInput(
                f"features of shape {tuple(self.features.shape)} came for {len(self.sites)} sites; wanted one row each"
            )

    @classmethod
    def of(cls, features: Tensor, coords: Tensor, size: Sequence[int], batch: int | None = None) -> Self:
        """Put features and sites that come in any order together, sorted.

        Args:
            features: (N, C).
            coords: integers (N, 1 + D): the picture, then one coordinate per axis.
            size: of the grid.
            batch: number of pictures; None for as many as `coords` speaks of.

        Raises:
            InvalidInput: when the shapes do not meet, or a site lies outside the grid or comes twice.
        """
        if features.dim() != 2 or len(features) != len(coords):
            raise InvalidInput(
                f"features of shape {tuple(features.shape)} came for {len(coords)} sites; wanted one row each"
            )
        sites, order = Sites.of(coords.to(features.device), size, batch)
        return cls(_in_order(features, order), sites, (1,) * len(sites.size))

    @classmethod
    def from_dense(cls, grid: Tensor) -> Self:
        """Take every cell with a number other than zero as an active site.

        Args:
            grid: (N, C, *size).

        Raises:
            InvalidInput: when it has no or too many spatial axes.
        """
        if grid.dim() < 3:
            raise InvalidInput(f"a grid of shape {tuple(grid.shape)} came; wanted (N, C, *size)")
        coords = (grid != 0).any(dim=1).nonzero()  # sorted as sites are
        features = grid.movedim(1, -1)[tuple(coords.T)]
        return cls.of(features, coords, grid.shape[2:], len(grid))

    @property
    def coords(self) -> Tensor:
        """Give int32 (N, 1 + D): picture and coordinates."""
        return self.sites.coords

    @property
    def size(self) -> Axes:
        """Give the size of the grid."""
        return self.sites.size

    @property
    def batch(self) -> int:
        """Give the number of pictures."""
        return self.sites.batch

    @property
    def channels(self) -> int:
        """Give C."""
        return self.features.shape[1]

    def with_features(self, features: Tensor) -> SparseTensor:
        """Give other features at the same sites.

        Args:
            features: (N, any number of channels).
        """
        return replace(self, features=features)

    def dense(self) -> Tensor:
        """Give all cells as (batch, C, *size)."""
        grid = self.features.new_zeros((self.batch, *self.size, self.channels))
        index = tuple(self.coords.long().T)
        return grid.index_put(index, self.features).movedim(-1, 1).contiguous()

    def to(self, device: torch.device | str) -> SparseTensor:
        """Give the same tensor on another device."""
        return SparseTensor(self.features.to(device), self.sites.to(device), self.stride)


def _in_order(features: Tensor, order: Tensor) -> Tensor:
    """Give rows in an order; where NumPy can, by NumPy: torch's threads would go on waiting where ours compute next."""
    needs_gradient = features.requires_grad and torch.is_grad_enabled()
    if needs_gradient or features.dtype != torch.float32 or features.device.type != "cpu":
        return features[order]
    return torch.from_numpy(np.take(features.detach().numpy(), order.numpy(), axis=0))
