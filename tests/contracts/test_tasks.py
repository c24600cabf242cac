"""Every task keeps the contract: truth as perfect outputs scores 1, shuffled truth scores low, training helps."""

import math

import pytest
import torch

from ninefold import networks, tasks
from ninefold.errors import UnknownName
from ninefold.records import Batch, Logits

CLASSES = 5


def perfect_logits(labels):
    return Logits(20.0 * torch.nn.functional.one_hot(labels, CLASSES).float())


# For each task: how truth looks as perfect outputs, and a network that can learn it.
CASES = {"classify": perfect_logits}


def batch(count=60):
    """Pictures whose class is the place of a bright bar: what a network learns in a few steps."""
    torch.manual_seed(0)
    labels = torch.arange(count) % CLASSES
    images = 0.1 * torch.randn(count, 1, 20, 20)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 4 * label : 4 * label + 4] += 1.0
    return Batch(images, labels, tuple(map(str, range(count))))


def figure(task, outputs, targets):
    metric = task.metric(CLASSES)
    metric.update(task.decode(outputs), targets)
    return metric.value()


@pytest.fixture(params=sorted(tasks.TASKS))
def task(request):
    return tasks.get(request.param)


def test_every_task_has_a_case():
    assert set(CASES) == set(tasks.TASKS)


def test_truth_as_perfect_outputs_scores_one(task):
    truth = task.targets(batch())
    assert figure(task, CASES[task.name](truth), truth) == 1.0


def test_shuffled_truth_scores_low(task):
    truth = task.targets(batch())
    torch.manual_seed(1)
    shuffled = truth[torch.randperm(len(truth))]
    assert figure(task, CASES[task.name](shuffled), truth) < 0.5


def test_perfect_outputs_have_a_smaller_loss_than_shuffled_ones(task):
    truth = task.targets(batch())
    perfect = CASES[task.name](truth)
    assert task.loss(perfect, truth) < 0.01 * task.loss(perfect, truth.roll(1))


def test_short_training_improves_the_metric(task):
    torch.manual_seed(0)
    model, scenes = networks.create("resnet20", classes=CLASSES, in_channels=1), batch()
    truth = task.targets(scenes)
    before = figure(task, model.eval()(scenes.images), truth)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(12):
        loss = task.loss(model(scenes.images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = figure(task, model(scenes.images), truth)
    assert after > max(before, 0.9)


def test_counts_of_parts_add_up_to_counts_of_the_whole(task):
    truth = task.targets(batch())
    outputs = CASES[task.name](truth.roll(7))
    whole, first, second = (task.metric(CLASSES) for _ in range(3))
    whole.update(task.decode(outputs), truth)
    first.update(task.decode(Logits(outputs.scores[:13])), truth[:13])
    second.update(task.decode(Logits(outputs.scores[13:])), truth[13:])
    first.counts += second.counts
    assert first.value() == whole.value()


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
