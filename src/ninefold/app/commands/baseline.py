"""`ninefold baseline`: what simple classifiers make of a data source."""

from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer

from ninefold.app.screen import AsJson, Debug, print_json, print_rows
from ninefold.training.baselines import BASELINES


def baseline(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(BASELINES)}.")],
    data: Annotated[str, typer.Option(help="Data source of pictures, as `ninefold data` lists it.")],
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the files of the source.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Train on at most so many pictures.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is left to chance.")] = 0,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Train a classifier of scikit-learn's on the pixels of pictures, and test it beside the majority.

    It learns from the train split and is measured on the test split.
    """
    from ninefold.training.baselines import score

    scores = score(name, data, data_dir, limit=limit, seed=seed)
    titles = ("model", "data", "train", "test", "features", "accuracy", "balanced", "macro F1", "seconds")
    print_json(scores) if as_json else print_rows(titles, [astuple(found) for found in scores])
