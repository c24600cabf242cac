"""What happened in each epoch: the rows of `metrics.csv`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from ninefold.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, float]
"""One epoch: `epoch` counts from 1, `step` is the steps done when it ended, `validation_<metric>` is the metric."""


def figure(row: Row) -> tuple[str, float]:
    """Give the name and value of the metric that a row holds.

    >>> figure({"epoch": 1, "validation_loss": 0.3, "validation_accuracy": 0.9})
    ('accuracy', 0.9)
    """
    column = next(c for c in row if c.startswith("validation_") and c != "validation_loss")
    return column.removeprefix("validation_"), row[column]


def best(rows: Sequence[Row]) -> Row:
    """Give the row of the highest metric; of equal ones that of the lower validation loss, then the first.

    >>> best([{"epoch": 1, "validation_loss": 0.3, "validation_accuracy": 0.9},
    ...       {"epoch": 2, "validation_loss": 0.2, "validation_accuracy": 0.9}])["epoch"]
    2
    """
    return max(rows, key=lambda row: (figure(row)[1], -row["validation_loss"]))


def as_csv(rows: Sequence[Row]) -> str:
    """Write the rows as CSV with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_csv(path: Path) -> list[Row]:
    """Read what `as_csv` wrote; no file, no rows.

    Raises:
        RunError: when a field is not a number.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} holds something that is not a number: {error}") from error


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)
