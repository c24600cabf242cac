"""`ninefold predict`: classify picture files, or label the points of scans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ninefold.app.screen import AsJson, Debug, print_json, print_rows, say
from ninefold.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from ninefold.training import LabelledScan


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as `ninefold train` made it.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures as Pillow reads them, or scans.")],
    top: Annotated[
        int | None, typer.Option(min=1, help="How many classes to name per file; else 5, or all of a scan.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the labels of scans' points there.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace labels that are there.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Run on kernels made for this processor.")] = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Say with the best weights of a run what is on pictures, or what each point of scans belongs to."""
    from ninefold import training

    if training.reads(run) == "points":
        if compiled:
            raise Unsupported(f"{run} reads points, and only networks over pictures can be compiled")
        scans = training.label_points(run, files, out, overwrite=overwrite, progress="bar")
        _print_scans(scans, top, as_json=as_json)
        return
    if out is not None or overwrite:
        raise InvalidInput(f"--out and --overwrite are for the labels of points, and {run} classifies pictures")
    found = training.predict(run, files, top=top or 5, compiled=compiled)
    rows = [(prediction.path, name, probability) for prediction in found for name, probability in prediction.classes]
    if as_json:
        print_json([_document(p.path, p.classes) for p in found])
    else:
        print_rows(("image", "class", "probability"), rows)


def _document(path: Path, classes: list[tuple[str, float]]) -> dict[str, object]:
    return {"image": path, "classes": [{"class": name, "probability": probability} for name, probability in classes]}


def _print_scans(scans: "list[LabelledScan]", top: int | None, *, as_json: bool) -> None:
    if as_json:
        print_json([_scan_document(scan, top) for scan in scans])
        return
    titles = ("scan", "class", "points", "share", "probability")
    print_rows(titles, [(scan.path, *found.values()) for scan in scans for found in _shares(scan, top)])
    for scan in scans:
        if scan.labels is not None:
            say(f"wrote {scan.labels}")


def _scan_document(scan: "LabelledScan", top: int | None) -> dict[str, object]:
    return {"scan": scan.path, "points": scan.points, "classes": _shares(scan, top), "labels": scan.labels}


def _shares(scan: "LabelledScan", top: int | None) -> list[dict[str, object]]:
    return [
        {"class": c.name, "points": c.points, "share": c.points / scan.points, "probability": c.probability}
        for c in scan.classes[:top]
    ]
