"""Training and what belongs to it: run folders, evaluation, prediction. Importing this needs no torch."""

from importlib import import_module
from typing import Any

from ninefold.training.settings import Settings

_HOME = {
    "LabelledScan": "labelling",
    "Prediction": "prediction",
    "Report": "report",
    "evaluate": "evaluation",
    "is_main_process": "launch",
    "label_points": "labelling",
    "predict": "prediction",
    "reads": "prediction",
    "train": "running",
}

__all__ = ["Settings", *_HOME]  # noqa: PLE0604  # the keys are names; ruff cannot see through the splat


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ninefold.training.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ninefold.training' has no attribute {name!r}")
