"""Ninefold: convolution in Python, every way. Importing it does no work: names are loaded when they are first used."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("ninefold")

_HOME = {
    "conv1d": "ops",
    "conv2d": "ops",
    "conv3d": "ops",
    "conv_transpose1d": "ops",
    "conv_transpose2d": "ops",
    "conv_transpose3d": "ops",
    "ConvSpec": "spec",
    "compile": "compiler",
    "load": "compiler",
    "create": "networks",
    "cards": "networks",
}
_ROOMS = frozenset(
    {
        "app",
        "compiler",
        "data",
        "errors",
        "networks",
        "nn",
        "ops",
        "records",
        "reference",
        "sparse",
        "spec",
        "storage",
        "tasks",
        "training",
    }
)

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604  # the keys are names; ruff cannot see through the splat


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ninefold.{_HOME[name]}"), name)
    if name in _ROOMS:
        return import_module(f"ninefold.{name}")
    raise AttributeError(f"module 'ninefold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_ROOMS})
