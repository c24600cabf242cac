"""`semantic-kitti`: 22 drives with a LiDAR of 64 beams, as its authors publish them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ninefold.errors import MissingData
from ninefold.records import DataCard, PointSample, SplitName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ninefold.data.points import PointSource, PointSplit

CARD: Final = DataCard(
    name="semantic-kitti",
    title="your copy of SemanticKITTI: 23,201 labelled LiDAR scans of streets",
    origin="J. Behley et al., SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences, ICCV 2019",
    licence="CC BY-NC-SA 4.0",
    split_rule=(
        "Sequence 08, on which results are published, is test, 10 is validation, 00 to 07 and 09 are train; 11 to 21 "
        "have no public labels."
    ),
    needs_dir=True,
    holds="points",
)
_SEQUENCES: Final[Mapping[SplitName, tuple[int, ...]]] = {
    "train": (*range(8), 9),
    "validation": (10,),
    "test": (8,),
}
# Each class with the numbers that label files have for it, moving or not; further numbers do not count.
_CLASSES: Final[Mapping[str, tuple[int, ...]]] = {
    "car": (10, 252),
    "bicycle": (11,),
    "motorcycle": (15,),
    "truck": (18, 258),
    "other-vehicle": (13, 16, 20, 256, 257, 259),
    "person": (30, 254),
    "bicyclist": (31, 253),
    "motorcyclist": (32, 255),
    "road": (40, 60),
    "parking": (44,),
    "sidewalk": (48,),
    "other-ground": (49,),
    "building": (50,),
    "fence": (51,),
    "vegetation": (70,),
    "trunk": (71,),
    "terrain": (72,),
    "pole": (80,),
    "traffic-sign": (81,),
}


def open_semantic_kitti(data_dir: Path) -> PointSource:
    """Open a folder with SemanticKITTI; no scan is read before it is asked for.

    Args:
        data_dir: holds `sequences/00/velodyne/000000.bin`, `sequences/00/labels/000000.label` and so on.

    Raises:
        MissingData: when there is no folder `sequences`, or a scan has no labels.
        DataError: when a split has no scan.
    """
    from ninefold.data.points import PointSource
    from ninefold.data.points.splits import LazySplit

    folder = data_dir / "sequences"
    if not folder.is_dir():
        raise MissingData(f"{folder} is not there; --data-dir is the folder that holds 'sequences'")
    splits: dict[SplitName, PointSplit] = {
        name: LazySplit(_scans(folder, numbers), partial(_read, folder), keep=False)
        for name, numbers in _SEQUENCES.items()
    }
    return PointSource(CARD, tuple(_CLASSES), features=("intensity",), voxel=0.05, splits=splits)


def _scans(folder: Path, sequences: tuple[int, ...]) -> list[Path]:
    found = [path for number in sequences for path in sorted((folder / f"{number:02}" / "velodyne").glob("*.bin"))]
    for scan in found:
        if not _labels_of(scan).is_file():
            raise MissingData(f"{scan} has no labels: {_labels_of(scan)} is not there; copy both")
    return found


def _read(folder: Path, path: Path) -> PointSample:
    import torch

    from ninefold.data.points import read_labels, read_velodyne

    scan = read_velodyne(path)  # (P, 4)
    ours = torch.full((1 << 16,), -1)
    for label, numbers in enumerate(_CLASSES.values()):
        ours[list(numbers)] = label
    labels = ours[read_labels(_labels_of(path), len(scan))]
    return PointSample(scan[:, :3], scan[:, 3:], labels, f"{path.parents[1].relative_to(folder)}-{path.stem}")


def _labels_of(scan: Path) -> Path:
    return scan.parents[1] / "labels" / f"{scan.stem}.label"
