"""What a command prints: one JSON document for machines, tables for people."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", metavar="", help="If it fails, show the traceback too.")]


def print_json(value: object) -> None:
    """Print `value`, made of records, lists, dicts, paths, numbers and text, as one JSON document."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def print_line(value: object) -> None:
    """Print `value` as one line of JSON: for commands that have a result after every part of their work."""
    typer.echo(json.dumps(value, default=_plain))
    sys.stdout.flush()


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[object]], foot: Sequence[object] | None = None) -> None:
    """Print a table: whole numbers to the right and with thousands separators, everything else to the left.

    Args:
        titles: of the columns.
        rows: as many values each; None is shown as nothing.
        foot: the last row, set apart.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, collapse_padding=True, show_footer=foot is not None)
    body = [list(row) for row in rows]
    columns = zip(*body, strict=True) if body else [()] * len(titles)
    for title, column, last in zip(titles, columns, foot or [""] * len(titles), strict=True):
        is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)
        table.add_column(title, _text(last), justify="right" if is_number else "left")
    for row in body:
        table.add_row(*map(_text, row))
    _print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and what stands behind them, one per line; what is empty is left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value not in (None, "", ()):
            grid.add_row(name, _text(value))
    _print(grid)


def say(line: str) -> None:
    """Print a line about what the command is doing, beside its result: on the standard error."""
    typer.echo(line, err=True)


def short(path: str, length: int = 24) -> str:
    """Give the end of a module's path that fits into `length`, cut at a dot; "." for the network itself.

    >>> short("backbone.block.branches.0.0")
    '..block.branches.0.0'
    """
    cut = path
    while len(cut) > length and "." in cut.lstrip("."):
        cut = ".." + cut.lstrip(".").partition(".")[2]
    return cut or "."


def _print(table: Table) -> None:
    """Fit the lines to a terminal; leave them whole, and plain, for a file or a pipe."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    console = Console(
        width=None if is_terminal else 1000,
        color_system="auto" if is_terminal else None,
        highlight=False,
        markup=False,  # a file may be called [bold].png
        emoji=False,
    )
    with console.capture() as lines:
        console.print(table)
    for line in lines.get().splitlines():
        typer.echo(line.rstrip())


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
