"""The result of a run on the screen, as `train` and `evaluate` print it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ninefold.app.screen import print_json, print_rows, say

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.training import Report


def print_report(report: Report, run: Path, *, as_json: bool) -> None:
    """Print what was measured, and say where the files are."""
    if as_json:
        print_json(asdict(report) | {"run": run})
        return
    what = "scans" if report.per_class else "images"
    titles = ("network", "data", "split", what, report.metric, "loss", "parameters", "epochs", "seconds")
    values = (report.network, report.data, report.split, report.images, report.value, report.loss)
    print_rows(titles, [(*values, report.parameters, report.epochs, f"{report.seconds:,.1f}")])
    if report.per_class:
        print_rows(("class", report.metric.removeprefix("mean_")), list(report.per_class.items()))
    say(f"all of it is in {run}")
