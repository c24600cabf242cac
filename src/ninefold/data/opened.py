"""What every opened data source has, whatever it holds: three splits, and what was measured on the first."""

from __future__ import annotations

from abc import ABC
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from ninefold.errors import DataError, UnknownName
from ninefold.records import SPLITS, DataCard, SplitName

if TYPE_CHECKING:
    from collections.abc import Mapping

Moments = tuple[tuple[float, ...], tuple[float, ...]]


class _Measured(Protocol):
    def __len__(self) -> int: ...

    def moments(self) -> Moments: ...


AnySplit = TypeVar("AnySplit", bound=_Measured)


class Opened(ABC, Generic[AnySplit]):
    """What an opened source owes, whatever it holds: abstract.

    Its dataclass has `card`, `splits` and `holds`, the word for what is in a split.
    """

    card: DataCard
    splits: Mapping[SplitName, AnySplit]
    holds: ClassVar[str]

    def __post_init__(self) -> None:
        for name in SPLITS:
            if len(self.splits[name]) == 0:
                raise DataError(
                    f"the {name} split of {self.card.name!r} is empty; its rule is: {self.card.split_rule} "
                    f"Add {self.holds} until every split has one"
                )

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, measured on the train split only, as `moments` of its splits measure it."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, as `mean`; never next to nothing."""
        return self._moments[1]

    def split(self, name: SplitName) -> AnySplit:
        """Give the split "train", "validation" or "test".

        Raises:
            UnknownName: for any other name.
        """
        if name not in SPLITS:
            raise UnknownName.among("split", name, SPLITS)
        return self.splits[name]

    @cached_property
    def _moments(self) -> Moments:
        return self.splits["train"].moments()
