"""What is seen of a run while it runs: a bar on a terminal, one line per epoch elsewhere, always on standard error."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ninefold.errors import UnknownName
from ninefold.training.history import figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ninefold.training.history import Row

STYLES: Final = ("bar", "lines", "none")


def style_here(style: str) -> str:
    """Give the style to use: no bar where standard error is not a terminal.

    Raises:
        UnknownName: when there is no such style.
    """
    if style not in STYLES:
        raise UnknownName.among("progress style", style, STYLES)
    return "lines" if style == "bar" and not sys.stderr.isatty() else style


def say(style: str, sentence: str) -> None:
    """Write one line to standard error, unless nothing is to be seen."""
    if style != "none":
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


@contextmanager
def remarks(style: str) -> Iterator[None]:
    """Write what is warned of inside, such as tensors that a checkpoint lacks, as lines to standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        say(style, str(warning.message))


def epoch_line(row: Row, epochs: int, what: str = "images") -> str:
    """Put an epoch into one line.

    Args:
        row: of the epoch.
        epochs: how many there will be.
        what: was seen.

    >>> row = {"epoch": 3, "train_loss": 0.41, "validation_loss": 0.5, "validation_accuracy": 0.875}
    >>> epoch_line(row | {"seconds": 2.4, "images_per_second": 512.0}, epochs=20)
    'epoch  3/20   loss 0.4100   validation loss 0.5000   accuracy 0.8750   2.4 s   512 images/s'
    """
    name, value = figure(row)
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}   loss {row['train_loss']:.4f}   "
        f"validation loss {row['validation_loss']:.4f}   {name} {value:.4f}   "
        f"{row['seconds']:.1f} s   {row['images_per_second']:.{0 if what == 'images' else 2}f} {what}/s"
    )


@contextmanager
def bar(style: str, what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show how far something is.

    Args:
        style: only "bar" shows anything.
        what: in front of the bar.
        total: how many there are.

    Yields:
        A function of (how many are done, what to say beside the bar).
    """
    if style != "bar":
        yield lambda done, note="": None  # noqa: ARG005  # the signature of the other case
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(
        *columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda done, note="": progress.update(task, completed=done, note=note)
