"""Kernels whose arguments are a record: text that reads 64-bit numbers and addresses from behind one address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.text import ENTRY, INT, POINTER, RANGES

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD: Final = """  %p_{name}_field = getelementptr i64, ptr %x, i64 {place}
  %{name} = load {kind}, ptr %p_{name}_field"""


def entry_arguments() -> str:
    """Write the arguments of a kernel that a plan can call."""
    return ", ".join([*(f"{POINTER} %{name}" for name in ENTRY), *(f"{INT} %{name}" for name in RANGES)])


def loads(fields: Mapping[str, str]) -> str:
    """Write the loading of a record's fields, each into a value of its name, from behind `%x`.

    Args:
        fields: names in their order, with their types: `i64` or `ptr`.
    """
    return "\n".join(_FIELD.format(place=i, name=name, kind=kind) for i, (name, kind) in enumerate(fields.items()))
