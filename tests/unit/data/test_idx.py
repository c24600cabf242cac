import gzip
import struct
from math import prod
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold import data
from ninefold.data.sources.idx import FASHION_MNIST, MNIST, read_idx, read_pair
from ninefold.errors import CorruptFile, DataError, MissingData


def idx(*shape, fill=None, code=8):
    content = bytes(i % 10 for i in range(prod(shape))) if fill is None else fill
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + content


def put(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_raw_and_gzipped_files_are_told_by_their_content(tmp_path, wrap):
    path = put(tmp_path, "x.gz", wrap(idx(5, 2, 3)))
    assert read_idx(path, 3).tolist() == (np.arange(30) % 10).reshape(5, 2, 3).tolist()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has only 0 bytes"),
        (idx(5, 2, 3)[:9], "has only 9 bytes"),
        (b"\1\0" + idx(5, 2, 3)[2:], "starts with 01 00 08 03; an IDX file of 3 axes starts with 00 00 08 03"),
        (idx(500), "starts with 00 00 08 01; an IDX file of 3 axes"),
        (idx(5, 2, 3, code=0x0D), r"type code 0x0D \(float32\)"),
        (idx(5, 2, 3, code=0x55), r"type code 0x55 \(no type of the format\)"),
        (idx(5, 2, 3)[:-1], r"promises \(5, 2, 3\) = 30 bytes and holds 29"),
        (idx(5, 2, 3) + b"x", r"promises \(5, 2, 3\) = 30 bytes and holds more"),
        (idx(2**31, 2**31, 4, fill=b""), "over the limit of 1,073,741,824"),
        (gzip.compress(idx(5, 2, 3), mtime=0)[:-12], "cannot be read to its end"),
        (gzip.compress(idx(5, 2, 3), mtime=0)[:5], "cannot be read to its end"),
    ],
)
def test_what_is_no_idx_file_is_refused_with_its_name(tmp_path, content, sentence):
    with pytest.raises(CorruptFile, match=f"bad-idx.*{sentence}"):
        read_idx(put(tmp_path, "bad-idx", content), 3)


@given(st.data())
@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(wrap, data):
    content = bytearray(wrap(idx(5, 2, 3)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with NamedTemporaryFile() as file:
        file.write(content[: data.draw(st.integers(0, len(content)))])
        file.flush()
        try:
            values = read_idx(Path(file.name), 3)
        except CorruptFile:
            return
        assert values.dtype == np.uint8


def test_a_label_out_of_range_is_named(tmp_path):
    images = put(tmp_path, "images", idx(3, 2, 2))
    labels = put(tmp_path, "labels", idx(3, fill=bytes([1, 10, 2])))
    with pytest.raises(CorruptFile, match="labels has label 10 at index 1; wanted 0 to 9"):
        read_pair(images, labels, 10)


def test_counts_that_differ_are_named(tmp_path):
    images, labels = put(tmp_path, "images", idx(3, 2, 2)), put(tmp_path, "labels", idx(4))
    with pytest.raises(DataError, match=r"images holds 3 pictures and .*labels 4 labels"):
        read_pair(images, labels, 10)


def test_a_file_without_pictures_is_refused(tmp_path):
    images, labels = put(tmp_path, "images", idx(0, 2, 2)), put(tmp_path, "labels", idx(0))
    with pytest.raises(CorruptFile, match=r"images holds \(0, 2, 2\) pictures, rows and columns"):
        read_pair(images, labels, 10)


def write_set(folder, spell=lambda name: name, test_size=(4, 6)):
    for half, count, size in (("train", 30, (4, 6)), ("t10k", 5, test_size)):
        put(folder, spell(f"{half}-images-idx3-ubyte"), idx(count, *size))
        put(folder, spell(f"{half}-labels-idx1-ubyte"), idx(count))


@pytest.mark.parametrize("spell", [str, lambda n: n.replace("-idx", ".idx"), lambda n: f"{n}.gz"])
def test_a_set_is_found_under_the_usual_spellings(tmp_path, spell):
    write_set(tmp_path, spell)
    source = data.open_source("mnist", tmp_path)
    assert [len(source.split(name)) for name in ("train", "validation", "test")] == [28, 2, 5]
    assert source.split("validation")[1].name == "mnist/train/23"
    assert source.size == (4, 6)


def test_a_missing_file_is_named_with_its_spellings(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingData, match=r"holds none of t10k-labels-idx1-ubyte, t10k-labels.idx1-ubyte, .*\.gz"):
        data.open_source("fashion-mnist", tmp_path)


def test_halves_of_different_size_are_refused(tmp_path):
    write_set(tmp_path, test_size=(5, 5))
    with pytest.raises(DataError, match=r"\(4, 6\) pixels and .* of \(5, 5\)"):
        data.open_source("mnist", tmp_path)


def test_a_set_too_small_for_its_split_is_refused(tmp_path):
    write_set(tmp_path)
    put(tmp_path, "train-images-idx3-ubyte", idx(11, 4, 6))
    put(tmp_path, "train-labels-idx1-ubyte", idx(11))
    with pytest.raises(DataError, match="the validation split of 'mnist' is empty"):
        data.open_source("mnist", tmp_path)


def test_the_published_checksums_are_well_formed_and_differ():
    sums = [*MNIST.md5, *FASHION_MNIST.md5]
    assert len(set(sums)) == 8
    assert all(len(bytes.fromhex(md5)) == 16 for md5 in sums)


@pytest.mark.fashion
@pytest.mark.skipif(not FASHION_MNIST.shared[0].is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_has_its_known_counts_and_moments():
    source = data.open_source("fashion-mnist")
    train, validation, test = (source.split(name).labels for name in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (55_000, 5_000, 10_000)
    assert (train.bincount() + validation.bincount()).tolist() == [6000] * 10
    assert test.bincount().tolist() == [1000] * 10
    assert (source.mean + source.std) == pytest.approx((0.28585, 0.35288), abs=1e-5)
    assert source.classes[train[0]] == "Ankle boot"
