"""The names of `spconv.utils`: voxels from arrays, and boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ninefold.errors import Unsupported
from ninefold.sparse.spconv.pytorch.utils import PointToVoxel, gather_features_by_pc_voxel_id
from ninefold.sparse.spconv.pytorch.voxels import Voxels
from ninefold.sparse.spconv.tensorview import Tensor, from_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Point2VoxelCPU1d",
    "Point2VoxelCPU2d",
    "Point2VoxelCPU3d",
    "Point2VoxelCPU4d",
    "Point2VoxelGPU1d",
    "Point2VoxelGPU2d",
    "Point2VoxelGPU3d",
    "Point2VoxelGPU4d",
    "PointToVoxel",
    "gather_features_by_pc_voxel_id",
    "non_max_suppression_cpu",
    "rbbox_intersection",
    "rbbox_iou",
    "rbbox_iou_loss",
    "rotate_non_max_suppression_cpu",
]


class _Point2Voxel(Voxels):
    def __init__(
        self,
        vsize_xyz: Sequence[float],
        coors_range_xyz: Sequence[float],
        num_point_features: int,
        max_num_voxels: int,
        max_num_points_per_voxel: int,
    ) -> None:
        limits = num_point_features, max_num_voxels, max_num_points_per_voxel
        super().__init__(vsize_xyz, coors_range_xyz, limits, torch.device("cpu"))

    def point_to_voxel(self, points: Tensor | np.ndarray, clear_voxels: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Give voxels, indices and counts, as `PointToVoxel` does.

        Args:
            points: float32 (N, F).
            clear_voxels: see there.
        """
        return self._filled(points, clear_voxels, mean=False)

    def point_to_voxel_empty_mean(
        self, points: Tensor | np.ndarray, clear_voxels: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the same, places without a point filled with the mean of the voxel's points.

        Args:
            points: float32 (N, F).
            clear_voxels: see `PointToVoxel`.
        """
        return self._filled(points, clear_voxels, mean=True)

    def _filled(self, points: Tensor | np.ndarray, clear: bool, mean: bool) -> tuple[Tensor, Tensor, Tensor]:
        array = points if isinstance(points, np.ndarray) else points.numpy()
        count, _ = self.fill(torch.from_numpy(np.ascontiguousarray(array)), clear, mean)
        held = self.voxels, self.indices, self.num_per_voxel
        voxels, indices, counts = (from_numpy(tensor[:count].numpy()) for tensor in held)
        return voxels, indices, counts


class _Point2VoxelGPU(_Point2Voxel):
    def point_to_voxel_hash(
        self,
        points: Tensor | np.ndarray,
        clear_voxels: bool = True,
        empty_mean: bool = False,
        stream_int: int = 0,  # noqa: ARG002  # upstream's argument
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give what `point_to_voxel` gives, computed on the CPU.

        Args:
            points: float32 (N, F).
            clear_voxels: see `PointToVoxel`.
            empty_mean: see `PointToVoxel`.
            stream_int: taken and not needed.
        """
        return self._filled(points, clear_voxels, empty_mean)


class Point2VoxelCPU1d(_Point2Voxel):
    """`PointToVoxel` over one axis, from and to arrays."""


class Point2VoxelCPU2d(_Point2Voxel):
    """`PointToVoxel` over two axes, from and to arrays."""


class Point2VoxelCPU3d(_Point2Voxel):
    """`PointToVoxel` over three axes, from and to arrays."""


class Point2VoxelCPU4d(_Point2Voxel):
    """`PointToVoxel` over four axes, from and to arrays."""


class Point2VoxelGPU1d(_Point2VoxelGPU):
    """`Point2VoxelCPU1d` under its CUDA name."""


class Point2VoxelGPU2d(_Point2VoxelGPU):
    """`Point2VoxelCPU2d` under its CUDA name."""


class Point2VoxelGPU3d(_Point2VoxelGPU):
    """`Point2VoxelCPU3d` under its CUDA name."""


class Point2VoxelGPU4d(_Point2VoxelGPU):
    """`Point2VoxelCPU4d` under its CUDA name."""


def non_max_suppression_cpu(boxes: np.ndarray, order: np.ndarray, thresh: float, eps: float = 0.0) -> list[int]:
    """Give the boxes that no better box overlaps.

    Args:
        boxes: (N, 4 or more): x1, y1, x2, y2.
        order: int (N,), the best first.
        thresh: overlap (intersection over union) from which on a box is dropped.
        eps: added to every width and height.
    """
    low, high = boxes[:, :2], boxes[:, 2:4]
    areas = (high - low + eps).prod(axis=1)
    kept, left = [], np.asarray(order)
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        sides = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]) + eps
        shared = np.maximum(sides, 0).prod(axis=1)
        left = left[shared < thresh * (areas[best] + areas[left] - shared)]
    return kept


def _needs_boost(*_: object) -> None:
    raise Unsupported(
        "rotated boxes need spconv built with Boost, and its wheels are not either; compute them elsewhere"
    )


rbbox_iou = rbbox_intersection = rbbox_iou_loss = rotate_non_max_suppression_cpu = _needs_boost
