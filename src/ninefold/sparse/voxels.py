"""From points to the cells of a grid that hold them, and back.

Points are x, y, z; cells are counted along z, y, x, as the grids of sparse tensors are.
"""

from __future__ import annotations

from math import isfinite, prod
from typing import TYPE_CHECKING, NamedTuple

import torch

from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_FARTHEST = 2**20  # cells from the origin: three such numbers fit into one key of 63 bits


class Voxels(NamedTuple):
    """The cells that hold points.

    Args:
        coords: int32 (V, 3), z, y, x, sorted, no two alike.
        cells: int64 (P,), the row in `coords` of every point; -1 where the point lies in none.
    """

    coords: Tensor
    cells: Tensor


class LimitedVoxels(NamedTuple):
    """The cells that hold points, with room for so many cells and so many points in each.

    Args:
        points: (V, T, F), the first T points of every cell, in their order; zeros where there are fewer.
        coords: int32 (V, 3), z, y, x, in the order in which the points came to them first.
        counts: int64 (V,), how many of the T are there.
        cells: int64 (P,), the row of every point's cell; -1 where it lies in none, or was left out.
    """

    points: Tensor
    coords: Tensor
    counts: Tensor
    cells: Tensor


def voxels(points: Tensor, side: float | Sequence[float], low: Sequence[float] | None = None) -> Voxels:
    """Find the cells of all points, as many as there are (dynamic voxelisation).

        cell = floor((point - low) / side)

    Args:
        points: (P, 3), x, y, z.
        side: of a cell, in the points' unit, > 0: one number, or x, y, z.
        low: the corner x, y, z from which cells are counted; None: cells are counted from the lowest that holds a point
            on each axis, and the corners of cells lie at multiples of `side`.

    Returns:
        Every point is in a cell; those below `low` are in none.

    Raises:
        InvalidInput: when a point is no number, or lies more than 2^20 cells away.

    >>> voxels(torch.tensor([[0.1, 0.0, 0.9], [2.6, 0.0, 0.3], [0.4, 0.2, 0.7]]), side=0.5)
    Voxels(coords=tensor([[0, 0, 5],
            [1, 0, 0]], dtype=torch.int32), cells=tensor([1, 0, 1]))
    """
    places = _places(points, side, low)
    if low is None:
        places = places - (places.amin(dim=0) if len(places) else 0)
    return _grouped(places, (places >= 0).all(dim=1), (2 * _FARTHEST,) * 3)


def limited_voxels(
    points: Tensor,
    side: float | Sequence[float],
    box: Sequence[float],
    *,
    most_voxels: int,
    most_points: int,
) -> LimitedVoxels:
    """Put points into cells until there is no more room: first come, first served (hard voxelisation).

    Args:
        points: (P, F), x, y, z and whatever else is known of a point.
        side: of a cell, in the points' unit, > 0: one number, or x, y, z.
        box: x, y, z of the low corner, then of the high one; points outside are left out.
        most_voxels: cells that there is room for, >= 1; points of further cells are left out.
        most_points: points of a cell that there is room for, >= 1; further ones are left out.

    Raises:
        InvalidInput: when a point is no number, or an argument is out of range.

    Source: Y. Zhou, O. Tuzel, "VoxelNet: End-to-End Learning for Point Cloud Based 3D Object Detection", CVPR 2018,
    section 2.1.1, which takes points of a full cell at random; here the first ones stay.
    """
    if min(most_voxels, most_points) < 1:
        raise InvalidInput(f"most_voxels={most_voxels}, most_points={most_points} came; both must be at least 1")
    places = _places(points[:, :3], side, box[:3])
    coords, cells, turns = first_come(places, _cells_of(box, _sides(side, points)), most_voxels)
    kept = (cells >= 0) & (turns < most_points)
    room = points.new_zeros((len(coords), most_points, points.shape[1]))
    room[cells[kept], turns[kept]] = points[kept]
    counts = torch.bincount(cells[kept], minlength=len(coords))
    return LimitedVoxels(room, coords, counts, torch.where(kept, cells, -1))


