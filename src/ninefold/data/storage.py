"""One sentence for a full disk."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ninefold.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `StorageFull`, naming the file that was not written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"the disk is full, {path} was not written; free some space and try again") from error
        raise
