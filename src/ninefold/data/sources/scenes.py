"""`lidar-scenes` and `indoor-rooms`: scans that are computed, nothing to download."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ninefold.records import SPLITS, DataCard, SplitName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ninefold.data.points import PointSource, PointSplit
    from ninefold.records import PointSample

LIDAR_SCENES: Final = DataCard(
    name="lidar-scenes",
    title="96 streets as a LiDAR of 32 beams sees them, computed",
    origin="computed by Ninefold: rays against boxes, balls and the ground",
    licence="as Ninefold",
    split_rule="Streets 0 to 63 are train, 64 to 79 validation, 80 to 95 test.",
    holds="points",
)
INDOOR_ROOMS: Final = DataCard(
    name="indoor-rooms",
    title="96 furnished rooms as points on their surfaces, computed",
    origin="computed by Ninefold: jittered lattices on walls and furniture",
    licence="as Ninefold",
    split_rule="Rooms 0 to 63 are train, 64 to 79 validation, 80 to 95 test.",
    holds="points",
)
_NUMBERS: Final[Mapping[SplitName, range]] = {
    "train": range(64),
    "validation": range(64, 80),
    "test": range(80, 96),
}


def open_lidar_scenes(_data_dir: Path | None = None) -> PointSource:
    """Open the streets; a scan is computed when it is first asked for."""
    from ninefold.data.points.street import CLASSES, Scanner, scan

    return _source(LIDAR_SCENES, CLASSES, ("intensity", 0.2), partial(scan, scanner=Scanner()))


def open_indoor_rooms(_data_dir: Path | None = None) -> PointSource:
    """Open the rooms; one is computed when it is first asked for."""
    from ninefold.data.points.room import CLASSES, room

    return _source(INDOOR_ROOMS, CLASSES, ("brightness", 0.1), room)


def _source(
    card: DataCard, classes: Sequence[str], facts: tuple[str, float], make: Callable[[int], PointSample]
) -> PointSource:
    """Give a source of computed scans; `facts` are the name of a point's fourth feature, and the side of a cell."""
    from ninefold.data.points import PointSource
    from ninefold.data.points.splits import LazySplit

    splits: dict[SplitName, PointSplit] = {name: LazySplit(_NUMBERS[name], make, keep=True) for name in SPLITS}
    feature, voxel = facts
    return PointSource(card, tuple(classes), features=(feature,), voxel=voxel, splits=splits)
