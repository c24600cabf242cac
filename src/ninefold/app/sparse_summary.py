"""The layers of a network over points on the screen, as `ninefold summary` prints them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from ninefold.app.screen import print_json, print_rows, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.nn import SparseLayerRow
    from ninefold.records import Card


def print_sparse_summary(card: Card, classes: int | None, *, by: str, as_json: bool) -> None:
    """Run a network over the voxels that its card counts on, and print a line per layer or stage.

    Args:
        card: of the network.
        classes: scores of a voxel; None for the published number.
        by: "layer" or "stage".
        as_json: whether as one JSON document.
    """
    from ninefold import networks
    from ninefold.nn import sparse_layers, sphere

    model = networks.create(card.name, classes=classes)
    layers = sparse_layers(model, sphere(*card.input))
    totals = {"parameters": sum(row.parameters for row in layers), "macs": sum(row.macs for row in layers)}
    stages = _by_stage(layers)
    if as_json:
        rows = stages if by == "stage" else [asdict(row) for row in layers]
        print_json({"counted_on": card.counted_on, "rows": rows, **totals})
        return
    titles: tuple[str, ...]
    if by == "stage":
        foot: tuple[object, ...] = ("total", len(layers), "", "", *totals.values())
        titles = ("stage", "layers", "voxels", "channels", "params", "MACs")
        print_rows(titles, [tuple(stage.values()) for stage in stages], foot)
    else:
        titles = ("layer", "kind", "kernel", "cell", "voxels", "channels", "params", "MACs")
        print_rows(titles, [_cells(row) for row in layers], foot=("total", *[""] * 5, *totals.values()))
    typer.echo(f"counted on {card.counted_on}")


def _cells(row: SparseLayerRow) -> tuple[object, ...]:
    windows = (None if axes is None else "x".join(map(str, axes)) for axes in (row.kernel, row.stride))
    return short(row.name), row.kind, *windows, row.sites, row.channels, row.parameters, row.macs


def _by_stage(layers: Sequence[SparseLayerRow]) -> list[dict[str, object]]:
    stages: list[dict[str, object]] = []
    for name, group in groupby(layers, lambda row: _stage(row.name)):
        rows = list(group)
        sums = {"parameters": sum(row.parameters for row in rows), "macs": sum(row.macs for row in rows)}
        last = rows[-1]
        stages.append({"name": name, "layers": len(rows), "sites": last.sites, "channels": last.channels, **sums})
    return stages


def _stage(path: str) -> str:
    """Give the part of a network that a module belongs to: right below it, or one of a list of such parts.

    >>> _stage("encoders.1.0.conv1.0"), _stage("head")
    ('encoders.1', 'head')
    """
    part, _, rest = path.partition(".")
    number = rest.partition(".")[0]
    return f"{part}.{number}" if number.isdigit() else part
