import numpy as np
import pytest
import torch

from ninefold.errors import Unsupported
from ninefold.sparse import spconv
from ninefold.sparse.spconv import tensorview, utils
from ninefold.sparse.spconv.pytorch.utils import PointToVoxel, gather_features_by_pc_voxel_id

POINTS = torch.tensor([[0.1, 0.1, 1], [0.2, 0.2, 2], [1.5, 0.5, 4], [9.0, 0.0, 5], [0.3, 0.3, 3], [0.5, 1.5, 6]])
GRID = {"vsize_xyz": [1.0, 1.0], "coors_range_xyz": [0, 0, 2, 2], "num_point_features": 3}


def test_places_without_a_point_hold_zeros_the_mean_or_what_was_there():
    voxels = PointToVoxel(**GRID, max_num_voxels=4, max_num_points_per_voxel=3)
    means, *_ = voxels(POINTS[1:], empty_mean=True)
    torch.testing.assert_close(means[0, 2], (POINTS[1] + POINTS[4]) / 2)
    torch.testing.assert_close(means[1], POINTS[2].expand(3, 3))
    kept, *_ = voxels(POINTS[2:3], clear_voxels=False)
    torch.testing.assert_close(kept[0, 1:], means[0, 1:])
    cleared, *_ = voxels(POINTS[2:3])
    assert not cleared[0, 1:].any()


def test_voxels_are_float32_whatever_torchs_default_is():
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        voxels, *_ = PointToVoxel(**GRID, max_num_voxels=4, max_num_points_per_voxel=3)(POINTS.float())
    finally:
        torch.set_default_dtype(before)
    assert voxels.dtype == torch.float32


def test_every_point_gets_the_features_of_its_voxel():
    voxels = PointToVoxel(**GRID, max_num_voxels=2, max_num_points_per_voxel=2)
    _, indices, counts, ids = voxels.generate_voxel_with_id(POINTS)
    assert (indices.tolist(), counts.tolist()) == ([[0, 0], [0, 1]], [2, 1])
    assert ids.tolist() == [0, 0, 1, -1, 0, -1]
    gathered = gather_features_by_pc_voxel_id(torch.tensor([[1.0], [2.0]]), ids, invalid_value=-1)
    assert gathered[:, 0].tolist() == [1, 1, 2, -1, 1, -1]


@pytest.mark.parametrize("kind", ["CPU", "GPU"])
def test_arrays_go_in_and_out_as_detection_code_sends_them(kind):
    make = getattr(utils, f"Point2Voxel{kind}2d")
    generator = make(**GRID, max_num_voxels=4, max_num_points_per_voxel=2)
    found = [part.numpy() for part in generator.point_to_voxel(tensorview.from_numpy(POINTS.numpy()))]
    assert (found[1].tolist(), found[2].tolist()) == ([[0, 0], [0, 1], [1, 0]], [2, 1, 1])
    assert found[0].shape == (3, 2, 3)
    means = generator.point_to_voxel_empty_mean(POINTS.numpy())[0].numpy_view()
    np.testing.assert_array_equal(means[1, 1], POINTS[2])


def test_points_that_do_not_fit_are_refused():
    voxels = PointToVoxel(**GRID, max_num_voxels=4, max_num_points_per_voxel=2)
    with pytest.raises(ValueError, match="wanted float32"):
        voxels(POINTS.double())
    with pytest.raises(ValueError, match="twice as many"):
        PointToVoxel([1.0, 1.0], [0, 0, 2], 3, 4, 2)


@pytest.mark.parametrize("far", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_points_that_are_nowhere_near_are_in_no_voxel(far):
    voxels = PointToVoxel(**GRID, max_num_voxels=4, max_num_points_per_voxel=2)
    *_, ids = voxels.generate_voxel_with_id(torch.tensor([[0.5, far, 0.0], [0.5, 0.5, 0.0]]))
    assert ids.tolist() == [-1, 0]


def test_no_points_give_no_voxels():
    voxels = PointToVoxel(**GRID, max_num_voxels=4, max_num_points_per_voxel=2)
    assert [len(part) for part in voxels.generate_voxel_with_id(POINTS[3:4])] == [0, 0, 0, 1]


def overlap(one, other):
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = sides.clip(0).prod()
    return shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


def test_boxes_are_kept_that_no_better_one_overlaps():
    random = np.random.default_rng(0)
    corners = random.random((40, 2)) * 6
    boxes, order = np.concatenate([corners, corners + random.random((40, 2)) * 4], axis=1), random.permutation(40)
    wanted = []
    for n in order:
        if all(overlap(boxes[n], boxes[m]) < 0.3 for m in wanted):
            wanted.append(n)
    assert 1 < len(wanted) < 40
    assert spconv.utils.non_max_suppression_cpu(boxes, order, 0.3) == wanted


def test_rotated_boxes_are_not_served():
    with pytest.raises(Unsupported, match="Boost"):
        spconv.utils.rbbox_iou(np.zeros((1, 4, 2)), np.zeros((1, 4, 2)), np.zeros((1, 1)), 0.0)
