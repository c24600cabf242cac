"""From a split to batches on time: which pictures or scans, in which order, by which process."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ninefold.data import GlobalBatches, Pipeline, PointPipeline
from ninefold.errors import InvalidInput
from ninefold.records import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from ninefold.data import PointSource, PointSplit, Source, Split
    from ninefold.records import Card, Kind, PointBatch
    from ninefold.training.settings import Settings

Picked = list[tuple[int, int]]
"""(index in the split, seed of the sample) for each picture of a batch, as `GlobalBatches` yields it."""


@final
class Feed(Dataset):
    """A split whose items are whole batches.

    Args:
        split: the pictures or scans.
        pipeline: makes batches of them.
        augmented: whether the samples' seeds are used.
    """

    def __init__(self, split: Split | PointSplit, pipeline: Pipeline | PointPipeline, *, augmented: bool) -> None:
        self.split, self.pipeline, self.augmented = split, pipeline, augmented

    def __getitem__(self, picked: Picked) -> Batch | PointBatch:
        """Give the batch of the picked samples."""
        indices: Sequence[int] = [index for index, _ in picked]
        seeds = [seed for _, seed in picked] if self.augmented else None
        return self.pipeline(self.split.__getitems__(indices), seeds)

    def __len__(self) -> int:
        return len(self.split)


@final
class EpochBatches(Sampler[Picked]):
    """The batches of the epoch that `epoch` names at the moment when they are asked for.

    Args:
        order: epoch -> its batches.
        epoch: says which epoch is next, from 0.
    """

    def __init__(self, order: Callable[[int], GlobalBatches], epoch: Callable[[], int]) -> None:
        self.order, self.epoch = order, epoch

    def __iter__(self) -> Iterator[Picked]:
        return iter(self.order(self.epoch()))

    def __len__(self) -> int:
        return len(self.order(0))


def order_of(
    settings: Settings, length: int, *, training: bool, rank: int, world: int
) -> Callable[[int], GlobalBatches]:
    """Give the function that maps an epoch to its batches over `length` pictures."""
    return lambda epoch: GlobalBatches(
        length, settings.batch_size, settings.seed, epoch, rank, world, shuffle=training, drop_last=training
    )


def loader(feed: Feed, batches: EpochBatches, workers: int) -> DataLoader:
    """Read batches, in `workers` further processes if there are any."""
    return DataLoader(
        feed,
        sampler=batches,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        # Its own generator: a loader takes a number from torch's global one whenever it starts, and when that happens
        # differs between a resumed and an uninterrupted run.
        generator=torch.Generator().manual_seed(0),
    )


def pipeline_for(settings: Settings, card: Card, source: Source | PointSource) -> Pipeline | PointPipeline:
    """Give what makes training batches of a source for a network.

    Args:
        settings: what was asked for.
        card: of the network.
        source: of pictures or of scans.

    Raises:
        InvalidInput: when the network reads the other kind, or a size came for scans.
    """
    if card.reads != source.card.holds:
        raise InvalidInput(
            f"{card.name} reads {card.reads}, and {source.card.name!r} holds {source.card.holds}; choose a network and "
            "data of one kind"
        )
    if card.reads == "pictures":
        size = settings.input_size(card, source.size)
        return Pipeline(size, source.channels, source.mean, source.std, settings.augment)
    if settings.size is not None:
        raise InvalidInput(f"size={settings.size} came, and {source.card.name!r} holds points; leave the size out")
    return PointPipeline(source.voxel, source.mean, source.std, settings.augment)


def placed(
    batch: Batch | PointBatch, device: torch.device, layout: torch.memory_format = torch.channels_last
) -> Batch | PointBatch:
    """Bring a batch to a device.

    Args:
        batch: pictures or scans.
        device: where the network is.
        layout: of pictures in memory.
    """
    if isinstance(batch, Batch):
        return batch._replace(images=batch.images.to(device, memory_format=layout))
    tensors = {name: value.to(device) for name, value in batch._asdict().items() if isinstance(value, torch.Tensor)}
    return batch._replace(**tensors)


def in_layout(network: nn.Module, kind: Kind) -> nn.Module:
    """Bring a network's weights into the memory layout of its pictures, channels last; one over points has none.

    Args:
        network: changed in place.
        kind: what it reads.
    """
    return network.to(memory_format=torch.channels_last) if kind == "pictures" else network


def _as_it_is(batch: Batch | PointBatch) -> Batch | PointBatch:
    return batch
