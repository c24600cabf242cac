"""Every data source of scans keeps what its card and `PointSource` promise."""

import numpy as np
import pytest
import torch

from ninefold import data
from ninefold.records import SPLITS


def write_semantic_kitti(folder):
    draw = np.random.default_rng(0)
    for sequence in ("00", "08", "10"):
        for part in ("velodyne", "labels"):
            (folder / "sequences" / sequence / part).mkdir(parents=True)
        for i, count in enumerate((40, 60, 50)):
            points = draw.normal(0, 5, (count, 4)).astype("<f4")
            labels = draw.choice([0, 10, 40, 50, 252, 52], count).astype("<u4") + (7 << 16)
            (folder / "sequences" / sequence / "velodyne" / f"{i:06}.bin").write_bytes(points.tobytes())
            (folder / "sequences" / sequence / "labels" / f"{i:06}.label").write_bytes(labels.tobytes())
    return folder


CASES = {
    "lidar-scenes": lambda _folder: None,
    "indoor-rooms": lambda _folder: None,
    "semantic-kitti": write_semantic_kitti,
}


@pytest.fixture(scope="module", params=[pytest.param(case, id=case[0]) for case in CASES.items()])
def opened(request, tmp_path_factory):
    """The same source, opened twice."""
    name, write = request.param
    folder = write(tmp_path_factory.mktemp(name))
    return data.open_source(name, folder), data.open_source(name, folder)


def some(split):
    return split.__getitems__([0, len(split) - 1])


def test_every_source_of_scans_has_a_case():
    assert set(CASES) == {card.name for card in data.cards() if card.holds == "points"}


def test_the_card_is_complete(opened):
    card = opened[0].card
    assert card == data.card(card.name)
    assert all((card.title, card.origin, card.licence))
    assert card.split_rule.endswith(".")
    assert all(name in card.split_rule for name in SPLITS)


def test_scans_are_as_declared(opened):
    source = opened[0]
    for sample in (sample for name in SPLITS for sample in some(source.split(name))):
        count = len(sample.points)
        assert count > 0
        assert sample.points.shape == (count, 3)
        assert sample.features.shape == (count, source.channels - 3)
        assert sample.labels.shape == (count,)
        assert (sample.points.dtype, sample.features.dtype, sample.labels.dtype) == (
            *(torch.float32, torch.float32),
            torch.int64,
        )
        assert -1 <= sample.labels.min() <= sample.labels.max() < len(source.classes)


def test_splits_are_disjoint_by_name(opened):
    names = [sample.name for name in SPLITS for sample in some(opened[0].split(name))]
    assert len(names) == len(set(names)) == 2 * len(SPLITS)


def test_opening_again_gives_the_same(opened):
    first, second = opened
    assert first.classes == second.classes
    for name in SPLITS:
        for one, other in zip(some(first.split(name)), some(second.split(name)), strict=True):
            assert all(a.equal(b) for a, b in zip(one[:3], other[:3], strict=True))
            assert one.name == other.name


def test_classes_are_unique_names(opened):
    assert len(set(opened[0].classes)) == len(opened[0].classes) >= 2


@pytest.mark.parametrize("name", ["lidar-scenes", "indoor-rooms"])
def test_every_class_of_a_computed_source_occurs_in_a_few_scans(name):
    source = data.open_source(name)
    labels = torch.cat([sample.labels for sample in source.split("train").__getitems__(range(4))])
    assert labels.bincount(minlength=len(source.classes)).min() > 0


def test_moments_normalise_the_train_split():
    source = data.open_source("indoor-rooms")
    split = source.split("train")
    rows = torch.cat([torch.cat([split[i].points, split[i].features], 1) for i in range(0, len(split), 2)])
    normal = (rows - torch.tensor(source.mean)) / torch.tensor(source.std)
    torch.testing.assert_close(normal.mean(0), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(normal.std(0), torch.ones(4), rtol=0, atol=1e-3)
