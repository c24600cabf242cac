import numpy as np
import pytest
import torch

from ninefold.data.points import read_labels, read_ply, read_velodyne, write_labels, write_ply
from ninefold.errors import CorruptFile, InvalidInput, MissingData

TEXT = """ply
format ascii 1.0
comment by hand
element vertex 3
property float x
property double y
property uchar red
property short near
element face 1
property list uchar int vertex_indices
end_header
0.5 1 255 -2
-1 2e3 0 7
3 4.25 9 0
3 0 1 2
"""


def columns():
    draw = np.random.default_rng(0)
    return {
        "x": draw.normal(size=5).astype(np.float32),
        "y": draw.normal(size=5),
        "label": np.arange(5, dtype=np.int32) - 1,
        "red": np.arange(5, dtype=np.uint8),
    }


def written(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_what_is_written_as_ply_is_read_again(tmp_path):
    write_ply(tmp_path / "a.ply", columns())
    again = read_ply(tmp_path / "a.ply")
    assert list(again) == list(columns())
    for name, values in columns().items():
        assert again[name].dtype == values.dtype
        assert np.array_equal(again[name], values)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_is_read_by_its_header(tmp_path, end):
    found = read_ply(written(tmp_path / "a.ply", TEXT.replace("\n", end)))
    assert {name: values.tolist() for name, values in found.items()} == {
        "x": [0.5, -1, 3],
        "y": [1, 2000, 4.25],
        "red": [255, 0, 9],
        "near": [-2, 7, 0],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("solid cube", "starts with b'soli'"),
        (TEXT.replace("end_header", "header"), "end_header"),
        (
            TEXT.replace("ascii", "binary"),
            "the format 'binary'; wanted ascii or binary_little",
        ),
        (TEXT.replace("property float x", "property list uchar int x"), "list uchar int x"),
        (TEXT.replace("vertex 3", "vertex 9"), "promises 9 points"),
        (TEXT.replace("0.5 1 255", "0.5 one 255"), "point 0 is '0.5 one 255 -2'"),
        (TEXT.replace("0.5 1 255", "0.5 1 256"), "point 0"),
        (TEXT.replace("0.5 1 255", "0.5 1"), "point 0"),
        (TEXT.replace("0.5 1 255", "0.5 1 25.5"), "point 0"),
        (TEXT.replace("0.5 1 255", "1e300 1 255"), "point 0"),
        (TEXT.replace("element vertex 3", "element camera 1\nproperty float f\nelement vertex 3"), "'camera'"),
        (TEXT.replace("element vertex 3\n", ""), "'face' before"),
        (TEXT.replace("vertex 3", "vertex many"), "'face' before"),
        (TEXT.partition("element")[0] + "end_header\n", "describes no points"),
        (TEXT.replace("double y", "double x"), "different names"),
    ],
)
def test_a_bad_ply_is_refused_with_its_path(tmp_path, text, said):
    with pytest.raises(CorruptFile, match=said) as caught:
        read_ply(written(tmp_path / "bad.ply", text))
    assert "bad.ply" in str(caught.value)


def test_a_big_endian_ply_is_read_as_its_little_endian_twin(tmp_path):
    write_ply(tmp_path / "a.ply", columns())
    table = np.zeros(5, [(name, values.dtype.newbyteorder(">")) for name, values in columns().items()])
    for name, values in columns().items():
        table[name] = values
    header = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")[0].replace(b"little", b"big")
    again = read_ply(written(tmp_path / "b.ply", header + b"end_header\n" + table.tobytes()))
    for name, values in columns().items():
        assert again[name].dtype == values.dtype
        assert np.array_equal(again[name], values)


def test_a_comment_does_not_end_a_header(tmp_path):
    found = read_ply(written(tmp_path / "a.ply", TEXT.replace("by hand", "before end_header")))
    assert found["x"].tolist() == [0.5, -1, 3]


def test_a_binary_ply_that_was_cut_off_is_refused(tmp_path):
    write_ply(tmp_path / "a.ply", columns())
    content = (tmp_path / "a.ply").read_bytes()
    with pytest.raises(CorruptFile, match="promises 5 points of 17 bytes and holds 84 bytes"):
        read_ply(written(tmp_path / "cut.ply", content[:-1]))


def test_columns_that_do_not_fit_are_not_written(tmp_path):
    with pytest.raises(InvalidInput, match="int64"):
        write_ply(tmp_path / "a.ply", {"x": np.arange(3)})
    with pytest.raises(InvalidInput, match="same number"):
        write_ply(tmp_path / "a.ply", {"x": np.zeros(3), "y": np.zeros(4)})
    assert not (tmp_path / "a.ply").exists()


def test_a_scan_is_read_in_its_own_order(tmp_path):
    points = np.random.default_rng(0).normal(size=(7, 4)).astype("<f4")
    scan = read_velodyne(written(tmp_path / "a.bin", points.tobytes()))
    assert torch.equal(scan, torch.from_numpy(points))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no point"),
        (bytes(30), "30 bytes"),
        (np.array([[0, 0, 0, 0], [0, np.inf, 0, 0]], "<f4").tobytes(), "point 1"),
    ],
)
def test_a_bad_scan_is_refused(tmp_path, content, said):
    with pytest.raises(CorruptFile, match=said):
        read_velodyne(written(tmp_path / "a.bin", content))


def test_labels_lose_the_numbers_of_objects(tmp_path):
    raw = (np.array([10, 252, 0], "<u4") + (np.array([5, 70, 0], "<u4") << 16)).astype("<u4")
    assert read_labels(written(tmp_path / "a.label", raw.tobytes()), 3).tolist() == [10, 252, 0]
    with pytest.raises(CorruptFile, match="labels of 4 points have 16"):
        read_labels(tmp_path / "a.label", 4)


def test_written_labels_are_read_again(tmp_path):
    write_labels(tmp_path / "a.label", torch.tensor([3, 0, 65535]))
    assert read_labels(tmp_path / "a.label", 3).tolist() == [3, 0, 65535]


@pytest.mark.parametrize("read", [read_ply, read_velodyne, lambda path: read_labels(path, 1)])
def test_a_file_that_is_not_there_is_missing_data(tmp_path, read):
    with pytest.raises(MissingData, match="none"):
        read(tmp_path / "none")
