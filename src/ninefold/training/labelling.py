"""What a trained network says about the points of scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ninefold import networks, tasks
from ninefold.data.points import SCAN_SUFFIXES, read_scan, write_labels
from ninefold.errors import InvalidInput
from ninefold.storage import naming_a_full_disk
from ninefold.training.feed import placed
from ninefold.training.folder import MODEL
from ninefold.training.progress import bar, style_here
from ninefold.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ninefold.records import Classified
    from ninefold.training.weights import ModelCard


@dataclass(frozen=True, slots=True)
class ClassFound:
    """What was found of a class in a scan.

    Args:
        name: of the class.
        points: how many have it as their most probable one, >= 1.
        probability: of the class, the mean over these points.
    """

    name: str
    points: int
    probability: float


@dataclass(frozen=True, slots=True)
class LabelledScan:
    """What a network says about one scan.

    Args:
        path: of the scan.
        points: how many it has.
        classes: those that were found, that of the most points first.
        labels: the file with a label per point, where one was asked for.
    """

    path: Path
    points: int
    classes: list[ClassFound]
    labels: Path | None


def label_points(
    run: Path, scans: Sequence[Path], out: Path | None = None, *, overwrite: bool = False, progress: str = "none"
) -> list[LabelledScan]:
    """Give every point of scans a class, with the best weights of a run.

    Points become voxels as the training scans did, without augmentation; every point has the class of its voxel.

    Args:
        run: the run folder; only its `model.safetensors` is read.
        scans: `.bin` files as KITTI has them, or `.ply`.
        out: the folder for the labels, made if need be: a `.label` per scan, called as the scan is, with the number of
            the class of every point in the points' order, as SemanticKITTI keeps labels. None: nothing is written.
        overwrite: whether files that are there may be replaced.
        progress: "bar", "lines" or "none"; on standard error.

    Returns:
        What was found in each scan, in the order of `scans`.

    Raises:
        RunError: when the weights cannot be used.
        InvalidInput: when the run is not one on points, a file is no scan or lacks a feature, or labels are in the way.
        MissingData, CorruptFile: when a scan is not there or cannot be read; the message names it, and those before it
            are labelled.
        StorageFull: when the disk has no room.
    """
    network, card = load_weights(run / MODEL)
    if not card.voxel:
        raise InvalidInput(f"{run} classifies pictures; wanted a run on points, or call `predict`")
    _must_be_scans(run, scans)
    targets = [None if out is None else out / f"{scan.stem}.label" for scan in scans]
    if out is not None:
        _must_be_free(scans, targets, overwrite=overwrite)
        with naming_a_full_disk(out):
            out.mkdir(parents=True, exist_ok=True)
    task, pipeline = tasks.get(networks.card(card.network).task), card.pipeline()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device)
    found = []
    with torch.inference_mode(), bar(style_here(progress), "scans", len(scans)) as move:
        for path, target in zip(scans, targets, strict=True):
            batch = placed(pipeline([read_scan(path, card.features)]), device)
            decoded = task.decode(network(task.inputs(batch)))
            labels = decoded.labels[batch.cells]  # (P,)
            if target is not None:
                write_labels(target, labels)
            found.append(LabelledScan(path, len(labels), _classes_found(card, decoded, batch.cells), target))
            move(len(found))
    return found


def _must_be_scans(run: Path, scans: Sequence[Path]) -> None:
    for path in scans:
        if path.suffix.lower() not in SCAN_SUFFIXES:
            raise InvalidInput(f"{run} labels points, and {path} came; wanted files in {' or '.join(SCAN_SUFFIXES)}")


def _must_be_free(scans: Sequence[Path], targets: Sequence[Path], *, overwrite: bool) -> None:
    of: dict[Path, Path] = {}
    for scan, target in zip(scans, targets, strict=True):
        if target in of:
            raise InvalidInput(f"{of[target]} and {scan} would both be labelled in {target}; label them one by one")
        if target.exists() and not overwrite:
            raise InvalidInput(f"{target} is there already; choose another --out or add --overwrite")
        of[target] = scan


def _classes_found(card: ModelCard, decoded: Classified, cells: torch.Tensor) -> list[ClassFound]:
    """Count the points of every class, and take the mean of their probabilities."""
    labels, sure = decoded.labels[cells], decoded.probabilities.amax(dim=1)[cells].double()
    counts = labels.bincount(minlength=len(card.classes))
    means = torch.zeros_like(counts, dtype=torch.float64).index_add(0, labels, sure) / counts
    order = counts.argsort(descending=True, stable=True).tolist()
    return [ClassFound(card.classes[i], int(counts[i]), float(means[i])) for i in order if counts[i]]
