"""Find the files of a published set: in a folder, in the user's cache, or downloaded there once."""

from __future__ import annotations

import hashlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ninefold.errors import CorruptFile, MissingData, StorageFull
from ninefold.storage import cache_folder, naming_a_full_disk, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from http.client import HTTPResponse
    from pathlib import Path

_BLOCK = 1 << 18
_PATIENCE = 30  # seconds without a byte


class Remote(NamedTuple):
    """A published file.

    Args:
        url: where it is.
        md5: its published checksum, 32 hexadecimal digits.
        spellings: the names under which it is found in a folder; the last part of `url` is one of them.
    """

    url: str
    md5: str
    spellings: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part of the address: what the file is called in the cache."""
        return self.url.rpartition("/")[2]


def find(remotes: Sequence[Remote], folder: Path) -> list[Path]:
    """Find every file in a folder, under any of its spellings.

    Raises:
        MissingData: when one is not there; the message gives its spellings.
    """
    found = []
    for remote in remotes:
        path = _spelled(remote, folder)
        if path is None:
            raise MissingData(f"{folder} holds none of {', '.join(remote.spellings)}; put that file there")
        found.append(path)
    return found


def find_or_download(remotes: Sequence[Remote], name: str, shared: Sequence[Path] = ()) -> list[Path]:
    """Find every file of the set `name` in one of the `shared` folders or in the cache; download what is nowhere.

    Raises:
        MissingData: when a download fails; the message says where to put the file by hand.
        CorruptFile: when a downloaded file has another checksum than the published one; it is deleted.
        StorageFull: when the disk takes no more.
    """
    for folder in shared:
        if all(_spelled(remote, folder) for remote in remotes):
            return find(remotes, folder)
    folder = cache_folder() / "data" / name
    return [_spelled(remote, folder) or download(remote, folder) for remote in remotes]


def download(remote: Remote, folder: Path) -> Path:
    """Download a file into a folder, check its sum, and only then give it its name.

    Progress is shown on standard error. An interrupted download leaves no file of that name.

    Raises:
        MissingData, CorruptFile, StorageFull: as `find_or_download`.
    """
    path = folder / remote.name
    advice = f"try again, or download it yourself and put it at {path}"
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        with part.open("wb") as file:
            came, promised, md5 = _receive(remote, file.write, path, advice)
        if came < promised:
            raise MissingData(f"{remote.url} broke off after {came:,} of {promised:,} bytes; {advice}")
        if md5 != remote.md5:
            raise CorruptFile(f"{remote.url} came with md5 {md5} instead of {remote.md5} and was deleted; {advice}")
    return path


def _spelled(remote: Remote, folder: Path) -> Path | None:
    return next((folder / name for name in remote.spellings if (folder / name).is_file()), None)


def _receive(remote: Remote, write: Callable[[bytes], int], path: Path, advice: str) -> tuple[int, int, str]:
    from http.client import HTTPException

    digest, came = hashlib.md5(usedforsecurity=False), 0
    try:
        with _opened(remote.url) as answer, _progress(remote.name, answer.length) as advance:
            promised = answer.length or 0
            while block := answer.read(_BLOCK):
                with naming_a_full_disk(path):
                    write(block)
                digest.update(block)
                came += len(block)
                advance(len(block))
    except StorageFull:
        raise
    except (OSError, HTTPException) as error:
        raise MissingData(f"{remote.url} could not be downloaded ({error}); {advice}") from error
    return came, promised, digest.hexdigest()


def _opened(url: str) -> HTTPResponse:
    from urllib.request import Request, urlopen

    request = Request(url, headers={"User-Agent": "ninefold"})  # noqa: S310  # our own table of addresses
    answer: HTTPResponse = urlopen(request, timeout=_PATIENCE)  # noqa: S310
    return answer


@contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("downloading {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda count: progress.advance(task, count)
