"""What a data source gives when it is opened: three splits of pictures, and what a network must know about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar, final

import torch

from ninefold.data.images import read_image, with_channels
from ninefold.data.opened import Moments, Opened
from ninefold.records import DataCard, Sample, SplitName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor


class Split(ABC):
    """Pictures with their truth, in a fixed order."""

    @property
    @abstractmethod
    def labels(self) -> Tensor:
        """int64 (N,), the class of every picture, known without decoding one."""

    @abstractmethod
    def __getitem__(self, i: int) -> Sample:
        """Give picture `i`, 0 <= i < N."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Give several pictures at once, in the order of `indices`."""

    @abstractmethod
    def moments(self) -> Moments:
        """Measure mean and standard deviation per channel, in units of 0..1: see `measure`."""

    def __len__(self) -> int:
        return len(self.labels)


@final
class StoredSplit(Split):
    """Pictures of one size, held in memory.

    Args:
        images: uint8 (M, C, H, W), the pictures of a whole file; splits of the same file share them.
        truth: int64 (M,), their classes.
        rows: int64 (N,), which of them belong to this split.
        prefix: what to put before a picture's row to name it, such as `digits`.
    """

    def __init__(self, images: Tensor, truth: Tensor, rows: Tensor, prefix: str) -> None:
        self._images = images
        self._rows = rows
        self._labels = truth[rows]
        self._prefix = prefix

    @property
    def labels(self) -> Tensor:
        """int64 (N,), the class of every picture."""
        return self._labels

    def __getitem__(self, i: int) -> Sample:
        row = int(self._rows[i])
        return Sample(self._images[row], int(self._labels[i]), f"{self._prefix}/{row}")

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        rows = self._rows[chosen]
        images, labels = self._images[rows].unbind(), self._labels[chosen].tolist()
        names = [f"{self._prefix}/{row}" for row in rows.tolist()]
        return [Sample(*parts) for parts in zip(images, labels, names, strict=True)]

    def moments(self) -> Moments:
        """Measure all pictures of the split."""
        return measure(self._images[rows] for rows in self._rows.split(1024))


@final
class FileSplit(Split):
    """Picture files, decoded when they are asked for, as RGB.

    Args:
        root: the folder to which the pictures' names are relative.
        classes: their names, in the order of the labels.
        pictures: the files of every class.
    """

    def __init__(self, root: Path, classes: Sequence[str], pictures: Mapping[str, Sequence[Path]]) -> None:
        self._root = root
        self._paths = [path for name in classes for path in pictures.get(name, ())]
        counts = torch.tensor([len(pictures.get(name, ())) for name in classes])
        self._labels = torch.arange(len(classes)).repeat_interleave(counts)

    @property
    def labels(self) -> Tensor:
        """int64 (N,), the class of every picture, known from its folder."""
        return self._labels

    def __getitem__(self, i: int) -> Sample:
        path = self._paths[i]
        image = with_channels(read_image(path), 3)
        return Sample(image, int(self._labels[i]), path.relative_to(self._root).as_posix())

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        return [self[i] for i in indices]

    def moments(self) -> Moments:
        """Measure at most 2,000 pictures, evenly spread over the split, since each has to be decoded."""
        return measure(self[i].image[None] for i in range(0, len(self), ceil(len(self) / 2000)))


@final
@dataclass(frozen=True)
class Source(Opened[Split]):
    """A data source, opened.

    Args:
        card: what is known of it without opening it.
        classes: their names; a label is an index into them.
        channels: of every picture.
        size: (H, W) of every picture in pixels; None: they differ.
        splits: the pictures; none is in two splits.

    Raises:
        DataError: when a split has no picture.
    """

    card: DataCard
    classes: tuple[str, ...]
    channels: int
    size: tuple[int, int] | None
    splits: Mapping[SplitName, Split]
    holds: ClassVar[str] = "pictures"


def measure(blocks: Iterable[Tensor]) -> Moments:
    """Measure mean and standard deviation per channel, in units of 0..1, every picture counting alike.

        mean = E[x],  std = max(sqrt(E[x^2] - mean^2), 1/255),  E over pixels, then over pictures

    The floor of one grey level keeps pictures of a single colour from dividing by zero.

    Args:
        blocks: uint8 (N, C, H, W) each; H and W may differ from block to block.
    """
    firsts, seconds = [], []
    for block in blocks:
        pixels = block.flatten(2).double()  # (N, C, H * W), whole numbers: a picture's sums are exact
        firsts.append(pixels.mean(2))
        seconds.append(pixels.square().mean(2))
    mean = torch.cat(firsts).mean(0) / 255
    variance = torch.cat(seconds).mean(0) / 255**2 - mean * mean
    return tuple(mean.tolist()), tuple(variance.clamp(min=255**-2).sqrt().tolist())


def every(length: int, step: int, *places: int) -> Tensor:
    """Give the rows below `length` whose remainder modulo `step` is one of `places`, int64.

    >>> every(12, 5, 3, 4).tolist()
    [3, 4, 8, 9]
    """
    rows = torch.arange(length)
    return rows[torch.isin(rows % step, torch.tensor(places))]
