"""Files that are whole or not there, and the folder for what can be made or fetched again."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL: Final = ".partial"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def cache_folder() -> Path:
    """Give the folder that the variable NINEFOLD_CACHE names, else the one the system keeps for a user's caches."""
    from platformdirs import user_cache_path

    named = os.environ.get("NINEFOLD_CACHE")
    return Path(named) if named else user_cache_path("ninefold")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside `path`, and put it in place at once when the block ends well.

    Whoever reads, or kills, at any moment finds the old content or the new, never a part. When the block raises, the
    file beside it is removed, and an older one at `path` is as it was.

    Args:
        path: of the file; its folder must exist.

    Yields:
        The path to write to, in the same folder; several processes may replace one file at the same time.

    Raises:
        StorageFull: when the disk takes no more; other errors of the system pass through.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with naming_a_full_disk(path):
            yield temporary
            _sync(temporary, os.O_RDWR)
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Put a file in place at once, as `replacing` does.

    Args:
        path: of the file; its folder must exist.
        data: its whole content.

    Raises:
        StorageFull: when the disk takes no more; other errors of the system pass through.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Put a UTF-8 text file in place at once, as `write_bytes` does."""
    write_bytes(path, text.encode())


@final
class Choices:
    """A table of names that outlives the process.

    The file is JSON, `{"<what was measured>": "<the best of it>"}`. It only saves time: one that cannot be read counts
    as empty, one that cannot be written is left alone. A write keeps what other processes wrote before it, and is seen
    whole or not at all.

    Args:
        path: where the file is or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _names_in(path)

    def get(self, key: str) -> str | None:
        """Give what was chosen for `key`, or None."""
        return self._known.get(key)

    def put(self, key: str, name: str) -> None:
        """Remember a choice, here and in the file."""
        self._known = {**_names_in(self.path), **self._known, key: name}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self._known, indent=0, sort_keys=True))


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder that nobody else is writing to."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


@contextmanager
def naming_a_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `StorageFull`, naming the file that was not written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"{path} could not be written: the disk is full; free some space and try again (all else is intact)"
            ) from error
        raise


def _names_in(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: name for key, name in pairs if isinstance(name, str)}


def _sync(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once the folder itself is on the disk; Windows has no such call and no need.
    if os.name == "posix":
        _sync(folder, os.O_RDONLY)
