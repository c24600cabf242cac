"""Planes of electrodes: the published one, and those of any montage."""

import numpy as np
import pytest

from ninefold.data.eeg.deap import CHANNELS
from ninefold.data.eeg.grid import deap_grid, grid_of, on_grid, plane_of
from ninefold.errors import InvalidInput

# The plane of the paper's code, cell by cell.
PUBLISHED = {
    "Fp1": (0, 3), "Fp2": (0, 5), "AF3": (1, 3), "AF4": (1, 5), "F7": (2, 0), "F3": (2, 2), "Fz": (2, 4), "F4": (2, 6),
    "F8": (2, 8), "FC5": (3, 1), "FC1": (3, 3), "FC2": (3, 5), "FC6": (3, 7), "T7": (4, 0), "C3": (4, 2), "Cz": (4, 4),
    "C4": (4, 6), "T8": (4, 8), "CP5": (5, 1), "CP1": (5, 3), "CP2": (5, 5), "CP6": (5, 7), "P7": (6, 0), "P3": (6, 2),
    "Pz": (6, 4), "P4": (6, 6), "P8": (6, 8), "PO3": (7, 3), "PO4": (7, 5), "O1": (8, 3), "Oz": (8, 4), "O2": (8, 5),
}  # fmt: skip


def cells(grid):
    return list(zip(grid.rows.tolist(), grid.columns.tolist(), strict=True))


def sphere(count, seed):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    points[:, 2] = np.abs(points[:, 2])
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_all_32_electrodes_lie_where_the_paper_has_them():
    grid = deap_grid()
    assert (grid.height, grid.width) == (9, 9)
    assert dict(zip(CHANNELS, cells(grid), strict=True)) == PUBLISHED


def test_values_lie_in_their_channels_cells_and_zeros_elsewhere():
    values = np.random.default_rng(0).normal(size=(5, 4, 32))
    plane = on_grid(values, deap_grid())
    assert plane.shape == (5, 4, 9, 9)
    assert (plane[:, :, 4, 4] == values[:, :, CHANNELS.index("Cz")]).all()
    assert (plane != 0).sum() == values.size
    assert on_grid(values.astype(np.float32), deap_grid()).dtype == np.float32


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (19, 2), (64, 3), (128, 4)])
def test_no_two_electrodes_share_a_cell_and_nobody_is_on_the_wrong_side(count, seed):
    positions = sphere(count, seed)
    grid = grid_of([str(i) for i in range(count)], positions)
    assert len(set(cells(grid))) == count
    angle = np.arccos(positions[:, 2])
    place = positions[:, :2] * (angle / np.hypot(*positions[:, :2].T))[:, None]
    place *= (grid.width - 1) / 2 / np.abs(place).max(axis=0)
    for cell, where in ((grid.columns, place[:, 0]), (-grid.rows, place[:, 1])):
        left_of = where[:, None] - where <= -0.5
        assert (cell[:, None] <= cell)[left_of].all()


def test_the_order_of_channels_changes_nothing():
    positions, names = sphere(40, 5), [str(i) for i in range(40)]
    grid, turned = grid_of(names, positions), grid_of(names[::-1], positions[::-1])
    assert cells(grid) == cells(turned)[::-1]


def test_more_electrodes_than_cells_make_the_plane_larger():
    names = [str(i) for i in range(82)]
    assert grid_of(names[:20], sphere(82, 6)[:20]).width == 9
    assert grid_of(names, sphere(82, 6)).width > 9


def test_electrodes_without_a_direction_are_refused():
    with pytest.raises(InvalidInput, match="b has no direction"):
        grid_of(["a", "b"], np.array([[0, 0, 1.0], [0, 0, 0]]))
    with pytest.raises(InvalidInput, match=r"\(2, 2\) came for 2 channels"):
        grid_of(["a", "b"], np.ones((2, 2)))


def test_names_alone_lie_almost_where_the_paper_has_them():
    pytest.importorskip("mne", reason="MNE is not installed")
    grid, published = grid_of(CHANNELS), deap_grid()
    assert (grid.height, grid.width) == (9, 9)
    assert (grid.rows == published.rows).all()
    assert np.abs(grid.columns - published.columns).max() <= 1
    sides = dict(zip(CHANNELS, grid.columns.tolist(), strict=True))
    assert all(sides[left] + sides[right] == 8 for left, right in (("F7", "F8"), ("C3", "C4"), ("PO3", "PO4")))


def test_channels_that_the_published_plane_has_lie_there_in_any_order_and_spelling():
    grid = plane_of(["O2", "FP1", "Fz-REF", "cz.."])
    assert (grid.height, grid.width) == (9, 9)
    assert cells(grid) == [PUBLISHED[name] for name in ("O2", "Fp1", "Fz", "Cz")]


def test_other_channels_lie_on_the_plane_of_their_montage():
    pytest.importorskip("mne", reason="MNE is not installed")
    for names in (["Fz", "FCz", "Cz-Ref"], ["Fz", "Fz-Ref"]):  # not there, and twice in one cell
        assert cells(plane_of(names)) == cells(grid_of(names))
        assert len(set(cells(plane_of(names)))) == len(names)


def test_names_that_only_the_larger_montage_has_and_names_that_none_has():
    pytest.importorskip("mne", reason="MNE is not installed")
    grid = grid_of(["FFC1h", "Cz", "ffc2h", "OI1h"])
    assert grid.columns[0] < grid.columns[1] < grid.columns[2]
    assert grid.rows[0] < grid.rows[1] < grid.rows[3]
    with pytest.raises(InvalidInput, match="have no hEOG; leave them out or give positions"):
        grid_of(["Cz", "hEOG"])
