"""Where pictures and points come from, in which order they are seen, and how they become a batch.

Importing this room loads neither torch nor NumPy: what needs them is loaded when it is first used.
"""

from importlib import import_module
from typing import Any

from ninefold.data.registry import SOURCES, card, cards, open_source, register

_HOME = {
    "AUGMENTATIONS": "transforms",
    "GlobalBatches": "order",
    "Pipeline": "transforms",
    "PointPipeline": "points",
    "PointSource": "points",
    "PointSplit": "points",
    "Source": "splits",
    "Split": "splits",
    "read_image": "images",
    "write_png": "images",
}

__all__ = ["SOURCES", "card", "cards", "open_source", "register", *_HOME]  # noqa: PLE0604  # the keys are names


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ninefold.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ninefold.data' has no attribute {name!r}")
