"""Every task keeps the contract: truth as perfect outputs scores 1, shuffled truth scores low, training helps."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from ninefold import networks, tasks
from ninefold.errors import UnknownName
from ninefold.records import Batch, Logits, PointBatch, PointTruth

CLASSES = 5


def perfect_logits(labels):
    return Logits(20.0 * torch.nn.functional.one_hot(labels, CLASSES).float())


def pictures(count=60):
    """Pictures whose class is the place of a bright bar: what a network learns in a few steps."""
    torch.manual_seed(0)
    labels = torch.arange(count) % CLASSES
    images = 0.1 * torch.randn(count, 1, 20, 20)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 4 * label : 4 * label + 4] += 1.0
    return Batch(images, labels, tuple(map(str, range(count))))


def scan(count=60):
    """Points, each in a cell of its own, whose class is told by one of their features."""
    torch.manual_seed(0)
    labels = torch.arange(count) % CLASSES
    features = 0.1 * torch.randn(count, CLASSES) + torch.nn.functional.one_hot(labels, CLASSES)
    places = torch.randperm(64 * 64)[:count].sort().values
    coords = torch.stack([torch.zeros(count), torch.zeros(count), places // 64, places % 64], dim=1).int()
    return PointBatch(features, coords, (16, 64, 64), torch.arange(count), labels, ("scan",))


class Case(NamedTuple):
    """For a task: a batch, and a network that can learn it."""

    batch: Callable
    network: Callable


CASES = {
    "classify": Case(pictures, lambda: networks.create("resnet20", classes=CLASSES, in_channels=1)),
    "segment_points": Case(scan, lambda: networks.create("minkunet14", classes=CLASSES, in_channels=CLASSES)),
}


def labels_of(truth):
    return truth.labels if isinstance(truth, PointTruth) else truth


def relabelled(truth, labels):
    return truth._replace(labels=labels) if isinstance(truth, PointTruth) else labels


def parts(outputs, truth, at):
    """Cut a batch in two; a cell's scores serve the points of both parts."""
    if isinstance(truth, PointTruth):
        ends = slice(0, at), slice(at, None)
        return [(outputs, PointTruth(truth.labels[end], truth.cells[end])) for end in ends]
    return [(Logits(outputs.scores[:at]), truth[:at]), (Logits(outputs.scores[at:]), truth[at:])]


def figure(task, outputs, targets):
    metric = task.metric(CLASSES)
    metric.update(task.decode(outputs), targets)
    return metric.value()


@pytest.fixture(params=sorted(tasks.TASKS))
def task(request):
    return tasks.get(request.param)


def test_every_task_has_a_case():
    assert set(CASES) == set(tasks.TASKS)


@pytest.fixture
def batch(task):
    return CASES[task.name].batch()


def test_truth_as_perfect_outputs_scores_one(task, batch):
    truth = task.targets(batch)
    assert figure(task, perfect_logits(labels_of(truth)), truth) == 1.0


def test_shuffled_truth_scores_low(task, batch):
    truth = task.targets(batch)
    torch.manual_seed(1)
    shuffled = labels_of(truth)[torch.randperm(len(labels_of(truth)))]
    assert figure(task, perfect_logits(shuffled), truth) < 0.5


def test_perfect_outputs_have_a_smaller_loss_than_shuffled_ones(task, batch):
    truth = task.targets(batch)
    perfect = perfect_logits(labels_of(truth))
    assert task.loss(perfect, truth) < 0.01 * task.loss(perfect, relabelled(truth, labels_of(truth).roll(1)))


def test_short_training_improves_the_metric(task, batch):
    torch.manual_seed(0)
    model, truth, given = CASES[task.name].network(), task.targets(batch), task.inputs(batch)
    before = figure(task, model.eval()(given), truth)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(12):
        loss = task.loss(model(given), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = figure(task, model(given), truth)
    assert after > max(before, 0.9)


def test_counts_of_parts_add_up_to_counts_of_the_whole(task, batch):
    truth = task.targets(batch)
    outputs = perfect_logits(labels_of(truth).roll(7))
    whole, *metrics = (task.metric(CLASSES) for _ in range(3))
    whole.update(task.decode(outputs), truth)
    for metric, (scores, some) in zip(metrics, parts(outputs, truth, 13), strict=True):
        metric.update(task.decode(scores), some)
    metrics[0].counts += metrics[1].counts
    assert metrics[0].value() == whole.value()


def test_figures_of_classes_are_none_or_one_for_each(task, batch):
    truth, metric = task.targets(batch), task.metric(CLASSES)
    metric.update(task.decode(perfect_logits(labels_of(truth))), truth)
    assert metric.per_class() in ([], [1.0] * CLASSES)


def test_nothing_counted_gives_nan(task):
    assert math.isnan(task.metric(CLASSES).value())


def test_side_heads_count_three_tenths():
    labels, side = torch.tensor([0, 1]), torch.randn(2, CLASSES)
    main = perfect_logits(labels)
    with_side = tasks.CLASSIFY.loss(Logits(main.scores, (side,)), labels)
    alone = tasks.CLASSIFY.loss(main, labels)
    torch.testing.assert_close(with_side - alone, 0.3 * torch.nn.functional.cross_entropy(side, labels))


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(UnknownName, match="did you mean 'classify'"):
        tasks.get("clasify")


def test_points_of_unknown_class_count_neither_in_the_loss_nor_in_the_metric():
    task, truth = tasks.SEGMENT_POINTS, PointTruth(torch.tensor([0, 1, -1, -1]), torch.tensor([0, 1, 1, 0]))
    known = PointTruth(truth.labels[:2], truth.cells[:2])
    scores = Logits(torch.randn(2, CLASSES))
    torch.testing.assert_close(task.loss(scores, truth), task.loss(scores, known))
    assert figure(task, scores, truth) == figure(task, scores, known)
    assert task.loss(scores, truth._replace(labels=torch.full((4,), -1))) == 0


def test_mean_iou_is_that_of_the_definition():
    found, truth = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 0])
    metric = tasks.MeanIoU(4)
    metric.update(tasks.SEGMENT_POINTS.decode(Logits(torch.eye(4)[found])), PointTruth(truth, torch.arange(6)))
    assert metric.per_class()[:3] == pytest.approx([1 / 3, 2 / 3, 1 / 2])
    assert math.isnan(metric.per_class()[3])
    assert metric.value() == pytest.approx(1 / 2)
