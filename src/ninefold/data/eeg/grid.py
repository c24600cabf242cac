"""Electrodes on a plane: a cell each, so that neighbours on the head are neighbours in a picture of it.

Row 0 is the front of the head, column 0 its left.
"""

from __future__ import annotations

import re
from math import ceil, sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ninefold.data.eeg.deap import CHANNELS
from ninefold.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST_SIDE: Final = 9
_MOST_SIDE: Final = 65
_MONTAGES: Final = ("easycap-M1", "colin27_1005", "standard_1005")  # 74 on a sphere; 343 on a head, renamed by MNE
_REFERENCE: Final = re.compile(r"(\.+|-(ref|le|avg))$")  # "Fz-REF" and "Fz.." lie where "Fz" does
_LEVEL: Final = 0.5  # cells: electrodes whose places differ by less count as in one row, or column

# The plane of Yang and others 2018: as the released code has it, row by row.
_PLANE: Final = """
 .   .   .   Fp1 .   Fp2 .   .   .
 .   .   .   AF3 .   AF4 .   .   .
 F7  .   F3  .   Fz  .   F4  .   F8
 .   FC5 .   FC1 .   FC2 .   FC6 .
 T7  .   C3  .   Cz  .   C4  .   T8
 .   CP5 .   CP1 .   CP2 .   CP6 .
 P7  .   P3  .   Pz  .   P4  .   P8
 .   .   .   PO3 .   PO4 .   .   .
 .   .   .   O1  Oz  O2  .   .   .
"""


class Grid(NamedTuple):
    """A cell per channel.

    Args:
        height: in cells.
        width: in cells.
        rows: int64 (C,), from 0 at the front.
        columns: int64 (C,), from 0 at the left.
    """

    height: int
    width: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def deap_grid() -> Grid:
    """Give the published 9x9 plane for DEAP's 32 channels, in the order of its files.

    Source: Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous convolutional neural network with 3D input for EEG-based emotion
    recognition", ICONIP 2018.

    >>> grid = deap_grid()
    >>> int(grid.rows[CHANNELS.index("Cz")]), int(grid.columns[CHANNELS.index("Cz")])
    (4, 4)
    """
    return plane_of(CHANNELS)


def plane_of(channels: Sequence[str]) -> Grid:
    """Give the published plane where it has a cell for each of the channels, else that of `grid_of`; raises as that."""
    lines = [line.lower().split() for line in _PLANE.strip().splitlines()]
    cells = {name: (row, column) for row, line in enumerate(lines) for column, name in enumerate(line) if name != "."}
    sites = _sites(channels)
    if not set(sites) <= set(cells) or len(set(sites)) < len(sites):
        return grid_of(channels)
    rows, columns = np.array([cells[site] for site in sites]).T
    return Grid(len(lines), len(lines[0]), rows, columns)


