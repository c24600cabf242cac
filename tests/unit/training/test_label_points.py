"""Labels for a user's own scans, by a network with fresh weights: what matters here is where they go."""

import numpy as np
import pytest
import torch

from ninefold import networks, tasks
from ninefold.data.points import read_labels, read_scan, write_ply
from ninefold.data.points.street import CLASSES, Scanner, scan
from ninefold.errors import InvalidInput
from ninefold.training import label_points, predict
from ninefold.training.weights import ModelCard, load_weights, save_weights

FEATURES = ("x", "y", "z", "intensity")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Give the folder of a run on points."""
    folder, torch_state = tmp_path_factory.mktemp("run"), torch.random.get_rng_state()
    torch.manual_seed(0)
    network = networks.create("minkunet14", classes=len(CLASSES), in_channels=4)
    card = ModelCard("minkunet14", CLASSES, 4, (), (0.0,) * 4, (1.0,) * 4, 1, voxel=0.5, features=("intensity",))
    save_weights(folder / "model.safetensors", network, card)
    torch.random.set_rng_state(torch_state)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Give a scan in two files, of either kind."""
    street, folder = scan(0, Scanner(beams=12, turns=64)), tmp_path_factory.mktemp("scans")
    rows = torch.cat([street.points, street.features], dim=1).numpy()
    (folder / "a.bin").write_bytes(rows.astype("<f4").tobytes())
    write_ply(folder / "b.ply", dict(zip(FEATURES, rows.T, strict=True)))
    return [folder / "a.bin", folder / "b.ply"]


def test_every_point_gets_the_most_probable_class_of_its_voxel(run, scans, tmp_path):
    found = label_points(run, scans, tmp_path / "new" / "labels")
    network, card = load_weights(run / "model.safetensors")
    task = tasks.get("segment_points")
    batch = card.pipeline()([read_scan(scans[0], card.features)])
    with torch.inference_mode():
        probabilities = network(task.inputs(batch)).scores.softmax(dim=1)[batch.cells]  # (P, classes)
    for one, name in zip(found, ("a.label", "b.label"), strict=True):
        assert one.labels == tmp_path / "new" / "labels" / name
        assert torch.equal(read_labels(one.labels, len(probabilities)), probabilities.argmax(dim=1))
    sure, label = probabilities.max(dim=1)
    for c in found[0].classes:
        own = label == CLASSES.index(c.name)
        assert (c.points, pytest.approx(c.probability, rel=1e-5)) == (int(own.sum()), float(sure[own].mean()))
    assert sum(c.points for c in found[0].classes) == found[0].points == len(label)


def test_nothing_is_written_unless_asked_for(run, scans, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert label_points(run, scans[:1])[0].labels is None
    assert not list(tmp_path.iterdir())


def test_labels_that_are_there_are_replaced_only_when_told(run, scans, tmp_path):
    (tmp_path / "b.label").write_bytes(b"mine")
    with pytest.raises(InvalidInput, match=r"b\.label is there already"):
        label_points(run, scans, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.label"]
    label_points(run, scans, tmp_path, overwrite=True)
    assert (tmp_path / "b.label").read_bytes() == (tmp_path / "a.label").read_bytes()


def test_scans_of_one_name_are_refused_before_anything_is_written(run, scans, tmp_path):
    with pytest.raises(InvalidInput, match="would both be labelled"):
        label_points(run, [scans[0], scans[0].with_suffix(".ply")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_the_other_kind_are_refused(run, scans, finished, tmp_path):
    with pytest.raises(InvalidInput, match=r"labels points, and .*a\.png came"):
        label_points(run, [tmp_path / "a.png"])
    with pytest.raises(InvalidInput, match=r"classifies pictures, and .*a\.bin holds points"):
        predict(finished, scans)
    with pytest.raises(InvalidInput, match="labels points; wanted a run on pictures"):
        predict(run, [tmp_path / "a.png"])
    with pytest.raises(InvalidInput, match="classifies pictures; wanted a run on points"):
        label_points(finished, scans)


def test_a_point_that_is_far_away_is_named(run, tmp_path):
    write_ply(tmp_path / "a.ply", dict(zip(FEATURES, np.full((4, 1), 1e9), strict=True)))
    with pytest.raises(InvalidInput, match=r"a\.ply: point 0"):
        label_points(run, [tmp_path / "a.ply"])
