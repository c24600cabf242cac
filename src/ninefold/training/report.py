"""What a run came to: `report.json`."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run on one split.

    Args:
        network: its name.
        data: the source's name.
        split: which pictures were measured.
        images: how many.
        metric: what `value` is, such as "accuracy".
        value: 0 to 1.
        loss: mean over the pictures.
        epochs: that the run trained.
        best_epoch: whose weights were measured: the best one on the validation split.
        seconds: that the epochs took together, validation included.
        parameters: trainable numbers of the network.
        seed: of the run.
        versions: of the packages that measured.
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

    def to_json(self) -> str:
        """Write the report as a JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"


def versions() -> dict[str, str]:
    """Give the versions of what decides a result."""
    packages = ("ninefold", "torch", "lightning", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
