"""`mnist` and `fashion-mnist`: four IDX files each, raw or gzipped."""

from __future__ import annotations

import gzip
import zlib
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from ninefold.data.fetch import Remote, find, find_or_download
from ninefold.errors import CorruptFile, DataError
from ninefold.records import DataCard, SplitName

if TYPE_CHECKING:
    import numpy as np

    from ninefold.data.splits import Source, Split

_SPLIT_RULE = "Index % 12 == 11 of the train files is validation, their rest is train, the t10k files are test."
_LARGEST = 1 << 30  # bytes
_BLOCK = 1 << 20
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


class IdxSet(NamedTuple):
    """A set published as four IDX files.

    Args:
        card: as everywhere.
        classes: ten names.
        address: the files' common address, ending in a slash.
        md5: of the gzipped train images, train labels, test images, test labels.
        shared: a folder where a system package puts the files, if there is one.
    """

    card: DataCard
    classes: tuple[str, ...]
    address: str
    md5: tuple[str, str, str, str]
    shared: tuple[Path, ...] = ()

    @property
    def remotes(self) -> list[Remote]:
        """The four files."""
        parts = [(half, content) for half in ("train", "t10k") for content in ("images-idx3", "labels-idx1")]
        return [
            Remote(f"{self.address}{half}-{content}-ubyte.gz", md5, _spellings(half, content))
            for (half, content), md5 in zip(parts, self.md5, strict=True)
        ]


MNIST = IdxSet(
    card=DataCard(
        name="mnist",
        title="70,000 handwritten digits, 28x28 grey",
        origin="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition",
        licence="CC BY-SA 3.0, as the documentation of Keras states it",
        split_rule=_SPLIT_RULE,
    ),
    classes=tuple(map(str, range(10))),
    address="https://ossci-datasets.s3.amazonaws.com/mnist/",
    md5=(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)

FASHION_MNIST = IdxSet(
    card=DataCard(
        name="fashion-mnist",
        title="70,000 pictures of clothing, 28x28 grey",
        origin="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv 1708.07747",
        licence="MIT",
        split_rule=_SPLIT_RULE,
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    address="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    md5=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    shared=(Path("/usr/share/datasets/fashion-mnist"),),
)


def open_idx(published: IdxSet, data_dir: Path | None = None) -> Source:
    """Open a set of four IDX files.

    Args:
        published: which set.
        data_dir: the folder with the files; None: the system's folder, the user's cache, or downloaded there once.

    Raises:
        MissingData: when a file is not there.
        CorruptFile: when a file is not what it should be.
        DataError: when pictures and labels, or the two halves, do not belong together.
    """
    import torch

    from ninefold.data.splits import Source, StoredSplit, every

    remotes = published.remotes
    paths = find(remotes, data_dir) if data_dir else find_or_download(remotes, published.card.name, published.shared)
    images, labels = read_pair(paths[0], paths[1], len(published.classes))
    test_images, test_labels = read_pair(paths[2], paths[3], len(published.classes))
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{paths[0]} holds pictures of {images.shape[1:]} pixels and {paths[2]} of {test_images.shape[1:]}; "
            "use the files of one set"
        )
    name = published.card.name
    pictures, truth = torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()  # (M, 1, H, W), (M,)
    test = torch.from_numpy(test_images)[:, None], torch.from_numpy(test_labels).long()
    splits: dict[SplitName, Split] = {
        "train": StoredSplit(pictures, truth, every(len(truth), 12, *range(11)), f"{name}/train"),
        "validation": StoredSplit(pictures, truth, every(len(truth), 12, 11), f"{name}/train"),
        "test": StoredSplit(*test, every(len(test_labels), 1, 0), f"{name}/test"),
    }
    return Source(published.card, published.classes, channels=1, size=images.shape[1:], splits=splits)


open_mnist = partial(open_idx, MNIST)
open_fashion_mnist = partial(open_idx, FASHION_MNIST)


def read_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read pictures and their labels.

    Returns:
        uint8 (N, H, W) and uint8 (N,) with every label below `classes`.

    Raises:
        CorruptFile: when a file is not what it should be, or a label is out of range.
        DataError: when there are not as many labels as pictures.
    """
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images):,} pictures and {labels_path} {len(labels):,} labels; "
            "use the two files that belong together"
        )
    if images.size == 0:
        raise CorruptFile(f"{images_path} holds {images.shape} pictures, rows and columns; wanted at least one of each")
    if labels.max() >= classes:
        first = int((labels >= classes).argmax())
        raise CorruptFile(
            f"{labels_path} has label {labels[first]} at index {first}; wanted 0 to {classes - 1}: replace the file"
        )
    return images, labels


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, raw or gzipped (told by its content, not by its name).

    The file is two zero bytes, the type code 0x08, the number of axes, each axis' length as a big-endian 32-bit number,
    and then exactly as many bytes as the lengths multiply to.

    Args:
        path: the file.
        axes: how many axes it must have.

    Raises:
        CorruptFile: when any of this does not hold; the message says which.

    Source: "The IDX file format", on the page of the MNIST database.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                return _parse(raw, path, axes)
            with gzip.open(raw, "rb") as content:
                return _parse(content, path, axes)
    except (EOFError, OSError, zlib.error) as error:
        raise CorruptFile(f"{path} cannot be read to its end ({error}); copy or download it again") from error


def _parse(content: IO[bytes] | gzip.GzipFile, path: Path, axes: int) -> np.ndarray:
    import numpy as np

    header = content.read(4 + 4 * axes)
    if len(header) < 4 + 4 * axes:
        raise CorruptFile(f"{path} has only {len(header)} bytes, too few for its header; copy or download it again")
    if header[:2] != b"\0\0" or header[3] != axes:
        wanted = f"00 00 08 {axes:02x}"
        raise CorruptFile(f"{path} starts with {header[:4].hex(' ')}; an IDX file of {axes} axes starts with {wanted}")
    if header[2] != 8:
        came = _TYPES.get(header[2], "no type of the format")
        raise CorruptFile(f"{path} has type code 0x{header[2]:02X} ({came}); wanted 0x08, unsigned bytes")
    shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
    promised = prod(shape)
    if promised > _LARGEST:
        raise CorruptFile(
            f"{path} promises {shape} = {promised:,} bytes, over the limit of {_LARGEST:,}; replace the file"
        )
    data = bytearray()  # grows by what is there: a damaged header must not ask for all memory
    for block in islice(iter(lambda: content.read(_BLOCK), b""), promised // _BLOCK + 1):
        data += block
    if len(data) != promised:
        came = f"{len(data):,}" if len(data) < promised else "more"
        raise CorruptFile(f"{path} promises {shape} = {promised:,} bytes and holds {came}; copy or download it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _spellings(half: str, content: str) -> tuple[str, ...]:
    stems = (f"{half}-{content}-ubyte", f"{half}-{content.replace('-', '.')}-ubyte")
    return tuple(stem + ending for ending in ("", ".gz") for stem in stems)
