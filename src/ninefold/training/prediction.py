"""What a trained network says about pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ninefold import networks, tasks
from ninefold.compiler import compile  # noqa: A004  # as torch and re call theirs
from ninefold.data import read_image
from ninefold.data.points import SCAN_SUFFIXES
from ninefold.errors import InvalidInput
from ninefold.records import Sample
from ninefold.training.folder import MODEL
from ninefold.training.kernels import say_why_not
from ninefold.training.weights import load_weights, read_card

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ninefold.records import Kind


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says about one picture.

    Args:
        path: of the picture.
        classes: (name of the class, probability), the most probable first.
    """

    path: Path
    classes: list[tuple[str, float]]


def reads(run: Path) -> Kind:
    """Say what the network of a run reads.

    Args:
        run: the run folder; only its `model.safetensors` is read.

    Raises:
        RunError: when that file is missing or damaged.
    """
    return networks.card(read_card(run / MODEL).network).reads


def predict(run: Path, images: Sequence[Path], top: int = 5, *, compiled: bool = False) -> list[Prediction]:
    """Classify picture files with the best weights of a run.

    Each picture is brought to the network's size and channels as the training pictures were, without augmentation.

    Args:
        run: the run folder; only its `model.safetensors` is read.
        images: files of any kind that Pillow reads.
        top: how many classes to name, >= 1; never more than there are.
        compiled: whether `ninefold.compile` makes the network faster on this processor first. If it cannot, a line on
            standard error says why, and the network runs as it is.

    Returns:
        One prediction per picture, in the order of `images`.

    Raises:
        RunError: when the weights cannot be used.
        InvalidInput: when `top` is below 1, the run is not one on pictures, or a file is a scan.
        MissingData, CorruptFile: when a picture is not there or cannot be read; the message names it.
    """
    if top < 1:
        raise InvalidInput(f"top={top} came; wanted at least 1")
    network, card = load_weights(run / MODEL)
    if card.voxel:
        raise InvalidInput(f"{run} labels points; wanted a run on pictures, or call `label_points`")
    for path in images:
        if path.suffix.lower() in SCAN_SUFFIXES:
            raise InvalidInput(f"{run} classifies pictures, and {path} holds points; wanted picture files")
    network = compile(network) if compiled else network
    task = tasks.get(networks.card(card.network).task)
    pipeline = card.pipeline()
    found = []
    for path in images:
        batch = pipeline([Sample(read_image(path), -1, str(path))])
        with torch.inference_mode():
            probabilities = task.decode(network(batch.images)).probabilities[0]  # (classes,)
        best = probabilities.topk(min(top, len(card.classes)))
        named = [(card.classes[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
        found.append(Prediction(path, named))
    say_why_not(network, "lines")
    return found
