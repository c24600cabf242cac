"""What a source of scans gives when it is opened: three splits, and what a network must know about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar, final

import torch

from ninefold.data.opened import Moments, Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ninefold.records import DataCard, PointSample, SplitName

Name = TypeVar("Name")
_MEASURED: Final = 32  # scans that mean and deviation are measured on


class PointSplit(ABC):
    """Scans with their truth, in a fixed order."""

    @abstractmethod
    def __getitem__(self, i: int) -> PointSample:
        """Give scan `i`, 0 <= i < N."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitems__(self, indices: Sequence[int]) -> list[PointSample]:
        """Give several scans at once, in the order of `indices`."""
        return [self[i] for i in indices]

    def moments(self) -> Moments:
        """Measure mean and standard deviation of x, y, z and the further features, each point counting alike.

        At most 32 scans are measured, evenly spread over the split; a deviation is at least 0.001.
        """
        scans = [self[i] for i in range(0, len(self), -(-len(self) // _MEASURED))]
        rows = torch.cat([torch.cat([scan.points, scan.features], dim=1) for scan in scans]).double()
        std, mean = torch.std_mean(rows, dim=0, correction=0)
        return tuple(mean.tolist()), tuple(std.clamp(min=1e-3).tolist())


@final
class LazySplit(PointSplit, Generic[Name]):
    """Scans that are made or read when they are asked for.

    Args:
        names: what tells the scans apart.
        make: from one of `names` to its scan.
        keep: whether a scan stays in memory once it was made.
    """

    def __init__(self, names: Sequence[Name], make: Callable[[Name], PointSample], *, keep: bool) -> None:
        self._names, self._make, self._keep = names, make, keep
        self._made: dict[int, PointSample] = {}

    def __getitem__(self, i: int) -> PointSample:
        if i in self._made:
            return self._made[i]
        sample = self._make(self._names[i])
        if self._keep:
            self._made[i] = sample
        return sample

    def __len__(self) -> int:
        return len(self._names)


@final
@dataclass(frozen=True)
class PointSource(Opened[PointSplit]):
    """A source of scans, opened.

    Args:
        card: what is known of it without opening it.
        classes: their names; a label is an index into them.
        features: what is known of a point beside x, y and z, such as "intensity".
        voxel: side of the cells that networks see, in metres.
        splits: the scans; none is in two splits.

    Raises:
        DataError: when a split has no scan.
    """

    card: DataCard
    classes: tuple[str, ...]
    features: tuple[str, ...]
    voxel: float
    splits: Mapping[SplitName, PointSplit]
    holds: ClassVar[str] = "scans"

    @property
    def channels(self) -> int:
        """Features of a point, x, y and z among them."""
        return 3 + len(self.features)
