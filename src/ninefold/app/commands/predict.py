"""`ninefold predict`: classify picture files."""

from pathlib import Path
from typing import Annotated

import typer

from ninefold.app.screen import AsJson, Debug, print_json, print_rows


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as `ninefold train` made it.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Picture files, of any kind Pillow reads.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name for each picture.")] = 5,
    compiled: Annotated[bool, typer.Option("--compile", help="Run on kernels made for this processor.")] = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Classify pictures with the best weights of a run; the most probable classes come first."""
    from ninefold import training

    found = training.predict(run, images, top=top, compiled=compiled)
    rows = [(prediction.path, name, probability) for prediction in found for name, probability in prediction.classes]
    if as_json:
        print_json([_document(p.path, p.classes) for p in found])
    else:
        print_rows(("image", "class", "probability"), rows)


def _document(path: Path, classes: list[tuple[str, float]]) -> dict[str, object]:
    return {"image": path, "classes": [{"class": name, "probability": probability} for name, probability in classes]}
