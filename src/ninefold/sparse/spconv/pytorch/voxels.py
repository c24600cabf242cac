"""Putting points into voxels, with spconv's limits."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.voxels import first_come

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Voxels:
    """A grid, and buffers for what was put into it last.

    Args:
        vsize_xyz: size of a voxel per axis, x first.
        coors_range_xyz: least coordinates, then largest, x first.
        limits: features per point, most voxels, most points per voxel.
        device: of the buffers.
    """

    def __init__(
        self,
        vsize_xyz: Sequence[float],
        coors_range_xyz: Sequence[float],
        limits: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        self.ndim = len(vsize_xyz)
        if len(coors_range_xyz) != 2 * self.ndim:
            raise Refused(f"a range of {len(coors_range_xyz)} numbers came for {self.ndim} axes; wanted twice as many")
        self.num_point_features, self.max_num_voxels, self.max_num_points_per_voxel = limits
        sides = list(zip(vsize_xyz, coors_range_xyz[: self.ndim], coors_range_xyz[self.ndim :], strict=True))
        if min(limits) < 1 or limits[0] < self.ndim or not all(step > 0 and low < high for step, low, high in sides):
            raise Refused(
                f"(size of a voxel, low, high) {sides} and (features, voxels, points) {limits} came; wanted sizes "
                f"above 0, lows below highs, at least {self.ndim} features, and 1 voxel and point"
            )
        self.device = device
        self._low = torch.tensor(coors_range_xyz[: self.ndim], dtype=torch.float32, device=device)
        self._step = torch.tensor(vsize_xyz, dtype=torch.float32, device=device)
        high = torch.tensor(coors_range_xyz[self.ndim :], dtype=torch.float32, device=device)
        # everything below is z first, as sites are
        self.vsize = self._step.flip(0).tolist()
        self.coors_range = [*self._low.flip(0).tolist(), *high.flip(0).tolist()]
        self.grid_size = ((high - self._low) / self._step).round().long().flip(0).tolist()
        self.grid_stride = [prod(self.grid_size[axis + 1 :]) for axis in range(self.ndim)]
        features, voxels, points = limits
        self.voxels = torch.zeros((voxels, points, features), dtype=torch.float32, device=device)
        self.indices = torch.zeros((voxels, self.ndim), dtype=torch.int32, device=device)
        self.num_per_voxel = torch.zeros(voxels, dtype=torch.int32, device=device)

    @torch.no_grad()
    def fill(self, points: Tensor, clear: bool, mean: bool) -> tuple[int, Tensor]:
        """Put points into the buffers, in the order in which voxels are first met.

        Args:
            points: float32 (N, F).
            clear: whether places without a point are zero.
            mean: whether they are the mean of the voxel's points.

        Returns:
            How many voxels there are, and int64 (N,): each point's, -1 where it was dropped.
        """
        if points.dim() != 2 or points.shape[1] != self.num_point_features or points.dtype != torch.float32:
            raise Refused(
                f"points of shape {tuple(points.shape)} and {points.dtype} came; wanted float32 (N, "
                f"{self.num_point_features})"
            )
        places = ((points[:, : self.ndim] - self._low) / self._step).floor().flip(1)
        near = places.nan_to_num(-1.0).clamp(-1, max(self.grid_size)).long()  # what is far is outside, no overflow
        cells, ids, turns = first_come(near, self.grid_size, self.max_num_voxels)
        count, kept = len(cells), (ids >= 0) & (turns < self.max_num_points_per_voxel)
        self.indices[:count] = cells
        self.num_per_voxel[:count] = torch.bincount(ids[kept], minlength=count)
        if clear:
            self.voxels.zero_()
        self.voxels[ids[kept], turns[kept]] = points[kept]
        if mean:
            self._fill_with_means(count)
        return count, ids

    def _fill_with_means(self, count: int) -> None:
        voxels, counts = self.voxels[:count], self.num_per_voxel[:count, None]
        held = torch.arange(self.max_num_points_per_voxel, device=counts.device) < counts  # (V, P)
        means = (voxels * held[:, :, None]).sum(dim=1) / counts  # (V, F)
        self.voxels[:count] = torch.where(held[:, :, None], voxels, means[:, None])
