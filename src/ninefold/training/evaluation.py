"""Measure a trained network on one split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ninefold import data, networks, tasks
from ninefold.compiler import Compiled, compile  # noqa: A004  # as torch and re call theirs
from ninefold.errors import RunError, Unsupported
from ninefold.storage import write_text
from ninefold.training.feed import EpochBatches, Feed, in_layout, loader, order_of, placed
from ninefold.training.folder import METRICS, MODEL, read_settings
from ninefold.training.history import read_csv
from ninefold.training.kept import Kept, PictureTable, ScanLabels
from ninefold.training.kernels import say_why_not
from ninefold.training.plots import draw_confusion
from ninefold.training.progress import bar, style_here
from ninefold.training.report import Report, by_name, versions
from ninefold.training.weights import ModelCard, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn
    from torch.utils.data import DataLoader

    from ninefold.data import PointSource, Source
    from ninefold.records import Card, SplitName
    from ninefold.tasks import Metric, Task


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network made of a split.

    Args:
        loss: mean over the pictures or scans.
        metric: the task's, over all of them.
    """

    loss: float
    metric: Metric


def evaluate(run: Path, *, split: SplitName = "test", progress: str = "bar", compiled: bool = False) -> Report:
    """Measure the best weights of a run on one split, and write what comes out into the run folder.

    On the test split the files are `report.json`, `confusion.png` and `predictions.csv`, or, of scans, the folder
    `predictions` with a `.label` file each; on another split its name is added, as in `report-validation.json`. Needs
    `config.yaml` and `model.safetensors`, no other file.

    Args:
        run: the run folder.
        split: "test", "validation" or "train".
        progress: "bar", "lines" or "none"; on standard error.
        compiled: whether the network runs as `ninefold.compile` makes it, on the processor. If it cannot, a line on
            standard error says why, and the network runs as it is.

    Returns:
        The report.

    Raises:
        RunError: when the folder is no run, its weights cannot be used, or the data now has other classes.
        UnknownName: when there is no such split.
        Unsupported: when a network over points is to be compiled.
        StorageFull: when the disk has no room for the results.
    """
    style = style_here(progress)
    settings = read_settings(run)
    network, card = load_weights(run / MODEL)
    known = networks.card(card.network)
    if compiled and known.reads == "points":
        raise Unsupported(f"{card.network} reads points, and only networks over pictures can be compiled")
    network = compile(network) if compiled else in_layout(network, known.reads)
    source = data.open_source(settings.data, settings.data_dir)
    _check_classes(run, card, source)
    pictures, kept = source.split(split), _kept(run, known, card, split)
    order = order_of(settings, len(pictures), training=False, rank=0, world=1)
    feed = Feed(pictures, card.pipeline(), augmented=False)
    batches = loader(feed, EpochBatches(order, lambda: 0), settings.workers)
    with bar(style, f"{split} {known.reads}", len(pictures)) as move:
        measured = measure(network, tasks.get(known.task), batches, len(card.classes), kept, move)
    say_why_not(network, style)
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
        per_class=by_name(card.classes, measured.metric.per_class()),
    )
    _write(run, report, measured, card.classes)
    return report


def measure(
    network: nn.Module, task: Task, batches: DataLoader, classes: int, kept: Kept, move: Callable[[int], None]
) -> Measured:
    """Run a network over all batches.

    Args:
        network: in evaluation mode.
        task: says what is counted.
        batches: at least one picture or scan.
        classes: how many there are.
        kept: takes the predictions.
        move: is told how many pictures or scans are done.
    """
    on_kernels = isinstance(network, Compiled)
    device = torch.device("cuda" if torch.cuda.is_available() and not on_kernels else "cpu")
    layout = torch.contiguous_format if on_kernels else torch.channels_last
    network = network.to(device)
    metric, loss, count = task.metric(classes), 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            moved = placed(batch, device, layout)
            outputs = network(task.inputs(moved))
            targets, decoded = task.targets(moved), task.decode(outputs)
            metric.update(decoded, targets)
            loss += task.loss(outputs, targets).item() * len(batch.names)
            kept.add(moved, decoded)
            count += len(batch.names)
            move(count)
    kept.close()
    return Measured(loss / count, metric)


def _kept(run: Path, known: Card, card: ModelCard, split: SplitName) -> Kept:
    place = run / f"predictions{_ending(split)}"
    return ScanLabels(place) if known.reads == "points" else PictureTable(place.with_suffix(".csv"), card.classes)


def _ending(split: str) -> str:
    return "" if split == "test" else f"-{split}"


def _check_classes(run: Path, card: ModelCard, source: Source | PointSource) -> None:
    if tuple(source.classes) != card.classes:
        ours, theirs = (", ".join(classes[:12]) for classes in (source.classes, card.classes))
        raise RunError(
            f"{run} was trained on the {len(card.classes)} classes {theirs}, and {source.card.name!r} now has the "
            f"{len(source.classes)} classes {ours}; evaluate on the data of the training"
        )


def _write(run: Path, report: Report, measured: Measured, classes: tuple[str, ...]) -> None:
    ending, what = _ending(report.split), data.card(report.data).holds
    result = f"{report.metric} {report.value:.4f} on {report.images:,} {report.split} {what}"
    title = f"{report.network} on {report.data}\n{result}"
    draw_confusion(run / f"confusion{ending}.png", measured.metric.counts, classes, title)
    write_text(run / f"report{ending}.json", report.to_json())
