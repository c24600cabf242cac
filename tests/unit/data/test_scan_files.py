import numpy as np
import pytest
import torch

from ninefold.data.points import read_scan, write_ply
from ninefold.errors import CorruptFile, InvalidInput

PLACES = {name: np.arange(3, dtype=np.float32) + i for i, name in enumerate("xyz")}


def test_a_bin_has_places_and_intensity(tmp_path):
    points = np.arange(8, dtype="<f4").reshape(2, 4)
    (tmp_path / "A.BIN").write_bytes(points.tobytes())
    scan = read_scan(tmp_path / "A.BIN", ("intensity",))
    assert torch.equal(torch.cat([scan.points, scan.features], dim=1), torch.from_numpy(points))
    assert scan.labels.tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["intensity", "Intensity", "scalar_Intensity"])
def test_columns_of_a_ply_are_found_by_name(tmp_path, name):
    write_ply(tmp_path / "a.ply", {name: np.array([0.0, 0.5, 1.0]), "red": np.zeros(3, np.uint8), **PLACES})
    scan = read_scan(tmp_path / "a.ply", ("intensity",))
    assert scan.points[:, 2].tolist() == [2, 3, 4]
    assert scan.features[:, 0].tolist() == [0, 0.5, 1]


def test_whole_numbers_become_shares(tmp_path):
    write_ply(tmp_path / "a.ply", {**PLACES, "intensity": np.array([0, 51, 255], np.uint8)})
    torch.testing.assert_close(read_scan(tmp_path / "a.ply", ("intensity",)).features[:, 0], torch.tensor([0, 0.2, 1]))


def test_a_missing_feature_is_named_with_what_is_there(tmp_path):
    write_ply(tmp_path / "a.ply", PLACES)
    with pytest.raises(InvalidInput, match="x, y, z for each point and no brightness"):
        read_scan(tmp_path / "a.ply", ("brightness",))


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"ends in \.bin or \.ply"):
        read_scan(tmp_path / "a.pcd", ())


@pytest.mark.parametrize(("values", "said"), [([], "no point"), ([0.0, np.nan], "point 1")])
def test_scans_without_points_or_numbers_are_refused(tmp_path, values, said):
    write_ply(tmp_path / "a.ply", dict.fromkeys("xyz", np.array(values, np.float32)))
    with pytest.raises(CorruptFile, match=said):
        read_scan(tmp_path / "a.ply", ())


def test_a_number_that_is_too_large_is_refused_without_a_warning(tmp_path):
    write_ply(tmp_path / "a.ply", dict.fromkeys("xyz", np.array([0.0, 1e300])))
    with pytest.raises(CorruptFile, match=r"point 1 is \(inf"):
        read_scan(tmp_path / "a.ply", ())
