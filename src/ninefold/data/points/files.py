"""A user's own scans: files of points without labels, by the ending of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from ninefold.data.points.ply import read_ply
from ninefold.data.points.velodyne import read_velodyne
from ninefold.errors import CorruptFile, InvalidInput
from ninefold.records import PointSample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCAN_SUFFIXES: Final = (".bin", ".ply")
_VELODYNE: Final = ("x", "y", "z", "intensity")
_FULL: Final = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
_PREFIX: Final = "scalar_"  # CloudCompare puts it before every column of its own


def read_scan(path: Path, features: Sequence[str]) -> PointSample:
    """Read the points of a file.

    Args:
        path: `.bin`, as KITTI keeps scans: x, y, z, intensity; or `.ply`, whose columns are found by their names,
            whatever their case, with or without `scalar_` before them.
        features: names of what else than x, y and z is wanted; unsigned whole numbers of 8 or 16 bits become shares of
            the largest one.

    Returns:
        The points in the file's order; no label is known.

    Raises:
        InvalidInput: when the file has another ending, or lacks a feature.
        MissingData: when it is not there.
        CorruptFile: when it is damaged, has no point, or holds what is no number.
    """
    columns = _columns(path)
    missing = [name for name in ("x", "y", "z", *features) if name not in columns]
    if missing:
        raise InvalidInput(
            f"{path} has {', '.join(columns)} for each point and no {' or '.join(missing)}; wanted x, y, z"
            f"{''.join(f', {name}' for name in features)}: add or rename a column"
        )
    rows = np.stack([_shares(columns[name]) for name in ("x", "y", "z", *features)], axis=1)  # (P, 3 + F)
    if not len(rows):
        raise CorruptFile(f"{path} has no point; leave it out")
    wrong = ~np.isfinite(rows).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise CorruptFile(f"{path}: point {row} is {tuple(rows[row].tolist())}; wanted numbers: remove the point")
    points = torch.from_numpy(rows)
    return PointSample(points[:, :3], points[:, 3:], torch.full((len(rows),), -1), str(path))


def _columns(path: Path) -> Mapping[str, np.ndarray]:
    if path.suffix.lower() == ".bin":
        return dict(zip(_VELODYNE, read_velodyne(path).numpy().T, strict=True))
    if path.suffix.lower() == ".ply":
        return {name.lower().removeprefix(_PREFIX): values for name, values in read_ply(path).items()}
    raise InvalidInput(f"{path} came; wanted a file of points that ends in {' or '.join(SCAN_SUFFIXES)}")


def _shares(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return (values / _FULL.get(values.dtype, 1.0)).astype(np.float32)
