"""What a run came to: `report.json`."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run on one split.

    Args:
        network: its name.
        data: the source's name.
        split: which pictures or scans were measured.
        images: how many.
        metric: what `value` is, such as "accuracy".
        value: 0 to 1.
        loss: mean over them.
        epochs: that the run trained.
        best_epoch: whose weights were measured: the best one on the validation split.
        seconds: that the epochs took together, validation included.
        parameters: trainable numbers of the network.
        seed: of the run.
        versions: of the packages that measured.
        per_class: the metric of each class, None for one that did not occur; empty where it has no meaning for one.
    """

    network: str
    data: str
    split: str
    images: int
    metric: str
    value: float
    loss: float
    epochs: int
    best_epoch: int
    seconds: float
    parameters: int
    seed: int
    versions: dict[str, str]
    per_class: dict[str, float | None] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write the report as a JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"


def by_name(classes: Sequence[str], figures: Sequence[float]) -> dict[str, float | None]:
    """Give each class its figure, None for nan; nothing where there are no figures.

    >>> by_name(("road", "pole"), (0.9, float("nan"))), by_name(("road", "pole"), ())
    ({'road': 0.9, 'pole': None}, {})
    """
    return {} if not figures else {n: None if isnan(f) else f for n, f in zip(classes, figures, strict=True)}


def versions() -> dict[str, str]:
    """Give the versions of what decides a result."""
    packages = ("ninefold", "torch", "lightning", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
