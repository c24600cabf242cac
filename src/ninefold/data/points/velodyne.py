"""Scans and labels as KITTI and SemanticKITTI keep them: a `.bin` of points and a `.label` of as many labels.

    .bin      per point four little-endian float32: x, y, z in metres, intensity from 0 to 1
    .label    per point one little-endian uint32: the class in the low 16 bits, the object's number in the high ones

Source: A. Geiger et al., "Vision meets Robotics: The KITTI Dataset", IJRR 2013; J. Behley et al., "SemanticKITTI: A
Dataset for Semantic Scene Understanding of LiDAR Sequences", ICCV 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ninefold.errors import CorruptFile, MissingData
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def read_velodyne(path: Path) -> Tensor:
    """Read a scan.

    Args:
        path: of a `.bin`.

    Returns:
        float32 (P, 4): x, y, z in metres, intensity.

    Raises:
        MissingData: when the file is not there.
        CorruptFile: when it holds no point, a part of one, or a number that is none.
    """
    content = _read(path)
    if not content:
        raise CorruptFile(f"{path} has no point; leave it out")
    if len(content) % 16:
        raise CorruptFile(
            f"{path} has {len(content):,} bytes; a scan has 16 per point (four float32), so it was cut off or is none"
        )
    points = np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, 4)
    wrong = ~np.isfinite(points).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise CorruptFile(f"{path}: point {row} is {tuple(points[row].tolist())}; wanted numbers: replace the file")
    return torch.from_numpy(points)


def read_labels(path: Path, count: int) -> Tensor:
    """Read the labels of a scan.

    Args:
        path: of a `.label`.
        count: how many points the scan has.

    Returns:
        int64 (P,): the numbers of classes as they stand in the file; objects' numbers are left out.

    Raises:
        MissingData: when the file is not there.
        CorruptFile: when it does not hold `count` labels.
    """
    content = _read(path)
    if len(content) != 4 * count:
        raise CorruptFile(
            f"{path} has {len(content):,} bytes; the labels of {count:,} points have {4 * count:,}: use the file that "
            "belongs to the scan"
        )
    return torch.from_numpy((np.frombuffer(content, "<u4") & 0xFFFF).astype(np.int64))


def write_labels(path: Path, labels: Tensor) -> None:
    """Write the labels of a scan.

    Args:
        path: of the `.label`.
        labels: int64 (P,), 0 to 65535.

    Raises:
        StorageFull: when the disk has no room; an older file is as it was.
    """
    write_bytes(path, labels.cpu().numpy().astype("<u4").tobytes())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingData(f"{path} is not there; check the path") from error
    except OSError as error:
        raise CorruptFile(f"{path} cannot be read ({error.strerror}); copy it again") from error
