"""From a split to batches on time: which pictures, in which order, by which process."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ninefold.data import GlobalBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ninefold.data import Pipeline, Split
    from ninefold.records import Batch
    from ninefold.training.settings import Settings

Picked = list[tuple[int, int]]
"""(index in the split, seed of the sample) for each picture of a batch, as `GlobalBatches` yields it."""


@final
class Feed(Dataset):
    """A split whose items are whole batches.

    Args:
        split: the pictures.
        pipeline: makes batches of them.
        augmented: whether the samples' seeds are used.
    """

    def __init__(self, split: Split, pipeline: Pipeline, *, augmented: bool) -> None:
        self.split, self.pipeline, self.augmented = split, pipeline, augmented

    def __getitem__(self, picked: Picked) -> Batch:
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


def _as_it_is(batch: Batch) -> Batch:
    return batch
