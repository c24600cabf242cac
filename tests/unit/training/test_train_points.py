"""Training on scans: two of them per split, cut small, so that an epoch takes a second."""

import json
from dataclasses import replace

import pytest
import torch

from ninefold import data
from ninefold.data.points import PointSource, read_labels
from ninefold.data.points.splits import LazySplit
from ninefold.data.points.street import CLASSES, Scanner, scan
from ninefold.errors import InvalidInput, Unsupported
from ninefold.records import SPLITS
from ninefold.training import Settings, evaluate, train
from ninefold.training.checkpoint import read_checkpoint
from ninefold.training.history import read_csv
from ninefold.training.weights import load_weights

TINY = Scanner(beams=12, turns=64)


@pytest.fixture(scope="module")
def few():
    """Give settings of a run on a tiny `lidar-scenes`."""

    def opened(_dir=None):
        splits = {
            name: LazySplit(range(2 * i, 2 * i + 2), lambda n: scan(n, TINY), keep=True)
            for i, name in enumerate(SPLITS)
        }
        return PointSource(data.card("lidar-scenes"), CLASSES, features=("intensity",), voxel=0.5, splits=splits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(data.SOURCES, "lidar-scenes", data.SOURCES["lidar-scenes"]._replace(open=opened))
        yield Settings("minkunet14", "lidar-scenes", epochs=3, batch_size=2, optimizer="adam", augment=("rotate",))


@pytest.fixture(scope="module")
def finished(few, tmp_path_factory):
    """Give the folder and the report of a run."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return out, train(few, out, progress="none")


def test_a_run_learns(finished):
    rows = read_csv(finished[0] / "metrics.csv")
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert rows[-1]["epoch"] == 3


def test_a_run_in_bfloat16_learns_as_one_in_float32(few, finished, tmp_path):
    train(replace(few, precision="bf16"), tmp_path / "run", progress="none")
    losses = [[row["train_loss"] for row in read_csv(run / "metrics.csv")] for run in (tmp_path / "run", finished[0])]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_a_report_has_the_figure_of_every_class(finished):
    run, report = finished
    assert report.metric == "mean_iou"
    assert list(report.per_class) == list(CLASSES)
    assert json.loads((run / "report.json").read_text())["per_class"] == report.per_class
    assert evaluate(run, split="test", progress="none") == report


def test_every_point_of_the_split_has_a_predicted_label(finished):
    for number in (4, 5):
        path = finished[0] / "predictions" / f"street-{number}.label"
        assert read_labels(path, len(scan(number, TINY).points)).max() < len(CLASSES)


def test_a_resumed_run_is_the_uninterrupted_one(few, tmp_path):
    constant = replace(few, schedule="constant")
    train(replace(constant, epochs=1), tmp_path / "parts", progress="none")
    train(replace(constant, epochs=2), tmp_path / "parts", resume=True, progress="none")
    train(replace(constant, epochs=2), tmp_path / "whole", progress="none")
    one, other = (read_checkpoint(tmp_path / name / "last.ckpt")["state_dict"] for name in ("parts", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_know_the_classes_features_and_voxels_of_their_data(finished):
    model, card = load_weights(finished[0] / "model.safetensors")
    assert (model.head.out_features, card.classes, card.in_channels, card.voxel) == (len(CLASSES), CLASSES, 4, 0.5)
    assert card.features == ("intensity",)


def test_compilation_is_refused_by_a_run_on_points(finished):
    with pytest.raises(Unsupported, match="only networks over pictures"):
        evaluate(finished[0], compiled=True, progress="none")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"network": "lenet5"}, InvalidInput, "lenet5 reads pictures, and 'lidar-scenes' holds points"),
        ({"data": "digits"}, InvalidInput, "minkunet14 reads points, and 'digits' holds pictures"),
        ({"size": (32, 32)}, InvalidInput, "leave the size out"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(few, tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        train(replace(few, **changes), tmp_path / "run", progress="none")
    assert not (tmp_path / "run").exists()
