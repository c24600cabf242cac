"""Scans on which ways to compute sparse convolutions are compared: made here, the same on every machine.

Cells stand in the order in which their first points came, as a scanner's driver would hand them over.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ninefold.nn import sphere
from ninefold.sparse import limited_voxels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from ninefold.spec import Axes

_CAMERA: Final = 40.7  # degrees to both sides that a camera beside the scanner sees
_ANY: Final = 10_000_000  # cells: no limit


class Scan(NamedTuple):
    """Active cells of one grid.

    Args:
        coords: int32 (N, 4), 0, z, y, x, no two alike, in no particular order.
        size: of the grid along z, y, x.
    """

    coords: Tensor
    size: Axes


def _lidar() -> Tensor:
    from ninefold.data.points.street import Scanner, scan

    return scan(0, Scanner(beams=64, turns=2083, reach=80.0)).points


def _crop() -> Scan:
    points = _lidar()
    seen = torch.atan2(points[:, 1], points[:, 0]).rad2deg().abs() < _CAMERA
    return _cells(points[seen], (0.05, 0.05, 0.1), (0.0, -40.0, -3.0, 70.4, 40.0, 1.0), (41, 1600, 1408))


def _ring() -> Scan:
    return _cells(_lidar(), (0.05,) * 3, (-80.0, -80.0, -4.0, 80.0, 80.0, 16.0), (400, 3200, 3200))


def _room() -> Scan:
    from ninefold.data.points.room import room

    points, side = room(0, spacing=0.016, noise=0.002).points, 0.02
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    low = points.amin(dim=0)
    size = ((points.amax(dim=0) - low) / side).floor().int() + 1
    high = low + (size + 1) * side
    return _cells(points[order], (side,) * 3, (*low.tolist(), *high.tolist()), size.flip(0).add(1).tolist())


def _shell(cells: int) -> Scan:
    shell = sphere(1, cells)
    return Scan(shell.coords, shell.size)


def _cells(points: Tensor, side: tuple[float, ...], box: tuple[float, ...], size: Sequence[int]) -> Scan:
    found = limited_voxels(points, side, box, most_voxels=_ANY, most_points=1).coords
    return Scan(torch.nn.functional.pad(found, (1, 0)), tuple(size))


SCANS: Final[Mapping[str, Callable[[], Scan]]] = {
    "lidar-crop": _crop,  # what SECOND reads of KITTI: 5 x 5 x 10 cm
    "lidar-ring": _ring,  # a whole turn in cells of 5 cm: more than 2^31 of them
    "room": _room,  # in cells of 2 cm
    "sphere": partial(_shell, 128),  # a closed surface
    "small-sphere": partial(_shell, 32),  # on which sums take less time than all else
}
