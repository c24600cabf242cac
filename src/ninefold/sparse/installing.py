"""Registering the drop-in under spconv's names, so that code written for spconv runs unchanged."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from ninefold.errors import InvalidInput

_HOME = "ninefold.sparse.spconv"
_MODULES = (
    "constants",
    "core",
    "utils",
    "pytorch",
    *(
        f"pytorch.{name}"
        for name in (
            "conv",
            "core",
            "functional",
            "hash",
            "identity",
            "modules",
            "ops",
            "pool",
            "quantization",
            "spatial",
            "tables",
            "utils",
        )
    ),
)


def install_as_spconv() -> None:
    """Let `import spconv` and `import spconv.pytorch`, and what lies below, mean the drop-in, in this process.

    `cumm.tensorview` means the drop-in's stand-in for it, unless cumm itself is imported already. Calling it twice
    changes nothing.

    Raises:
        InvalidInput: when the real spconv is imported already.
    """
    ours = import_module(_HOME)
    if sys.modules.get("spconv", ours) is not ours:
        raise InvalidInput("spconv itself is imported already; call install_as_spconv() before anything imports it")
    sys.modules["spconv"] = ours
    for name in _MODULES:
        sys.modules[f"spconv.{name}"] = import_module(f"{_HOME}.{name}")
    if "cumm" not in sys.modules:
        cumm = ModuleType("cumm", "Ninefold's stand-in: `tensorview` only.")
        cumm.tensorview = import_module(f"{_HOME}.tensorview")
        sys.modules.update({"cumm": cumm, "cumm.tensorview": cumm.tensorview})
