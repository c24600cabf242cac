"""What `auto` has measured, kept in memory and in a small file, so that a machine measures a shape once."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, final

from ninefold.storage import cache_folder, write_text

if TYPE_CHECKING:
    from pathlib import Path


@final
class Choices:
    """A table of names that outlives the process.

    The file is JSON, `{"<what was measured>": "<engine>"}`. It only saves time: one that cannot be read counts as
    empty, one that cannot be written is left alone. A write keeps what other processes wrote before it, and is seen
    whole or not at all.

    Args:
        path: where the file is or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)

    def get(self, key: str) -> str | None:
        """Give what was chosen for `key`, or None."""
        return self._known.get(key)

    def put(self, key: str, name: str) -> None:
        """Remember a choice, here and in the file."""
        self._known = {**_read(self.path), **self._known, key: name}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self._known, indent=0, sort_keys=True))


def choices() -> Choices:
    """Give this process's table in the cache folder."""
    return _choices_in(cache_folder())


@cache
def _choices_in(folder: Path) -> Choices:
    return Choices(folder / "engines.json")


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: name for key, name in pairs if isinstance(name, str)}
