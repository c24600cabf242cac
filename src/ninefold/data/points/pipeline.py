"""From scans as stored (points in metres) to a batch as a network takes it (features at the cells of a grid)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Final, final

import numpy as np
import torch

from ninefold.data.draws import uniform
from ninefold.errors import InvalidInput, UnknownName
from ninefold.records import PointBatch
from ninefold.sparse import voxel_means, voxels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ninefold.records import PointSample
    from ninefold.sparse import Voxels

_MULTIPLE: Final = 16  # of a grid's size: four halvings leave no cell over


def rotate(points: Tensor, key: np.ndarray) -> Tensor:
    """Turn about the vertical through the origin, by any angle."""
    angle = float(uniform(key, "rotate", 1)[0, 0]) * 2 * pi
    turn = torch.tensor([[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    return points @ turn.to(points.dtype)


def flip(points: Tensor, key: np.ndarray) -> Tensor:
    """Mirror left and right (y), with probability 1/2."""
    mirrored = bool(uniform(key, "flip", 1)[0, 0] < 0.5)
    return points * points.new_tensor((1.0, -1.0, 1.0)) if mirrored else points


def scale(points: Tensor, key: np.ndarray) -> Tensor:
    """Stretch all axes alike, by 0.95 to 1.05."""
    return points * (0.95 + 0.1 * float(uniform(key, "scale", 1)[0, 0]))


POINT_AUGMENTATIONS: dict[str, Callable[[Tensor, np.ndarray], Tensor]] = {
    "flip": flip,
    "rotate": rotate,
    "scale": scale,
}


@final
@dataclass(frozen=True)
class PointPipeline:
    """Turn scans into a batch: augment, find the cells, take means over their points, normalise.

        features = (mean over the points of a cell of (x, y, z, ...) - mean) / std

    The grid begins at the lowest cell of each scan and is as large as the largest scan of the batch, in multiples of
    16 cells: every point is in a cell.

    Args:
        voxel: side of a cell in metres, > 0.
        mean: per feature, x, y and z first.
        std: as `mean`, above 0.
        augment: names from `POINT_AUGMENTATIONS`, applied in this order, each at most once.

    Raises:
        UnknownName: when an augmentation does not exist.
        InvalidInput: when a value is out of range.
    """

    voxel: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.augment:
            if name not in POINT_AUGMENTATIONS:
                raise UnknownName.among("augmentation of points", name, POINT_AUGMENTATIONS)
        if len(set(self.augment)) < len(self.augment):
            raise InvalidInput(f"augment={self.augment} names an augmentation twice; name each at most once")
        if len(self.mean) != len(self.std) or not self.voxel > 0 or min(self.std) <= 0:
            raise InvalidInput(
                f"voxel={self.voxel}, mean={self.mean}, std={self.std} came; wanted a voxel and stds above 0, and a "
                "mean and a std per feature"
            )

    def __call__(self, samples: Sequence[PointSample], seeds: Sequence[int] | None = None) -> PointBatch:
        """Make a batch of scans.

        Args:
            samples: at least one scan, or none for an empty batch.
            seeds: one per scan, in [0, 2^63): augment, each scan by its own seed alone. None: do not augment.

        Raises:
            InvalidInput: when there is not one seed per scan, or a scan has another number of features or a point that
                lies too far away.
        """
        if seeds is not None and len(seeds) != len(samples):
            raise InvalidInput(f"{len(samples)} scans came with {len(seeds)} seeds; give one seed per scan")
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        features, coords, cells = [torch.empty(0, len(self.mean))], [torch.empty(0, 4, dtype=torch.int32)], []
        before = 0
        for i, sample in enumerate(samples):
            points = sample.points if seeds is None else self._augmented(sample.points, seeds[i])
            known = torch.cat([points, sample.features], dim=1)  # (P, C)
            if known.shape[1] != len(self.mean):
                raise InvalidInput(f"{sample.name} has {known.shape[1]} features per point; wanted {len(self.mean)}")
            found = self._voxels(points, sample.name)
            features.append((voxel_means(known, found) - mean) / std)
            coords.append(torch.cat([torch.full_like(found.coords[:, :1], i), found.coords], dim=1))
            cells.append(found.cells + before)
            before += len(found.coords)
        return PointBatch(
            torch.cat(features),
            torch.cat(coords),
            _size(torch.cat(coords)),
            torch.cat([torch.empty(0, dtype=torch.int64), *cells]),
            torch.cat([torch.empty(0, dtype=torch.int64), *(sample.labels for sample in samples)]),
            tuple(sample.name for sample in samples),
        )

    def _voxels(self, points: Tensor, name: str) -> Voxels:
        try:
            return voxels(points, self.voxel)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}") from error

    def _augmented(self, points: Tensor, seed: int) -> Tensor:
        key = np.array([seed], np.uint64)
        for name in self.augment:
            points = POINT_AUGMENTATIONS[name](points, key)
        return points


def _size(coords: Tensor) -> tuple[int, int, int]:
    if not len(coords):
        return (_MULTIPLE,) * 3
    z, y, x = (-(-(int(last) + 1) // _MULTIPLE) * _MULTIPLE for last in coords[:, 1:].amax(dim=0))
    return z, y, x