def grid_of(channels: Sequence[str], positions: NDArray[np.float64] | None = None) -> Grid:
    """Lay the electrodes of any montage on a plane.

    The head is unrolled from the vertex: an electrode lies in its direction, as far from the middle as its angle from
    the vertical. The middle of the plane is the vertex, and the outermost electrodes touch its sides. Beginning in the
    middle, everybody takes the nearest free cell in which nobody ends up to the wrong side of somebody else: who is
    half a cell or more to the left of another gets no column to the right of it, and likewise to the front. The plane
    is the smallest square of 9x9, 11x11, ... on which all find one.

    Args:
        channels: C names; case does not matter, nor dots or -Ref, -LE and -Avg at their end.
        positions: (C, 3), x to the right, y to the front, z upwards, from the middle of the head, in any unit; None
            takes MNE's for names of the 10-20 system and its extensions: on a sphere if that montage has them all.

    Raises:
        InvalidInput: when MNE does not know a name, or a position is missing, no number, or in the middle.
        MissingExtra: when there are no positions and MNE is not installed.

    >>> grid_of(["left", "top", "right"], np.array([[-1.0, 0, 0], [0, 0, 1], [1, 0, 0]])).columns
    array([0, 4, 8])
    """
    places = _unrolled(positions_of(channels) if positions is None else np.asarray(positions, float), channels)
    for side in range(_LEAST_SIDE, _MOST_SIDE + 1, 2):
        cells = _placed(places * (side - 1) / 2, side)
        if cells is not None:
            rows, columns = (cells + (side - 1) // 2).T
            return Grid(side, side, rows, columns)
    raise InvalidInput(
        f"{len(channels)} channels found no cells of their own on a plane of {_MOST_SIDE}x{_MOST_SIDE}; leave out "
        "those that lie on one another"
    )


def raster(channels: int) -> Grid:
    """Give a square plane for channels of which no place is known: side by side, row by row.

    >>> raster(5).rows
    array([0, 0, 0, 1, 1])
    """
    side = ceil(sqrt(channels))
    return Grid(side, side, *divmod(np.arange(channels), side))


def on_grid(values: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Lay the values of channels on a plane.

    Args:
        values: (N, B, C).
        grid: a cell per channel.

    Returns:
        (N, B, height, width) of the values' type, 0 where no channel is.
    """
    plane = np.zeros((*values.shape[:2], grid.height, grid.width), values.dtype)
    plane[:, :, grid.rows, grid.columns] = values
    return plane


def _unrolled(positions: NDArray[np.float64], channels: Sequence[str]) -> NDArray[np.float64]:
    """Give (C, 2) places to the back and to the right, from -1 to 1 with the vertex at 0."""
    if positions.shape != (len(channels), 3):
        raise InvalidInput(
            f"positions of shape {positions.shape} came for {len(channels)} channels; wanted x, y, z each"
        )
    across = np.hypot(positions[:, 0], positions[:, 1])
    lost = ~np.isfinite(positions).all(axis=1) | ~positions.any(axis=1)
    if lost.any():
        raise InvalidInput(f"{channels[int(lost.argmax())]} has no direction from the middle of the head; leave it out")
    angle = np.arctan2(across, positions[:, 2])
    places = positions[:, [1, 0]] * [-1, 1] * (angle / np.where(across > 0, across, 1.0))[:, None]
    most = np.abs(places).max(axis=0)
    return places / np.where(most > 0, most, 1.0)


def _placed(places: NDArray[np.float64], side: int) -> NDArray[np.int64] | None:
    """Give (C, 2) cells, counted from the middle, or None where somebody finds none."""
    around = np.arange(side) - (side - 1) // 2
    free = np.stack(np.meshgrid(around, around, indexing="ij"), axis=-1).reshape(-1, 2)
    cells = np.zeros(places.shape, np.int64)
    placed: list[int] = []
    for who in np.lexsort((*places.round(6).T, np.hypot(*places.T).round(6))):
        apart = places[who] - places[placed]  # (placed, 2)
        wrong = (free[:, None] - cells[placed]) * np.sign(apart) * (np.abs(apart) >= _LEVEL) < 0
        taken = (free[:, None] == cells[placed]).all(axis=2)
        fits = free[~(wrong.any(axis=2) | taken).any(axis=1)]
        if not len(fits):
            return None
        cells[who] = fits[np.square(fits - places[who]).sum(axis=1).round(6).argmin()]
        placed.append(int(who))
    return cells


def positions_of(channels: Sequence[str]) -> NDArray[np.float64]:  # (C, 3)
    """Give MNE's positions of electrodes, in metres from the middle of the head; raises as `grid_of`."""
    try:
        from mne.channels import get_builtin_montages, make_standard_montage
    except ImportError as error:
        raise MissingExtra.of("mne", "eeg") from error
    lost, sites = list(channels), _sites(channels)
    for montage in (name for name in _MONTAGES if name in get_builtin_montages()):
        places = make_standard_montage(montage).get_positions()["ch_pos"]
        known = {name.lower(): place for name, place in places.items()}
        lost = [name for name, site in zip(channels, sites, strict=True) if site not in known]
        if not lost:
            return np.stack([known[site] for site in sites]) - _middle(np.stack([*known.values()]))
    raise InvalidInput(
        f"MNE's montages of the extended 10-20 system have no {', '.join(lost)}; leave them out or give positions"
    )


def _sites(channels: Sequence[str]) -> list[str]:
    return [_REFERENCE.sub("", name.lower()) for name in channels]


def _middle(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the middle of the sphere through points, by least squares: |p|^2 = 2 p m + r^2 - |m|^2."""
    terms = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(terms, np.square(points).sum(axis=1))[0][:3]
