"""The data sources by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ninefold.data.sources import cifar10, digits, folder, idx, scenes, semantic_kitti
from ninefold.errors import InvalidInput, MissingData, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ninefold.data.points import PointSource
    from ninefold.data.splits import Source
    from ninefold.records import DataCard


class Entry(NamedTuple):
    """A data source that can be opened.

    Args:
        card: what is known of it.
        open: takes the folder of `--data-dir` (None where none is given and the card asks for none), gives the source.
    """

    card: DataCard
    open: Callable[..., Source | PointSource]


SOURCES: dict[str, Entry] = {}


def register(card: DataCard, opener: Callable[..., Source | PointSource]) -> None:
    """Make a source known under its card's name.

    Raises:
        InvalidInput: when the name is taken.
    """
    if card.name in SOURCES:
        raise InvalidInput(f"a data source is already called {card.name!r}; choose another name")
    SOURCES[card.name] = Entry(card, opener)


register(digits.CARD, digits.open_digits)
register(idx.MNIST.card, idx.open_mnist)
register(idx.FASHION_MNIST.card, idx.open_fashion_mnist)
register(cifar10.CARD, cifar10.open_cifar10)
register(folder.CARD, folder.open_folder)
register(scenes.LIDAR_SCENES, scenes.open_lidar_scenes)
register(scenes.INDOOR_ROOMS, scenes.open_indoor_rooms)
register(semantic_kitti.CARD, semantic_kitti.open_semantic_kitti)


def card(name: str) -> DataCard:
    """Give the card of a source.

    Raises:
        UnknownName: when there is none of that name.
    """
    return _entry(name).card


def cards() -> list[DataCard]:
    """Give the cards of all sources, in the order in which they were registered."""
    return [entry.card for entry in SOURCES.values()]


def open_source(name: str, data_dir: Path | None = None) -> Source | PointSource:
    """Open a data source.

    Args:
        name: as on its card.
        data_dir: the folder with its files; None: wherever the source keeps them.

    Raises:
        UnknownName: when there is no source of that name.
        InvalidInput: when the source only exists with a folder, and none is given.
        MissingData: when the folder or a file is not there.
        CorruptFile: when a file is not what it should be.

    >>> digits = open_source("digits")
    >>> len(digits.split("train")), digits.split("test")[0].name
    (1258, 'digits/4')
    """
    entry = _entry(name)
    if entry.card.needs_dir and data_dir is None:
        raise InvalidInput(f"the data source {name!r} reads your own files; say where they are with --data-dir DIR")
    if data_dir is not None and not data_dir.is_dir():
        raise MissingData(f"--data-dir {data_dir} is no folder; check the path")
    return entry.open(data_dir)


def _entry(name: str) -> Entry:
    if name not in SOURCES:
        raise UnknownName.among("data source", name, SOURCES)
    return SOURCES[name]
