"""`cifar10`: the published archive of Python pickles, or the folder it extracts to."""

from __future__ import annotations

import tarfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ninefold.data.fetch import Remote, find, find_or_download
from ninefold.errors import CorruptFile, MissingData
from ninefold.records import DataCard, SplitName

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ninefold.data.splits import Source, Split

CARD = DataCard(
    name="cifar10",
    title="60,000 photographs of ten things, 32x32 RGB",
    origin="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    licence="none stated; the author asks for a citation of the report",
    split_rule="Index % 10 == 9 of data_batch_1 to 5, joined, is validation, their rest is train, test_batch is test.",
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "c58f30108f718f92721af3b95e74349a",
    ("cifar-10-python.tar.gz", "cifar-10-python.tar"),
)
FOLDER = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"
_LARGEST = 1 << 26  # bytes of one file; the published ones have 31 million
_MOST = 100  # files of the archive; the published one has 9


def open_cifar10(data_dir: Path | None = None) -> Source:
    """Open CIFAR-10.

    Args:
        data_dir: the folder with the archive or with `cifar-10-batches-py`, or the latter itself; None: the user's
            cache, or downloaded there once.

    Raises:
        MissingData: when a file is not there.
        CorruptFile: when a file is not what it should be.
    """
    import numpy as np
    import torch

    from ninefold.data.splits import Source, StoredSplit, every

    files = _files(data_dir)
    batches = [read_batch(*files[name]) for name in TRAIN]
    images, truth = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*batches, strict=True))
    test = [torch.from_numpy(part) for part in read_batch(*files[TEST])]
    splits: dict[SplitName, Split] = {
        "train": StoredSplit(images, truth, every(len(truth), 10, *range(9)), "cifar10/train"),
        "validation": StoredSplit(images, truth, every(len(truth), 10, 9), "cifar10/train"),
        "test": StoredSplit(test[0], test[1], every(len(test[1]), 1, 0), "cifar10/test"),
    }
    return Source(CARD, CLASSES, channels=3, size=(32, 32), splits=splits)


def read_batch(content: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one pickled batch.

    Args:
        content: a pickled dict with `data`, uint8 (N, 3072): red, green and blue planes of 32 x 32, and `labels`.
        name: what to call the file in an error.

    Returns:
        uint8 (N, 3, 32, 32) and int64 (N,).

    Raises:
        CorruptFile: when the content is anything else.
    """
    import numpy as np

    from ninefold.data.pickles import PickledArray, load_pickle

    batch = load_pickle(BytesIO(content), name)
    fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in _dict(batch, name).items()}
    data, labels = fields.get("data"), fields.get("labels")
    pixels = data.value if isinstance(data, PickledArray) else None
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise CorruptFile(f"{name} has no 'data' of bytes (N, 3072); copy or download it again")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise CorruptFile(f"{name} has no 'labels' of {len(pixels)} numbers; copy or download it again")
    wrong = next((label for label in labels if not (isinstance(label, int) and 0 <= label < len(CLASSES))), None)
    if wrong is not None:
        raise CorruptFile(f"{name} has the label {wrong!r}; wanted 0 to {len(CLASSES) - 1}: replace the file")
    return pixels.reshape(-1, 3, 32, 32).copy(), np.array(labels, np.int64)


def _dict(value: object, name: str) -> dict[object, object]:
    if not isinstance(value, dict):
        raise CorruptFile(f"{name} holds a {type(value).__name__}; wanted a dict with 'data' and 'labels'")
    return value


def _files(data_dir: Path | None) -> dict[str, tuple[bytes, str]]:  # name: (content, what to call it)
    for folder in (data_dir / FOLDER, data_dir) if data_dir else ():
        if (folder / TRAIN[0]).is_file():
            return {name: (_read_file(folder / name), str(folder / name)) for name in (*TRAIN, TEST)}
    (archive,) = find([ARCHIVE], data_dir) if data_dir else find_or_download([ARCHIVE], CARD.name)
    contents = read_archive(archive)
    return {name: (content, f"{archive} ({name})") for name, content in contents.items()}


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise MissingData(f"{path} is not there; extract the whole archive again")
    if path.stat().st_size > _LARGEST:
        raise CorruptFile(f"{path} has {path.stat().st_size:,} bytes, over the limit of {_LARGEST:,}; replace the file")
    return path.read_bytes()


def read_archive(path: Path) -> dict[str, bytes]:
    """Read the six batches out of the archive into memory; nothing is extracted to the disk.

    Raises:
        CorruptFile: when the archive is damaged, lacks a batch, or holds more or larger files than the limits.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for count, member in enumerate(archive):
                _check_member(path, member, count)
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if name in (*TRAIN, TEST) and member.isreg() else None
                if content is not None:
                    found[name] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise CorruptFile(f"{path} cannot be read to its end ({error}); copy or download it again") from error
    missing = [name for name in (*TRAIN, TEST) if name not in found]
    if missing:
        raise CorruptFile(f"{path} lacks {', '.join(missing)}; copy or download it again")
    return found


def _check_member(path: Path, member: tarfile.TarInfo, count: int) -> None:
    if count >= _MOST:
        raise CorruptFile(f"{path} holds over {_MOST} files, the published archive 9; get it from its publisher")
    if member.size > _LARGEST:
        raise CorruptFile(
            f"{path} ({member.name}) has {member.size:,} bytes, over the limit of {_LARGEST:,}; replace it"
        )
