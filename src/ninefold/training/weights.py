"""`model.safetensors`: a network's weights, and all that is needed to use them on a picture or a scan."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from ninefold import networks
from ninefold.data import Pipeline, PointPipeline
from ninefold.errors import InvalidInput, RunError
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the weights belong to; kept as the file's metadata, each field as JSON.

    Args:
        network: its name.
        classes: names of the classes, in the order of the scores.
        in_channels: channels of a picture, or features of a point.
        size: (H, W) of a picture as the network takes it; () of scans.
        mean: per channel, in units of 0..1, taken off a picture; per feature, taken off a cell.
        std: per channel, in units of 0..1, that a picture is divided by; per feature, that a cell is divided by.
        epoch: after which these weights were kept, from 1.
        voxel: side of a scan's cells in metres; 0 for pictures.
        features: what is known of a scan's point beside x, y and z; () for pictures.
    """

    network: str
    classes: tuple[str, ...]
    in_channels: int
    size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    epoch: int
    voxel: float = 0.0
    features: tuple[str, ...] = ()

    def create(self) -> nn.Module:
        """Build the network with fresh weights."""
        return networks.create(self.network, classes=len(self.classes), in_channels=self.in_channels)

    def pipeline(self) -> Pipeline | PointPipeline:
        """Give what makes batches as the network took them in training, without augmentation."""
        if self.voxel:
            return PointPipeline(self.voxel, self.mean, self.std)
        height, width = self.size
        return Pipeline((height, width), self.in_channels, self.mean, self.std)


def save_weights(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write the weights and their card.

    Raises:
        StorageFull: when the disk has no room; an older file is as it was.
    """
    from safetensors.torch import save

    # Copies: safetensors keeps rows only, and refuses tensors that share their memory, as tied weights do.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    metadata = {name: json.dumps(value) for name, value in asdict(card).items()}
    write_bytes(path, save(tensors, {"format": "pt", **metadata}))


def load_weights(path: Path) -> tuple[nn.Module, ModelCard]:
    """Build the network of a weights file, in evaluation mode; no code from the file is run.

    Raises:
        RunError: when the file is missing or damaged, or its tensors are not those of the network it names.
    """
    with _opened(path) as file:
        card = _card(path, file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # a handle, not a dict
    network = card.create()
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.eval(), card


def read_card(path: Path) -> ModelCard:
    """Read what weights belong to, and not the weights.

    Raises:
        RunError: when the file is missing or damaged.
    """
    with _opened(path) as file:
        return _card(path, file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunError(f"{path} is not there; train first: it is written after the first epoch")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} cannot be read as safetensors ({error}); take another copy or train again") from error


def _card(path: Path, metadata: Mapping[str, str]) -> ModelCard:
    names = [field.name for field in fields(ModelCard)]
    missing = [field.name for field in fields(ModelCard) if field.default is MISSING and field.name not in metadata]
    if missing:
        raise RunError(f"{path} has no metadata {', '.join(missing)}: ninefold did not write it")
    try:
        card = ModelCard(**{name: _frozen(json.loads(metadata[name])) for name in names if name in metadata})
        networks.card(card.network)
    except (InvalidInput, ValueError, TypeError) as error:
        raise RunError(f"{path} has metadata that cannot be used: {error}") from error
    return card


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def check_tensors(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compare names and shapes.

    Args:
        path: of the file, for the message.
        wanted: of the network.
        found: in the file.

    Raises:
        RunError: naming the first tensor, in alphabetical order, that differs, with both shapes.
    """
    for name in sorted({*wanted, *found}):
        ours, theirs = (f"shape {tuple(side[name].shape)}" if name in side else "no place" for side in (wanted, found))
        if ours != theirs:
            raise RunError(
                f"{path} does not fit its network: {name} has {theirs} in the file and {ours} in the network; "
                "it was changed after ninefold wrote it, or written by a version with another network: train again"
            )
