"""The rows of a summary, added up by the part of the network that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ninefold.nn.summary.summarize import Summary
    from ninefold.nn.summary.trace import LayerRow


@dataclass(frozen=True, slots=True)
class StageRow:
    """Consecutive layers of one part, and those without parameters behind it.

    Args:
        name: of the part, a module right below the network or its backbone.
        layers: how many rows it has in the summary.
        output_shape: of its last layer, (C, H, W) or (features,).
        parameters: numbers that its layers are the first to use.
        macs: multiply-accumulates of one picture.
        receptive_field: input pixels one value of its last layer can depend on, per axis.
        largest_activation: values in the largest output of its layers.
    """

    name: str
    layers: int
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: tuple[int, ...]
    largest_activation: int


def by_stage(summary: Summary) -> list[StageRow]:
    """Add up the layers of every part of the network, in the order in which they ran."""
    parts: list[tuple[str, list[LayerRow]]] = []
    for name, group in groupby(summary.rows, key=lambda row: _part(row.name)):
        layers = list(group)
        if parts and not any(layer.parameters for layer in layers):
            parts[-1][1].extend(layers)
        else:
            parts.append((name, layers))
    return [_stage(name, layers) for name, layers in parts]


def _stage(name: str, layers: list[LayerRow]) -> StageRow:
    return StageRow(
        name=name,
        layers=len(layers),
        output_shape=layers[-1].output_shape,
        parameters=sum(layer.parameters for layer in layers),
        macs=sum(layer.macs for layer in layers),
        receptive_field=layers[-1].receptive_field,
        largest_activation=max(layer.values for layer in layers),
    )


def _part(path: str) -> str:
    """Give the part that a module's path names; a part that is a list of parts is named with its number.

    >>> _part("backbone.stage1.0.conv1"), _part("backbone.stages.2.0.conv1"), _part("head.fc"), _part("")
    ('stage1', 'stages.2', 'head', '.')
    """
    first, _, rest = path.removeprefix("backbone.").partition(".")
    number = rest.partition(".")[0]
    return f"{first}.{number}" if first.endswith("s") and number.isdigit() else first or "."