def first_come(places: Tensor, size: Sequence[int], most_voxels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Number the cells of a grid in the order in which points come to them, for as many as there is room.

    Args:
        places: int64 (P, D), the cell of every point; it may lie outside.
        size: cells of the grid, D numbers.
        most_voxels: cells that there is room for.

    Returns:
        int32 (V, D), the cells; int64 (P,), the row of every point's, -1 where it lies outside or came too late; and
        int64 (P,), how many points came to the same cell before.
    """
    inside = ((places >= 0) & (places < places.new_tensor(size))).all(dim=1)
    coords, cells = _grouped(places, inside, size)
    order, cells = _by_arrival(cells, len(coords))
    cells = torch.where(cells < most_voxels, cells, -1)
    coords = coords[order[:most_voxels]]
    return coords, cells, _turns(cells, len(coords))


def voxel_means(values: Tensor, found: Voxels) -> Tensor:
    """Give the mean over the points of every cell.

    Args:
        values: (P, F), of the points.
        found: their cells.

    Returns:
        (V, F).

    Raises:
        InvalidInput: when there is not one row per point.
    """
    if values.dim() != 2 or len(values) != len(found.cells):
        raise InvalidInput(
            f"values of shape {tuple(values.shape)} came for {len(found.cells)} points; wanted ({len(found.cells)}, F)"
        )
    inside = found.cells >= 0
    cells, count = found.cells[inside], len(found.coords)
    sums = values.new_zeros((count, values.shape[1])).index_add_(0, cells, values[inside])
    return sums / torch.bincount(cells, minlength=count)[:, None].to(values.dtype)


def at_points(values: Tensor, cells: Tensor) -> Tensor:
    """Give every point the row of its cell; zeros where it is in none.

    Args:
        values: (V, F), of the cells.
        cells: int64 (P,), as in `Voxels`.

    Returns:
        (P, F); gradients flow back to the cells.
    """
    padded = torch.cat([values, values.new_zeros((1, values.shape[1]))])
    return padded[cells]  # -1 is the last row


def _places(points: Tensor, side: float | Sequence[float], low: Sequence[float] | None) -> Tensor:
    """Give int64 (P, 3): z, y, x of every point's cell."""
    if points.dim() != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise InvalidInput(f"points of {tuple(points.shape)} and {points.dtype} came; wanted floats (P, 3): x, y, z")
    if low is not None and not (len(low) == 3 and all(map(isfinite, low))):
        raise InvalidInput(f"low={low} came; wanted x, y, z of a corner")
    corner = points.new_tensor((0.0, 0.0, 0.0) if low is None else low)
    places = ((points - corner) / _sides(side, points)).floor()
    far = ~(places.abs() < _FARTHEST).all(dim=1)  # nan is far, too
    if far.any():
        row = int(far.nonzero()[0])
        raise InvalidInput(
            f"point {row} is {tuple(points[row].tolist())}, not a place within 2^20 cells of {side}; leave it out"
        )
    return places.long().flip(1)


def _sides(side: float | Sequence[float], points: Tensor) -> Tensor:
    sides = torch.as_tensor(side, dtype=points.dtype, device=points.device)
    if sides.shape not in ((), (3,)) or not (sides > 0).all():
        raise InvalidInput(f"side={side} came; wanted one number above 0, or three: x, y, z")
    return sides.expand(3)


def _cells_of(box: Sequence[float], sides: Tensor) -> list[int]:
    """Count a box's cells along z, y, x."""
    corners = sides.new_tensor(box)
    cells = ((corners[3:] - corners[:3]) / sides).round().flip(0) if len(box) == 6 else sides.new_zeros(3)
    if not ((cells >= 1) & (cells <= _FARTHEST)).all():  # nan is neither
        raise InvalidInput(
            f"box={tuple(box)} came for cells of {sides.tolist()}; wanted x, y, z of the low corner, then of the high "
            "one, from 1 to 2^20 cells apart"
        )
    return [int(n) for n in cells.tolist()]


def _grouped(places: Tensor, inside: Tensor, size: Sequence[int]) -> Voxels:
    """Sort the cells of the points that are inside: from 0 up to `size` on every axis."""
    strides = places.new_tensor([prod(size[axis + 1 :]) for axis in range(len(size))])
    keys, rows = torch.unique((places[inside] * strides).sum(dim=1), return_inverse=True)
    coords = (keys[:, None] // strides % places.new_tensor(size)).to(torch.int32)
    cells = torch.full((len(places),), -1, dtype=torch.int64, device=places.device)
    cells[inside] = rows
    return Voxels(coords, cells)


def _by_arrival(cells: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Number the cells anew as points come to them first; give the old number of each, and the points' new ones."""
    points = torch.arange(len(cells), device=cells.device)
    inside = cells >= 0
    first = points.new_full((count,), len(cells)).scatter_reduce_(0, cells[inside], points[inside], "amin")
    order = first.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(count, device=cells.device)
    return order, torch.where(inside, rank[cells.clamp(min=0)], -1) if count else cells


def _turns(cells: Tensor, count: int) -> Tensor:
    """Say for every point how many of its cell came before it."""
    sorted_cells, order = torch.sort(cells, stable=True)
    sizes = torch.bincount(cells + 1, minlength=count + 1)
    starts = sizes.cumsum(0) - sizes
    turns = torch.empty_like(cells)
    turns[order] = torch.arange(len(cells), device=cells.device) - starts[sorted_cells + 1]
    return turns
