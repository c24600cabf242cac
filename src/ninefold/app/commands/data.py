"""`ninefold data`: which pictures and scans there are."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ninefold.app.screen import AsJson, Debug, print_facts, print_json, print_rows, say
from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from ninefold.data import PointSource, Source
    from ninefold.records import PointSample, Sample

# Of classes, one after the other, from the first again where there are more.
_COLOURS: Final = (
    (120, 120, 130),
    (220, 150, 200),
    (230, 190, 60),
    (60, 110, 230),
    (230, 60, 50),
    (70, 170, 70),
    (120, 60, 160),
    (90, 200, 210),
)


def data(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Open this source and count.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the files of the source.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write some test pictures there, as PNG; scans as PLY.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pictures to write.")] = 10,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """List the data sources, or open one: its classes, how many pictures or scans each split has, its terms of use.

    A source whose files are on no known place of this machine is downloaded once, if it can be.
    """
    from ninefold.data import card, cards, open_source

    if name is None:
        if pictures is not None or data_dir is not None:
            raise InvalidInput("--pictures and --data-dir need the name of a data source; `ninefold data` lists them")
        print_json(cards()) if as_json else _print_list()
        return
    if card(name).needs_dir and data_dir is None and pictures is None:
        print_json(asdict(card(name))) if as_json else print_facts(asdict(card(name)).items())
        return
    source = open_source(name, data_dir)
    counts = _counts(source)
    written = [] if pictures is None else _write(source, pictures, count)
    facts = asdict(source.card) | {"classes": source.classes, "channels": source.channels} | _extent(source)
    if as_json:
        print_json(facts | {"counts": counts, "pictures": written})
    else:
        _print_source(facts, counts, written)


def _extent(source: "Source | PointSource") -> dict[str, object]:
    return {"voxel": source.voxel} if source.card.holds == "points" else {"size": source.size}


def _counts(source: "Source | PointSource") -> "dict[str, list[int]] | dict[str, int]":
    """Count the pictures of each class, per split; scans, which hold many classes, only per split."""
    from ninefold.records import SPLITS

    if source.card.holds == "points":
        return {split: len(source.split(split)) for split in SPLITS}
    classes = len(source.classes)
    return {split: source.split(split).labels.bincount(minlength=classes).tolist() for split in SPLITS}


def _write(source: "Source | PointSource", folder: Path, count: int) -> list[Path]:
    """Write `count` test pictures or scans, evenly spread over the split, and give their paths."""
    split = source.split("test")
    chosen = sorted({i * len(split) // count for i in range(count)})
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in chosen:
        if source.card.holds == "points":
            paths.append(_write_scan(split[i], folder, source.features))
        else:
            paths.append(_write_picture(split[i], folder, source.classes))
    return paths


def _write_picture(sample: "Sample", folder: Path, classes: tuple[str, ...]) -> Path:
    from ninefold.data import write_png

    path = folder / (_file_name(f"{classes[sample.label]}-{sample.name}") + ".png")
    write_png(sample, path)
    return path


def _write_scan(sample: "PointSample", folder: Path, features: tuple[str, ...]) -> Path:
    """Write a scan with all that is known of its points, and a colour per class for any viewer of PLY files."""
    import numpy as np

    from ninefold.data.points import write_ply

    path = folder / f"{_file_name(sample.name)}.ply"
    labels = sample.labels.numpy().astype(np.int32)
    colours = (np.array(_COLOURS, np.uint8)[labels % len(_COLOURS)] * (labels >= 0)[:, None]).T  # unknown: black
    known = np.concatenate([sample.points.numpy(), sample.features.numpy()], axis=1).T
    places = dict(zip(("x", "y", "z", *features), known, strict=True))
    shades = dict(zip(("red", "green", "blue"), colours.astype(np.uint8), strict=True))
    write_ply(path, {**places, **shades, "label": labels})
    return path


def _file_name(text: str) -> str:
    """Give `text` without what a file name cannot hold everywhere.

    >>> _file_name("T-shirt/top-fashion-mnist/9")
    'T-shirt_top-fashion-mnist_9'
    """
    return re.sub(r"[^\w.-]+", "_", text)


def _print_list() -> None:
    from ninefold.data import cards

    print_rows(("name", "pictures", "needs --data-dir"), [(card.name, card.title, card.needs_dir) for card in cards()])


def _print_source(facts: dict[str, Any], counts: dict[str, Any], written: list[Path]) -> None:
    shown = ("name", "title", "origin", "licence", "split_rule")
    told = [(key.replace("_", " "), facts[key]) for key in shown]
    if facts["holds"] == "points":
        classes = ", ".join(facts["classes"])
        print_facts([*told, ("features", facts["channels"]), ("voxel", f"{facts['voxel']} m"), ("classes", classes)])
        print_rows(("", *counts), [("scans", *counts.values())])
    else:
        size = "they differ" if facts["size"] is None else "x".join(map(str, facts["size"]))
        print_facts([*told, ("channels", facts["channels"]), ("size", size)])
        rows = [(name, *numbers) for name, *numbers in zip(facts["classes"], *counts.values(), strict=True)]
        print_rows(("class", *counts), rows, foot=("total", *map(sum, counts.values())))
    for path in written:
        say(f"wrote {path}")
