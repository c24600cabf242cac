"""Every data source of pictures keeps what its card and `Source` promise."""

import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ninefold import data
from ninefold.records import SPLITS

FASHION = Path("/usr/share/datasets/fashion-mnist")


def write_idx_set(folder):
    draw = np.random.default_rng(0)
    for half, count in (("train", 48), ("t10k", 9)):
        images, labels = draw.integers(0, 256, (count, 28, 28), np.uint8), draw.integers(0, 10, count, np.uint8)
        for name, values in ((f"{half}-images-idx3-ubyte", images), (f"{half}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / name).write_bytes(header + values.tobytes())
    return folder


def text(value):
    """SHORT_BINSTRING: how Python 2 writes a str."""
    return b"U" + bytes([len(value)]) + value


def cifar_batch(pixels, labels, title):
    """A batch opcode by opcode, as Python 2's cPickle wrote the published ones (protocol 2, keys in its order)."""
    dtype = (
        b"cnumpy\ndtype\nq\x06"
        + text(b"u1")
        + b"K\0K\1\x87Rq\x07(K\3"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\0\x85" + text(b"b") + b"\x87R"
    shape = b"J" + struct.pack("<i", len(pixels)) + b"M\x00\x0c\x86"
    array = empty + b"(K\1" + shape + dtype + b"\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    names = b"](" + b"".join(text(b"picture_s_%06d.png" % i) for i in range(len(pixels))) + b"e"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    fields = text(b"batch_label") + text(title) + text(b"labels") + numbers + text(b"data") + array
    return b"\x80\x02}q\x01(" + fields + text(b"filenames") + names + b"u."


def write_cifar_archive(folder):
    draw = np.random.default_rng(0)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "readme.html"):
            pixels, labels = draw.integers(0, 256, (12, 3072), np.uint8), draw.integers(0, 10, 12)
            content = cifar_batch(pixels, labels.tolist(), name.encode())
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


def write_pictures(folder):
    draw = np.random.default_rng(0)
    for label, suffix in (("cat", "png"), ("dog", "jpg"), ("eel", "webp")):
        (folder / label).mkdir()
        for i in range(11):
            pixels = draw.integers(0, 256, (20 + i, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.{suffix}")
    return folder


CASES = {
    "digits": lambda _folder: None,
    "mnist": write_idx_set,
    "fashion-mnist": write_idx_set,
    "cifar10": write_cifar_archive,
    "folder": write_pictures,
}
REAL_FASHION = pytest.param(
    ("fashion-mnist", lambda _folder: FASHION),
    id="fashion-mnist as packaged",
    marks=[
        pytest.mark.fashion,
        pytest.mark.skipif(not FASHION.is_dir(), reason="the package dataset-fashion-mnist is not installed"),
    ],
)


@pytest.fixture(scope="module", params=[*(pytest.param(case, id=case[0]) for case in CASES.items()), REAL_FASHION])
def opened(request, tmp_path_factory):
    """The same source, opened twice."""
    name, write = request.param
    folder = write(tmp_path_factory.mktemp(name))
    return data.open_source(name, folder), data.open_source(name, folder)


def some(split):
    """At most 200 pictures, evenly spread."""
    return split.__getitems__(range(0, len(split), -(-len(split) // 200)))


def test_every_source_has_a_case():
    assert set(CASES) == {card.name for card in data.cards() if card.holds == "pictures"}


def test_the_card_is_complete(opened):
    card = opened[0].card
    assert card == data.card(card.name)
    assert all((card.title, card.origin, card.licence))
    assert card.split_rule.endswith(".")
    assert all(name in card.split_rule for name in SPLITS)


def test_the_splits_are_disjoint_by_name(opened):
    names = [
        sample.name
        for split in SPLITS
        for sample in opened[0].split(split).__getitems__(range(len(opened[0].split(split))))
    ]
    assert len(names) == len(set(names))


def test_labels_are_in_range_and_known_without_the_pictures(opened):
    for name in SPLITS:
        split = opened[0].split(name)
        assert (split.labels.dtype, split.labels.shape) == (torch.int64, (len(split),))
        assert split.labels.min() >= 0
        assert split.labels.max() < len(opened[0].classes)
        assert [sample.label for sample in some(split)] == split.labels[:: -(-len(split) // 200)].tolist()


def test_classes_are_unique_names(opened):
    assert len(set(opened[0].classes)) == len(opened[0].classes) >= 2
    assert all(isinstance(name, str) and name for name in opened[0].classes)


def test_pictures_are_as_declared(opened):
    source = opened[0]
    for name in SPLITS:
        for sample in some(source.split(name)):
            assert sample.image.dtype == torch.uint8
            assert sample.image.shape[0] == source.channels
            assert source.size in (None, tuple(sample.image.shape[1:]))


def test_one_picture_and_several_are_the_same(opened):
    split = opened[0].split("test")
    for one, other in zip([split[0], split[len(split) - 1]], split.__getitems__([0, len(split) - 1]), strict=True):
        assert one.image.equal(other.image)
        assert one[1:] == other[1:]


def test_opening_again_gives_the_same(opened):
    first, second = opened
    assert (first.classes, first.mean, first.std) == (second.classes, second.mean, second.std)
    for name in SPLITS:
        for one, other in zip(some(first.split(name)), some(second.split(name)), strict=True):
            assert one.image.equal(other.image)
            assert one[1:] == other[1:]


def test_moments_normalise_the_train_split(opened):
    source = opened[0]
    size = source.size or (20, 30)
    batch = data.Pipeline(size, source.channels, source.mean, source.std)(some(source.split("train")))
    mean, std = batch.images.mean((0, 2, 3)), batch.images.std((0, 2, 3))
    assert mean.abs().max() < 0.2
    assert (std - 1).abs().max() < 0.2
