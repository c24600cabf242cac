import io
import pickle
import tarfile

import numpy as np
import pytest

from ninefold import data
from ninefold.data.sources.cifar10 import FOLDER, TEST, TRAIN, read_archive, read_batch
from ninefold.errors import CorruptFile, MissingData


def batch(count=10, seed=0, **changes):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    fields = {b"data": pixels, b"labels": [i % 10 for i in range(count)], **changes}
    return pickle.dumps(fields, 2)


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def whole(prefix=f"{FOLDER}/"):
    return {f"{prefix}{name}": batch(seed=i) for i, name in enumerate((*TRAIN, TEST))}


def test_the_planes_are_red_green_and_blue_row_by_row():
    pixels = np.zeros((1, 3072), np.uint8)
    pixels[0, 1024 + 2 * 32 + 5] = 7
    images, labels = read_batch(batch(1, data=pixels), "x")
    assert images[0, 1, 2, 5] == 7
    assert images.sum() == 7
    assert (labels.dtype, labels.tolist()) == (np.int64, [0])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickle.dumps([1]), "holds a list; wanted a dict"),
        (batch(data=np.zeros((10, 3071), np.uint8)), r"no 'data' of bytes \(N, 3072\)"),
        (batch(data=np.zeros((10, 3072), np.float32)), r"no 'data' of bytes \(N, 3072\)"),
        (batch(data=b"x"), "no 'data'"),
        (batch(labels=[1, 2]), "no 'labels' of 10 numbers"),
        (batch(labels=[1, 2, 10, *[0] * 7]), "has the label 10; wanted 0 to 9"),
        (batch(labels=[1, -1, *[0] * 8]), "has the label -1"),
        (batch(labels=[1, "cat", *[0] * 8]), "has the label 'cat'"),
        (batch()[:-500], "damaged pickle"),
    ],
)
def test_a_batch_that_is_not_as_published_is_refused(content, sentence):
    with pytest.raises(CorruptFile, match=f"data_batch_9.*{sentence}"):
        read_batch(content, "data_batch_9")


def test_archive_and_extracted_folder_give_the_same(tmp_path):
    (tmp_path / FOLDER).mkdir()
    for name, content in whole("").items():
        (tmp_path / FOLDER / name).write_bytes(content)
    (tmp_path / "packed").mkdir()
    archive(tmp_path / "packed" / "cifar-10-python.tar.gz", whole())
    sources = [data.open_source("cifar10", folder) for folder in (tmp_path, tmp_path / FOLDER, tmp_path / "packed")]
    for name, count in (("train", 45), ("validation", 5), ("test", 10)):
        splits = [source.split(name) for source in sources]
        assert [len(split) for split in splits] == [count] * 3
        assert all(split[3].image.equal(splits[0][3].image) for split in splits)
    assert sources[0].mean == sources[2].mean


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingData, match=r"holds none of cifar-10-python.tar.gz"):
        data.open_source("cifar10", tmp_path)
    (tmp_path / "data_batch_1").write_bytes(batch())
    with pytest.raises(MissingData, match="data_batch_2 is not there; extract the whole archive again"):
        data.open_source("cifar10", tmp_path)


def test_an_archive_without_a_batch_is_refused(tmp_path):
    files = whole()
    del files[f"{FOLDER}/data_batch_3"]
    with pytest.raises(CorruptFile, match="lacks data_batch_3"):
        read_archive(archive(tmp_path / "x.tar.gz", files))


def test_links_and_folders_of_a_batchs_name_are_not_followed(tmp_path):
    path = archive(tmp_path / "x.tar", {})
    with tarfile.open(path, "w") as tar:
        for kind, name in ((tarfile.SYMTYPE, TRAIN[0]), (tarfile.LNKTYPE, TRAIN[1]), (tarfile.DIRTYPE, TRAIN[2])):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            tar.addfile(member)
    with pytest.raises(CorruptFile, match="lacks data_batch_1, data_batch_2, data_batch_3"):
        read_archive(path)


def test_a_truncated_archive_is_refused(tmp_path):
    path = archive(tmp_path / "x.tar.gz", whole())
    content = path.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 2000):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFile, match=r"x.tar.gz (cannot be read to its end|lacks)"):
            read_archive(path)


def test_too_large_and_too_many_files_are_refused(tmp_path):
    member = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
    member.size = 2**40
    (tmp_path / "large.tar").write_bytes(member.tobuf())
    with pytest.raises(CorruptFile, match=r"large.tar \(.*data_batch_1\) has 1,099,511,627,776 bytes, over the limit"):
        read_archive(tmp_path / "large.tar")
    with pytest.raises(CorruptFile, match="holds over 100 files"):
        read_archive(archive(tmp_path / "many.tar.gz", {str(i): b"" for i in range(101)}))


def test_nothing_is_written_beside_the_archive(tmp_path):
    archive(tmp_path / "cifar-10-python.tar.gz", {**whole(), "../outside": b"x"})
    data.open_source("cifar10", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]
    assert not (tmp_path.parent / "outside").exists()
