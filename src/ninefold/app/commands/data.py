"""`ninefold data`: which pictures there are."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ninefold.app.screen import AsJson, Debug, print_facts, print_json, print_rows, say
from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from ninefold.data import Source


def data(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Open this source and count.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the files of the source.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write some test pictures there, as PNG.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pictures to write.")] = 10,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """List the data sources, or open one: its classes, how many pictures each split has, its terms of use.

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
    facts = asdict(source.card) | {"classes": source.classes, "channels": source.channels, "size": source.size}
    if as_json:
        print_json(facts | {"counts": counts, "pictures": written})
    else:
        _print_source(facts, counts, written)


def _counts(source: "Source") -> dict[str, list[int]]:
    """Count the pictures of each class, per split."""
    from ninefold.records import SPLITS

    classes = len(source.classes)
    return {split: source.split(split).labels.bincount(minlength=classes).tolist() for split in SPLITS}


def _write(source: "Source", folder: Path, count: int) -> list[Path]:
    """Write `count` test pictures, evenly spread over the split, and give their paths."""
    from ninefold.data import write_png

    split = source.split("test")
    chosen = sorted({i * len(split) // count for i in range(count)})
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in chosen:
        sample = split[i]
        paths.append(folder / (_file_name(f"{source.classes[sample.label]}-{sample.name}") + ".png"))
        write_png(sample, paths[-1])
    return paths


def _file_name(text: str) -> str:
    """Give `text` without what a file name cannot hold everywhere.

    >>> _file_name("T-shirt/top-fashion-mnist/9")
    'T-shirt_top-fashion-mnist_9'
    """
    return re.sub(r"[^\w.-]+", "_", text)


def _print_list() -> None:
    from ninefold.data import cards

    print_rows(("name", "pictures", "needs --data-dir"), [(card.name, card.title, card.needs_dir) for card in cards()])


def _print_source(facts: dict[str, Any], counts: dict[str, list[int]], written: list[Path]) -> None:
    size = "they differ" if facts["size"] is None else "x".join(map(str, facts["size"]))
    shown = ("name", "title", "origin", "licence", "split_rule")
    told = [(key.replace("_", " "), facts[key]) for key in shown]
    print_facts([*told, ("channels", facts["channels"]), ("size", size)])
    rows = [(name, *numbers) for name, *numbers in zip(facts["classes"], *counts.values(), strict=True)]
    print_rows(("class", *counts), rows, foot=("total", *map(sum, counts.values())))
    for path in written:
        say(f"wrote {path}")
