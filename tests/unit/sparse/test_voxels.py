import numpy as np
import pytest
import torch

from ninefold.errors import InvalidInput
from ninefold.sparse import at_points, limited_voxels, voxel_means, voxels

BOX = (0.0, -4.0, -1.0, 8.0, 4.0, 3.0)
SIDES = (0.5, 0.25, 1.0)


def cloud(count=300, seed=0):
    draw = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(BOX[:3]) - 0.3, torch.tensor(BOX[3:]) + 0.3
    places = low + (high - low) * torch.rand(count, 3, generator=draw)
    return torch.cat([places, torch.rand(count, 2, generator=draw)], dim=1)


def cell(point):
    """z, y, x of a point's cell, by definition."""
    return tuple(int(np.floor((point[axis] - BOX[axis]) / SIDES[axis])) for axis in (2, 1, 0))


def limited_by_hand(points, most_voxels, most_points):
    """First come, first served, one point after the other."""
    size = [round((BOX[axis + 3] - BOX[axis]) / SIDES[axis]) for axis in (2, 1, 0)]
    rows, held = {}, []
    for point in points.tolist():
        place = cell(point)
        if not all(0 <= at < n for at, n in zip(place, size, strict=True)):
            continue
        if place not in rows and len(rows) < most_voxels:
            rows[place] = len(held)
            held.append([])
        if place in rows and len(held[rows[place]]) < most_points:
            held[rows[place]].append(point)
    return list(rows), held


def test_every_point_is_in_the_cell_of_the_definition():
    points = cloud()[:, :3]
    found = voxels(points, SIDES, BOX[:3])
    for point, row in zip(points.tolist(), found.cells.tolist(), strict=True):
        place = cell(point)
        assert (row == -1) == (min(place) < 0)
        assert row == -1 or tuple(found.coords[row].tolist()) == place
    keys = [tuple(c) for c in found.coords.tolist()]
    assert keys == sorted(set(keys))


def test_without_a_corner_the_lowest_cell_is_zero_and_every_point_is_in_one():
    points = cloud()[:, :3] - 100
    found = voxels(points, 0.5)
    assert found.coords.amin(dim=0).tolist() == [0, 0, 0]
    assert found.cells.min() == 0
    moved = voxels(points + 50, 0.5)
    assert torch.equal(moved.coords, found.coords)


@pytest.mark.parametrize(("most_voxels", "most_points"), [(10_000, 100), (40, 2), (1, 1)])
def test_limited_voxels_are_those_of_one_point_after_the_other(most_voxels, most_points):
    points = cloud(500)
    points[:200, :3] = points[200:400, :3]  # cells with many points
    found = limited_voxels(points, SIDES, BOX, most_voxels=most_voxels, most_points=most_points)
    places, held = limited_by_hand(points, most_voxels, most_points)
    assert [tuple(c) for c in found.coords.tolist()] == places
    assert found.counts.tolist() == [len(inside) for inside in held]
    for row, inside in enumerate(held):
        torch.testing.assert_close(found.points[row, : len(inside)], torch.tensor(inside))
        assert not found.points[row, len(inside) :].any()
    assert torch.equal(found.cells[found.cells >= 0].bincount(minlength=len(places)), found.counts)


def test_means_go_back_to_the_points_they_are_of():
    points = torch.tensor([[0.1, 0.1, 0.1], [0.2, 0.3, 0.4], [3.0, 0.0, 0.0]])
    found = voxels(points, 1.0)
    means = at_points(voxel_means(points, found), found.cells)
    torch.testing.assert_close(means[0], points[:2].mean(0))
    torch.testing.assert_close(means[1:], torch.stack([means[0], points[2]]))


def test_points_in_no_cell_get_zeros_and_send_gradients_to_none():
    values = torch.ones(2, 3, requires_grad=True)
    got = at_points(values, torch.tensor([1, -1, 1]))
    assert got.tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3]
    got.sum().backward()
    assert values.grad.tolist() == [[0.0] * 3, [2.0] * 3]


def test_no_points_make_no_cells():
    found = voxels(torch.empty(0, 3), 0.5)
    assert (len(found.coords), len(found.cells)) == (0, 0)
    limited = limited_voxels(torch.empty(0, 4), 0.5, BOX, most_voxels=5, most_points=3)
    assert limited.points.shape == (0, 3, 4)


@pytest.mark.parametrize(
    ("points", "side", "said"),
    [
        (torch.zeros(4, 2), 0.5, r"\(4, 2\)"),
        (torch.zeros(4, 3), 0.0, "side=0.0"),
        (torch.tensor([[0.0, 0.0, 0.0], [0.0, float("nan"), 0.0]]), 0.5, "point 1"),
        (torch.tensor([[1e9, 0.0, 0.0]]), 0.5, "point 0"),
        (torch.zeros(4, 3, dtype=torch.int64), 0.5, "torch.int64 came; wanted floats"),
        (torch.zeros(4, 3), (0.5, 1.0), r"side=\(0.5, 1.0\)"),
    ],
)
def test_what_cannot_be_put_into_cells_is_refused(points, side, said):
    with pytest.raises(InvalidInput, match=said):
        voxels(points, side)


@pytest.mark.parametrize("low", [(0.0, 0.0), (0.0, 0.0, float("nan"))])
def test_a_corner_that_is_none_is_refused(low):
    with pytest.raises(InvalidInput, match="wanted x, y, z of a corner"):
        voxels(torch.zeros(4, 3), 0.5, low)


@pytest.mark.parametrize("high", [(8.0, 4.0), (8.0, -4.0, 3.0), (8.0, 4.0, -0.9), (8.0, 4.0, float("nan")), (1e9,) * 3])
def test_a_box_without_cells_or_with_too_many_is_refused(high):
    with pytest.raises(InvalidInput, match="wanted x, y, z of the low corner, then of the high one"):
        limited_voxels(cloud(), SIDES, (*BOX[:3], *high), most_voxels=5, most_points=1)


def test_cells_of_float64_points_are_counted_in_float64():
    points = torch.tensor([[0.0, 0.0, 0.0], [50_000.0, 0.0, 0.0]], dtype=torch.float64)
    assert voxels(points, 0.05).coords[1].tolist() == [0, 0, 1_000_000]


def test_values_of_other_points_have_no_means():
    with pytest.raises(InvalidInput, match=r"\(3, 2\) came for 4 points"):
        voxel_means(torch.zeros(3, 2), voxels(torch.zeros(4, 3), 0.5))


def test_no_room_is_refused():
    with pytest.raises(InvalidInput, match="most_points=0"):
        limited_voxels(cloud(), SIDES, BOX, most_voxels=5, most_points=0)
