"""Files that are whole or not there, and the folder for what can be made or fetched again."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ninefold.errors import RunError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL: Final = ".partial"
LOCK: Final = ".lock"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_TAKEN: Final = (errno.EAGAIN, errno.EACCES)


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
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder if need be, and keep other processes that ask for it out while the block runs.

    A locked file in the folder says who is there. The system unlocks it when that process ends, however it ends, so
    that one that was killed keeps nobody out. Where there are no such locks, as on Windows, nobody is kept out. A
    folder that was made here and is left empty is removed.

    Args:
        folder: to work in; a process asks for it once at a time.

    Raises:
        RunError: when another process is there.
        StorageFull: when the disk takes no more; other errors of the system pass through.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with naming_a_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(folder / LOCK) if os.name == "posix" else None
    try:
        yield
    finally:
        if handle is not None:
            (folder / LOCK).unlink(missing_ok=True)
            os.close(handle)
        for path in made:
            with suppress(OSError):
                path.rmdir()


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


def _locked(path: Path) -> int:
    """Open a file that no other process has locked, lock it, and write this process into it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle, path)
            if _is_at(handle, path):  # and was not removed, between opening and locking it, by who had it locked
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    from fcntl import LOCK_EX, LOCK_NB, lockf

    try:
        lockf(handle, LOCK_EX | LOCK_NB)  # of this process and not of its children, which may outlive it for a moment
    except OSError as error:
        if error.errno not in _TAKEN:  # a file system that has no locks
            return
        who = os.read(handle, 20).decode("ascii", "replace")
        raise RunError(
            f"process {who} is working in {path.parent}; wait until it has ended, or choose another folder"
        ) from error


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


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
