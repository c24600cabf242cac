"""What `auto` has measured, kept in memory and in a small file, so that a machine measures a shape once."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import final

import platformdirs


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
            _replace(self.path, json.dumps(self._known, indent=0, sort_keys=True))


def choices() -> Choices:
    """Give this process's table in the cache folder: `NINEFOLD_CACHE`, or where the system keeps a user's caches."""
    return _choices_in(os.environ.get("NINEFOLD_CACHE"))


@cache
def _choices_in(folder: str | None) -> Choices:
    return Choices(Path(folder or platformdirs.user_cache_dir("ninefold"), "engines.json"))


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: name for key, name in pairs if isinstance(name, str)}


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)  # noqa: PTH105  # mkstemp gives a string
    except OSError:
        os.unlink(temporary)  # noqa: PTH108
        raise
