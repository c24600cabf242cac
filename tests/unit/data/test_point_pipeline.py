import numpy as np
import pytest
import torch

from ninefold.data.points import POINT_AUGMENTATIONS, PointPipeline
from ninefold.data.points.street import Scanner, scan, street
from ninefold.errors import DataError, InvalidInput, MissingData, UnknownName
from ninefold.records import PointSample

MEAN, STD = (0.0, 0.0, 0.0, 0.5), (2.0, 2.0, 1.0, 0.25)


def sample(count=50, seed=0, name="scan"):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 3, (count,), generator=draw)
    points, features = torch.randn(count, 3, generator=draw) * 3, torch.rand(count, 1, generator=draw)
    return PointSample(points, features, labels, f"{name}-{seed}")


def test_features_are_normalised_means_of_the_points_of_each_cell():
    one = sample()
    batch = PointPipeline(1.0, MEAN, STD)([one])
    for row in range(len(batch.coords)):
        inside = batch.cells == row
        known = torch.cat([one.points, one.features], 1)[inside].mean(0)
        torch.testing.assert_close(batch.features[row], (known - torch.tensor(MEAN)) / torch.tensor(STD))


def test_scans_of_a_batch_keep_their_cells_apart_and_their_points_in_order():
    scans = [sample(40, 1), sample(60, 2)]
    both, alone = PointPipeline(0.7, MEAN, STD)(scans), PointPipeline(0.7, MEAN, STD)([scans[1]])
    second = both.coords[:, 0] == 1
    assert torch.equal(both.coords[second][:, 1:], alone.coords[:, 1:])
    assert torch.equal(both.features[second], alone.features)
    assert torch.equal(both.cells[40:] - int((~second).sum()), alone.cells)
    assert torch.equal(both.labels, torch.cat([scan.labels for scan in scans]))
    assert both.names == ("scan-1", "scan-2")


def test_the_grid_holds_every_cell_and_halves_four_times():
    batch = PointPipeline(0.3, MEAN, STD)([sample(seed=3), sample(seed=4)])
    assert all(n % 16 == 0 for n in batch.size)
    assert (batch.coords[:, 1:].amax(0) < torch.tensor(batch.size)).all()


def test_no_scans_make_an_empty_batch():
    batch = PointPipeline(0.3, MEAN, STD)([])
    assert (batch.features.shape, batch.coords.shape, batch.size) == ((0, 4), (0, 4), (16, 16, 16))


@pytest.mark.parametrize("name", POINT_AUGMENTATIONS)
def test_an_augmentation_keeps_heights_or_shapes_and_depends_on_its_seed_alone(name):
    points = sample(30).points
    keys = [np.array([seed], np.uint64) for seed in range(12)]
    changed = [POINT_AUGMENTATIONS[name](points, key) for key in keys]
    assert all(torch.equal(POINT_AUGMENTATIONS[name](points, key), one) for key, one in zip(keys, changed, strict=True))
    assert any(not torch.equal(one, points) for one in changed)
    for one in changed:
        ratio = torch.pdist(one) / torch.pdist(points)
        assert 0.94 < ratio.min() <= ratio.max() < 1.06
        assert ratio.max() - ratio.min() < 1e-3


def test_a_seed_changes_a_scan_whoever_its_neighbours_are():
    pipeline = PointPipeline(0.3, MEAN, STD, ("rotate", "flip", "scale"))
    alone, among = pipeline([sample()], [7]), pipeline([sample(seed=1), sample()], [3, 7])
    assert torch.equal(among.features[among.coords[:, 0] == 1], alone.features)
    assert not torch.equal(alone.features, pipeline([sample()])[0])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0.0, MEAN, STD), InvalidInput),
        ((0.3, MEAN, STD[:3]), InvalidInput),
        ((0.3, MEAN, (1.0, 1.0, 1.0, 0.0)), InvalidInput),
        ((0.3, MEAN, STD, ("flip", "flip")), InvalidInput),
        ((0.3, MEAN, STD, ("crop",)), UnknownName),
    ],
)
def test_settings_that_make_no_batch_are_refused(arguments, error):
    with pytest.raises(error):
        PointPipeline(*arguments)


def test_scans_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="3 features per point; wanted 4"):
        PointPipeline(0.3, MEAN, STD)([sample()._replace(features=torch.empty(50, 0))])
    with pytest.raises(InvalidInput, match="one seed per scan"):
        PointPipeline(0.3, MEAN, STD)([sample()], [1, 2])


def test_every_ray_ends_on_the_nearest_surface():
    exact = scan(5, Scanner(beams=16, turns=64, noise=0.0, lost=0.0))
    road = exact.labels == 0
    assert exact.points[road, 2].sub(-1.73).abs().max() < 1e-4
    distance = exact.points.norm(dim=1)
    lowest = torch.where(exact.points[:, 2] < 0, -1.73 * distance / exact.points[:, 2], torch.inf)
    assert (distance <= lowest + 1e-3).all()  # nothing is seen through the ground


def test_no_vehicle_stands_around_the_sensor():
    for number in range(20):
        near = [s for s in street(number, lane=1.6) if s.label == 3 and s.low[0] < 1 and s.high[0] > -1]
        assert all(s.low[1] > 2.5 or s.high[1] < 0.7 for s in near)


def test_a_copy_of_semantic_kitti_is_refused_where_it_is_not_whole(tmp_path):
    from ninefold.data import open_source

    with pytest.raises(MissingData, match="sequences"):
        open_source("semantic-kitti", tmp_path)
    (tmp_path / "sequences" / "00" / "velodyne").mkdir(parents=True)
    with pytest.raises(DataError, match="the train split"):
        open_source("semantic-kitti", tmp_path)
    (tmp_path / "sequences" / "00" / "velodyne" / "000000.bin").write_bytes(bytes(16))
    with pytest.raises(MissingData, match="has no labels"):
        open_source("semantic-kitti", tmp_path)
