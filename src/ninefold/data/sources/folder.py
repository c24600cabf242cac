"""`folder`: your own pictures, a folder per class."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ninefold.errors import DataError
from ninefold.records import DataCard, SplitName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ninefold.data.splits import Source

    Classes = Mapping[str, Sequence[Path]]  # class name to its pictures, both sorted

CARD = DataCard(
    name="folder",
    title="your own pictures, a folder per class, read as RGB",
    origin="the folder given with --data-dir",
    licence="your own",
    split_rule=(
        "DIR/train, DIR/validation (or DIR/val) and DIR/test where they exist; a missing test or validation split is a "
        "tenth of each class of DIR/train (without that, of DIR), in the order of the SHA-256 of the files' paths."
    ),
    needs_dir=True,
)
_FEWEST = 5  # pictures of a class that is to be split
_SPELLINGS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "val"),
    "test": ("test",),
}


def open_folder(data_dir: Path) -> Source:
    """Open a folder of pictures; no picture is decoded before it is asked for.

    Args:
        data_dir: holds a folder per class, or `train` (and `validation` or `val`, and `test`) that do. Pictures may lie
            deeper inside a class's folder. Hidden files and files without a picture's name ending are left out.

    Raises:
        DataError: when there is no class folder or only one, a class folder is empty, `train` lacks a class of another
            split, or a class has too few pictures to be split.
    """
    from ninefold.data.splits import FileSplit, Source

    given = _given(data_dir)
    base = given.get("train", data_dir)
    pictures = scan(base)
    if len(pictures) < 2:
        raise DataError(f"{base} holds one class folder, {next(iter(pictures))!r}; a classifier needs at least two")
    missing: list[SplitName] = [name for name in ("test", "validation") if name not in given]
    parts = deal(pictures, base, missing)
    for name in given.keys() - {"train"}:
        parts[name] = scan(given[name])
        if unknown := sorted(parts[name].keys() - pictures.keys()):
            raise DataError(f"{given[name] / unknown[0]} is a class that {base} lacks; add it there or remove it here")
    classes = tuple(pictures)
    splits = {name: FileSplit(data_dir, classes, chosen) for name, chosen in parts.items()}
    return Source(CARD, classes, channels=3, size=None, splits=splits)


def scan(folder: Path) -> dict[str, list[Path]]:
    """List the pictures of every class folder, both in the order of their names.

    Raises:
        DataError: when there is no class folder, or an empty one.
    """
    pictures = {inner.name: sorted(_pictures(inner)) for inner in _folders(folder)}
    if not pictures:
        raise DataError(f"{folder} holds no folders; wanted one folder of pictures per class")
    for name, paths in pictures.items():
        if not paths:
            raise DataError(f"the class folder {folder / name} holds no picture; add some or remove it")
    return pictures


def deal(pictures: Classes, base: Path, missing: Sequence[SplitName]) -> dict[SplitName, dict[str, list[Path]]]:
    """Take a tenth of each class, at least one picture, for each missing split; the rest is train.

    A picture's place depends on the paths of its class alone, not on the order in which a disk lists them.

    Args:
        pictures: of every class.
        base: the folder to which the hashed paths are relative.
        missing: the splits to take, in this order.

    Raises:
        DataError: when a class has too few pictures to be split.
    """
    parts: dict[SplitName, dict[str, list[Path]]] = {name: {} for name in (*missing, "train")}
    for label, paths in pictures.items():
        if missing and len(paths) < _FEWEST:
            raise DataError(
                f"the class {label!r} of {base} has {len(paths)} pictures, and splitting it takes at least {_FEWEST}; "
                "add more, or make the folders train, validation and test yourself"
            )
        rest = sorted(paths, key=lambda path: sha256(os.fsencode(path.relative_to(base).as_posix())).digest())
        share = max(1, len(rest) // 10)
        for name in missing:
            parts[name][label], rest = sorted(rest[:share]), rest[share:]
        parts["train"][label] = sorted(rest)
    return parts


def _given(data_dir: Path) -> dict[SplitName, Path]:
    given: dict[SplitName, Path] = {}
    for name, spellings in _SPELLINGS.items():
        found = [data_dir / spelling for spelling in spellings if _folders(data_dir / spelling)]
        if len(found) > 1:
            raise DataError(f"{data_dir} holds both {' and '.join(path.name for path in found)}; keep one of them")
        if found:
            given[name] = found[0]
    if given and "train" not in given:
        raise DataError(
            f"{data_dir} holds {' and '.join(p.name for p in given.values())} but no train; add that folder"
        )
    return given


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def _pictures(folder: Path) -> Iterator[Path]:
    from ninefold.data.images import suffixes

    known = suffixes()
    for place, inner, files in os.walk(folder, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in known:  # noqa: PTH122  # 10^6 files
                yield Path(place, name)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename} cannot be listed ({error.strerror}); check its permissions") from error
