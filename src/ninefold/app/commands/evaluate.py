"""`ninefold evaluate`: measure a trained network."""

from pathlib import Path
from typing import Annotated

import typer

from ninefold.app.results import print_report
from ninefold.app.screen import AsJson, Debug
from ninefold.errors import UnknownName
from ninefold.records import SPLITS


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as `ninefold train` made it.")],
    split: Annotated[str, typer.Option(help="Which pictures: test, validation or train.")] = "test",
    compiled: Annotated[bool, typer.Option("--compile", help="Run on kernels made for this processor.")] = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Measure the best weights of a run on one split.

    The report, the confusion matrix and the prediction for every picture, with all scores, go to the run folder.
    """
    if split not in SPLITS:
        raise UnknownName.among("split", split, SPLITS)
    from ninefold import training

    print_report(training.evaluate(run, split=split, compiled=compiled), run, as_json=as_json)
