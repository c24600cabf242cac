"""Measure a trained network on one split."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ninefold import data, networks, tasks
from ninefold.data import Pipeline
from ninefold.errors import RunError
from ninefold.storage import write_text
from ninefold.training.feed import EpochBatches, Feed, loader, order_of
from ninefold.training.folder import METRICS, MODEL, read_settings
from ninefold.training.history import read_csv
from ninefold.training.plots import draw_confusion
from ninefold.training.progress import bar, style_here
from ninefold.training.report import Report, versions
from ninefold.training.weights import ModelCard, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn
    from torch.utils.data import DataLoader

    from ninefold.data import Source
    from ninefold.records import SplitName
    from ninefold.tasks import Metric, Task


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network made of a split.

    Args:
        names: N names of pictures.
        truth: int64 (N,), their classes.
        labels: int64 (N,), the classes that the network gave them.
        probabilities: float32 (N, classes).
        loss: mean over the pictures.
        metric: the task's, over all pictures.
    """

    names: tuple[str, ...]
    truth: Tensor
    labels: Tensor
    probabilities: Tensor
    loss: float
    metric: Metric


def evaluate(run: Path, *, split: SplitName = "test", progress: str = "bar") -> Report:
    """Measure the best weights of a run on one split, and write what comes out into the run folder.

    On the test split the files are `report.json`, `predictions.csv` and `confusion.png`; on another one its name is
    added, as in `report-validation.json`. Needs `config.yaml` and `model.safetensors`, no other file.

    Args:
        run: the run folder.
        split: "test", "validation" or "train".
        progress: "bar", "lines" or "none"; on standard error.

    Returns:
        The report.

    Raises:
        RunError: when the folder is no run, its weights cannot be used, or the data now has other classes.
        UnknownName: when there is no such split.
        StorageFull: when the disk has no room for the results.
    """
    style = style_here(progress)
    settings = read_settings(run)
    network, card = load_weights(run / MODEL)
    source = data.open_source(settings.data, settings.data_dir)
    _check_classes(run, card, source)
    pictures = source.split(split)
    feed = Feed(pictures, Pipeline(card.size, card.in_channels, card.mean, card.std), augmented=False)
    order = order_of(settings, len(pictures), training=False, rank=0, world=1)
    batches = loader(feed, EpochBatches(order, lambda: 0), settings.workers)
    task = tasks.get(networks.card(card.network).task)
    with bar(style, f"{split} pictures", len(pictures)) as move:
        measured = measure(network, task, batches, len(card.classes), move)
    rows = read_csv(run / METRICS)
    report = Report(
        network=card.network,
        data=settings.data,
        split=split,
        images=len(pictures),
        metric=measured.metric.name,
        value=measured.metric.value(),
        loss=measured.loss,
        epochs=len(rows) or settings.epochs,
        best_epoch=card.epoch,
        seconds=round(sum(row["seconds"] for row in rows), 3),
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        seed=settings.seed,
        versions=versions(),
    )
    _write(run, report, measured, card.classes)
    return report


def measure(network: nn.Module, task: Task, batches: DataLoader, classes: int, move: Callable[[int], None]) -> Measured:
    """Run a network over all batches.

    Args:
        network: in evaluation mode.
        task: says what is counted.
        batches: at least one picture.
        classes: how many there are.
        move: is told how many pictures are done.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, memory_format=torch.channels_last)
    metric, loss, names, parts = task.metric(classes), 0.0, [], []
    with torch.inference_mode():
        for batch in batches:
            moved = batch._replace(images=batch.images.to(device, memory_format=torch.channels_last))
            outputs = network(moved.images)
            targets = task.targets(moved).to(device)
            decoded = task.decode(outputs)
            metric.update(decoded, targets)
            loss += task.loss(outputs, targets).item() * len(batch.names)
            names.extend(batch.names)
            parts.append((batch.labels, decoded.labels.cpu(), decoded.probabilities.float().cpu()))
            move(len(names))
    truth, labels, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
    return Measured(tuple(names), truth, labels, probabilities, loss / len(names), metric)


def _check_classes(run: Path, card: ModelCard, source: Source) -> None:
    if tuple(source.classes) != card.classes:
        ours, theirs = (", ".join(classes[:12]) for classes in (source.classes, card.classes))
        raise RunError(
            f"{run} was trained on the {len(card.classes)} classes {theirs}, and {source.card.name!r} now has the "
            f"{len(source.classes)} classes {ours}; evaluate on the data of the training"
        )


def _write(run: Path, report: Report, measured: Measured, classes: tuple[str, ...]) -> None:
    ending = "" if report.split == "test" else f"-{report.split}"
    write_text(run / f"predictions{ending}.csv", _table(measured, classes))
    result = f"{report.metric} {report.value:.4f} on {report.images:,} {report.split} pictures"
    title = f"{report.network} on {report.data}\n{result}"
    draw_confusion(run / f"confusion{ending}.png", measured.metric.counts, classes, title)
    write_text(run / f"report{ending}.json", report.to_json())


def _table(measured: Measured, classes: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "truth", "prediction", *(f"score_{name}" for name in classes)])
    rows = zip(
        measured.names, measured.truth.tolist(), measured.labels.tolist(), measured.probabilities.tolist(), strict=True
    )
    for name, truth, label, scores in rows:
        writer.writerow([name, classes[truth], classes[label], *(f"{score:.6f}" for score in scores)])
    return text.getvalue()
