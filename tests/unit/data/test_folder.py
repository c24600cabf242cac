import os
import shutil

import pytest
from PIL import Image

from ninefold import data
from ninefold.errors import CorruptFile, DataError, InvalidInput, MissingData


def paint(path, grey=0, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


def fill(folder, classes=("cat", "dog"), count=20):
    for label, name in enumerate(classes):
        for i in range(count):
            paint(folder / name / f"{i:02}.png", grey=100 * label + i)
    return folder


def names(source, split):
    return [sample.name for sample in source.split(split)]


def test_classes_are_the_sorted_folder_names_and_pictures_are_rgb(tmp_path):
    source = data.open_source("folder", fill(tmp_path, ("dog", "cat", "Ant")))
    assert source.classes == ("Ant", "cat", "dog")
    assert (source.channels, source.size) == (3, None)
    for split in ("train", "validation", "test"):
        for sample, label in zip(source.split(split), source.split(split).labels.tolist(), strict=True):
            assert sample.image.shape == (3, 4, 6)
            assert (sample.label, source.classes[label]) == (label, sample.name.split("/")[0])


def test_without_split_folders_a_tenth_of_each_class_is_test_and_a_tenth_validation(tmp_path):
    source = data.open_source("folder", fill(tmp_path))
    assert [source.split(name).labels.bincount().tolist() for name in ("train", "validation", "test")] == [
        [16, 16],
        [2, 2],
        [2, 2],
    ]
    seen = [name for split in ("train", "validation", "test") for name in names(source, split)]
    assert len(set(seen)) == len(seen) == 40


def test_the_split_depends_on_the_paths_inside_the_folder_alone(tmp_path):
    first = data.open_source("folder", fill(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    paint(tmp_path / "b" / "eel" / "0.png")
    for i in range(1, 7):
        paint(tmp_path / "b" / "eel" / f"{i}.png")
    second = data.open_source("folder", tmp_path / "b")
    assert names(first, "test") == [name for name in names(second, "test") if not name.startswith("eel")]


def test_given_split_folders_are_used(tmp_path):
    fill(tmp_path / "train", count=3)
    fill(tmp_path / "val", count=2)
    fill(tmp_path / "test", classes=("dog",), count=1)
    source = data.open_source("folder", tmp_path)
    assert [len(source.split(name)) for name in ("train", "validation", "test")] == [6, 4, 1]
    assert names(source, "test") == ["test/dog/00.png"]
    assert source.split("test").labels.tolist() == [1]


def test_a_missing_test_folder_is_taken_out_of_train(tmp_path):
    fill(tmp_path / "train", count=10)
    fill(tmp_path / "validation", count=1)
    source = data.open_source("folder", tmp_path)
    assert [len(source.split(name)) for name in ("train", "validation", "test")] == [18, 2, 2]
    assert all(name.startswith("train/") for name in names(source, "test"))


def test_hidden_files_and_files_that_are_no_pictures_by_name_are_left_out(tmp_path):
    fill(tmp_path, count=5)
    for name in (".hidden.png", "notes.txt", "Thumbs.db", ".git/x.png"):
        path = tmp_path / "cat" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no picture")
    (tmp_path / ".cache").mkdir()
    paint(tmp_path / "cat" / "deeper" / "six.PNG")
    source = data.open_source("folder", tmp_path)
    assert sum(len(source.split(name)) for name in ("train", "validation", "test")) == 11


def test_pictures_are_decoded_only_when_asked_for(tmp_path):
    fill(tmp_path, count=5)
    for path in tmp_path.glob("*/*.png"):
        path.write_bytes(b"broken")
    split = data.open_source("folder", tmp_path).split("train")
    assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(CorruptFile, match=r"cat/.*png is no picture"):
        split.__getitems__([0])


def test_moments_are_measured_on_the_train_pictures(tmp_path):
    for split, grey in (("train", 51), ("val", 0), ("test", 255)):
        for name in ("a", "b"):
            paint(tmp_path / split / name / "x.png", grey)
    source = data.open_source("folder", tmp_path)
    assert source.mean == pytest.approx((0.2, 0.2, 0.2))
    assert source.std == pytest.approx((1 / 255,) * 3)


def test_a_folder_has_to_be_given_and_to_exist(tmp_path):
    with pytest.raises(InvalidInput, match="'folder' reads your own files; say where they are with --data-dir DIR"):
        data.open_source("folder")
    with pytest.raises(MissingData, match="nowhere is no folder"):
        data.open_source("folder", tmp_path / "nowhere")


def test_no_class_folders(tmp_path):
    paint(tmp_path / "x.png")
    with pytest.raises(DataError, match="holds no folders; wanted one folder of pictures per class"):
        data.open_source("folder", tmp_path)


def test_one_class_only(tmp_path):
    with pytest.raises(DataError, match="holds one class folder, 'cat'; a classifier needs at least two"):
        data.open_source("folder", fill(tmp_path, ("cat",)))


def test_an_empty_class_folder(tmp_path):
    (fill(tmp_path) / "eel").mkdir()
    with pytest.raises(DataError, match=r"the class folder .*eel holds no picture; add some or remove it"):
        data.open_source("folder", tmp_path)


def test_too_few_pictures_to_split(tmp_path):
    with pytest.raises(DataError, match=r"the class 'cat' of .* has 4 pictures, and splitting it takes at least 5"):
        data.open_source("folder", fill(tmp_path, count=4))
    paint(tmp_path / "cat" / "more.png")
    paint(tmp_path / "dog" / "more.png")
    source = data.open_source("folder", tmp_path)
    assert [len(source.split(name)) for name in ("train", "validation", "test")] == [6, 2, 2]


def test_a_class_that_train_lacks(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", ("cat", "eel"))
    with pytest.raises(DataError, match=r"eel is a class that .*train lacks"):
        data.open_source("folder", tmp_path)


def test_two_validation_folders_and_a_missing_train_folder(tmp_path):
    fill(tmp_path / "val")
    fill(tmp_path / "test")
    with pytest.raises(DataError, match="holds val and test but no train"):
        data.open_source("folder", tmp_path)
    fill(tmp_path / "train")
    fill(tmp_path / "validation")
    with pytest.raises(DataError, match="holds both validation and val; keep one"):
        data.open_source("folder", tmp_path)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    fill(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot be listed \(Permission denied\); check its permissions"):
        data.open_source("folder", tmp_path)
