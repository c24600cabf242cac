"""Files that are whole or not there, and the folder for what can be made or fetched again."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
