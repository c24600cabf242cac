"""In which order pictures are seen, and by which process: decided by (seed, epoch) alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, final

import numpy as np

from ninefold.data.draws import mix
from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHUFFLE, _SAMPLE = 1, 2


def sample_seeds(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """Give each picture its seed for augmentation in this epoch: 63 bits of a hash of (seed, epoch, index).

    >>> sample_seeds(0, 3, np.arange(4))[2] == sample_seeds(0, 3, np.array([2]))[0]
    np.True_
    """
    return (mix(seed, epoch, _SAMPLE, indices) >> np.uint64(1)).astype(np.int64)


@final
@dataclass(frozen=True)
class GlobalBatches:
    """The batches of one epoch, as one of `world` processes sees them.

    Step t of all processes together is exactly batch t of a single process: each batch is cut into `world` runs and
    process `rank` gets run `rank`, in order.

    Args:
        length: pictures in the split, >= 1.
        batch_size: pictures of one step over all processes, >= 1, divisible by `world`.
        seed: in [0, 2^63); with `epoch` it decides the order and every sample's seed.
        epoch: >= 0.
        rank: this process, 0 <= rank < world.
        world: how many processes share the batches, >= 1.
        shuffle: whether the order is a permutation (training) or 0, 1, 2, ... (evaluation).
        drop_last: whether an incomplete last batch is left out; None: as `shuffle`. A split smaller than one batch is
            never left out: it is the one batch of the epoch. Kept and shared, an incomplete batch is cut as evenly as
            it goes, so the processes' runs differ by at most one picture and may be empty.

    Raises:
        InvalidInput: when a value is out of range, or when training in several processes would have to share the only,
            incomplete batch unequally.

    >>> [[index for index, seed in batch] for batch in GlobalBatches(5, 2, seed=0, epoch=0, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    """

    length: int
    batch_size: int
    seed: int
    epoch: int
    rank: int = 0
    world: int = 1
    shuffle: bool = True
    drop_last: bool | None = None

    def __post_init__(self) -> None:
        if min(self.length, self.batch_size, self.world) < 1 or not 0 <= self.rank < self.world:
            raise InvalidInput(
                f"length={self.length}, batch_size={self.batch_size}, rank={self.rank}, world={self.world} do not make "
                "batches; wanted a length, batch_size and world of at least 1 and a rank from 0 to world - 1"
            )
        if not (0 <= self.seed < 2**63 and 0 <= self.epoch < 2**63):
            raise InvalidInput(f"seed={self.seed} and epoch={self.epoch} must both lie in 0 ... 2^63 - 1")
        if self.batch_size % self.world:
            raise InvalidInput(
                f"batch_size={self.batch_size} cannot be shared equally by {self.world} processes; "
                f"use a multiple of {self.world}"
            )
        if self._drops_last and self.length < self.batch_size and self.length % self.world:
            raise InvalidInput(
                f"{self.length} pictures are less than one batch of {self.batch_size}, and {self.world} processes "
                f"cannot share them equally; use fewer processes or a batch_size of at most {self.length}"
            )

    def __len__(self) -> int:
        if self._drops_last:
            return max(1, self.length // self.batch_size)
        return ceil(self.length / self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this process's run of each batch: (index in the split, seed of the sample)."""
        order = self.permutation()
        seeds = sample_seeds(self.seed, self.epoch, order)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            size = min(self.batch_size, self.length - start)
            run = slice(start + size * self.rank // self.world, start + size * (self.rank + 1) // self.world)
            yield list(zip(order[run].tolist(), seeds[run].tolist(), strict=True))

    def permutation(self) -> np.ndarray:
        """Give the order of the whole split, int64 (length,): the indices sorted by a hash of (seed, epoch, index)."""
        indices = np.arange(self.length)
        if not self.shuffle:
            return indices
        return np.argsort(mix(self.seed, self.epoch, _SHUFFLE, indices), kind="stable")

    @property
    def _drops_last(self) -> bool:
        return self.shuffle if self.drop_last is None else self.drop_last
