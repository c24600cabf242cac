"""What `auto` has measured, kept in memory and in a small file, so that a machine measures a shape once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ninefold.storage import Choices, cache_folder

if TYPE_CHECKING:
    from pathlib import Path


def choices() -> Choices:
    """Give this process's table in the cache folder."""
    return _choices_in(cache_folder())


@cache
def _choices_in(folder: Path) -> Choices:
    return Choices(folder / "engines.json")
