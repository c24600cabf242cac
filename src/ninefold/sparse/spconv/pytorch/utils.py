"""Points to voxels, and back: the names of `spconv.pytorch.utils`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ninefold.sparse.spconv.pytorch.voxels import Voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_CPU = torch.device("cpu")


class PointToVoxel(Voxels):
    """Puts points into voxels, with limits.

    Args:
        vsize_xyz: size of a voxel per axis, x first, in the unit of the points.
        coors_range_xyz: least coordinates, then largest, x first.
        num_point_features: F, the coordinates among them, which come first.
        max_num_voxels: the most voxels; points of further ones are dropped.
        max_num_points_per_voxel: P, the most points of one voxel.
        device: of everything.

    >>> voxels = PointToVoxel([1.0, 1.0], [0, 0, 4, 4], 2, max_num_voxels=8, max_num_points_per_voxel=2)
    >>> _, indices, counts = voxels(torch.tensor([[0.5, 3.5], [0.6, 3.2], [9.0, 0.0]]))
    >>> indices.tolist(), counts.tolist()
    ([[3, 0]], [2])
    """

    def __init__(
        self,
        vsize_xyz: Sequence[float],
        coors_range_xyz: Sequence[float],
        num_point_features: int,
        max_num_voxels: int,
        max_num_points_per_voxel: int,
        device: torch.device = _CPU,
    ) -> None:
        limits = num_point_features, max_num_voxels, max_num_points_per_voxel
        super().__init__(vsize_xyz, coors_range_xyz, limits, device)

    def __call__(self, pc: Tensor, clear_voxels: bool = True, empty_mean: bool = False) -> tuple[Tensor, ...]:
        """Give voxels, indices and counts, see `generate_voxel_with_id`."""
        return self.generate_voxel_with_id(pc, clear_voxels, empty_mean)[:3]

    def generate_voxel_with_id(
        self, pc: Tensor, clear_voxels: bool = True, empty_mean: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Put points into voxels, in the order in which voxels are first met.

        Args:
            pc: float32 (N, F).
            clear_voxels: whether places without a point are zero; else they hold what was there before.
            empty_mean: whether they hold the mean of the voxel's points.

        Returns:
            float32 (V, P, F) points, int32 (V, D) voxels, the last axis of the points first, int32 (V,) points in each,
            and int64 (N,): each point's voxel, -1 where it was dropped.
        """
        count, ids = self.fill(pc, clear_voxels, empty_mean)
        return self.voxels[:count].clone(), self.indices[:count].clone(), self.num_per_voxel[:count].clone(), ids


def gather_features_by_pc_voxel_id(seg_res_features: Tensor, pc_voxel_id: Tensor, invalid_value: float = 0) -> Tensor:
    """Give every point the features of its voxel.

    Args:
        seg_res_features: (V, ...).
        pc_voxel_id: int64 (N,), -1 for points without one.
        invalid_value: what those get.

    Returns:
        (N, ...).
    """
    ids = pc_voxel_id.to(seg_res_features.device)
    out = seg_res_features.new_full((len(ids), *seg_res_features.shape[1:]), invalid_value)
    out[ids >= 0] = seg_res_features[ids[ids >= 0]]
    return out
