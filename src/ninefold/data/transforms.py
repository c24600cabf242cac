"""From pictures as stored (uint8, any size) to a batch as a network takes it (float32, one size, normalised)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch.nn import functional as F

from ninefold.data.draws import uniform
from ninefold.data.images import with_channels
from ninefold.errors import InvalidInput, UnknownName
from ninefold.records import Batch, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def crop(images: Tensor, keys: np.ndarray) -> Tensor:
    """Pad by an eighth of the size with zeros (black) on each side, and cut the old size out at a random place."""
    return _windows(images, uniform(keys, "crop", 2), "constant")


def shift(images: Tensor, keys: np.ndarray) -> Tensor:
    """Move by up to an eighth of the size along each axis; what comes in repeats the picture's edge."""
    return _windows(images, uniform(keys, "shift", 2), "replicate")


def flip(images: Tensor, keys: np.ndarray) -> Tensor:
    """Mirror left and right, with probability 1/2."""
    mirrored = torch.from_numpy(uniform(keys, "flip", 1) < 0.5)  # (N, 1)
    return torch.where(mirrored[:, :, None, None], images.flip(3), images)


def rotate(images: Tensor, keys: np.ndarray) -> Tensor:
    """Turn about the centre by an angle in [-10, 10) degrees, bilinear; what comes in repeats the picture's edge."""
    angles = torch.from_numpy((uniform(keys, "rotate", 1) - 0.5) * (pi / 9)).float().flatten()  # (N,)
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    height, width = images.shape[2:]  # affine_grid's axes run over [-1, 1], so a turn in pixels needs their ratio
    theta = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


AUGMENTATIONS: dict[str, Callable[[Tensor, np.ndarray], Tensor]] = {
    "crop": crop,
    "flip": flip,
    "rotate": rotate,
    "shift": shift,
}


@final
@dataclass(frozen=True)
class Pipeline:
    """Turn samples into a batch: to float, change channels, resize, augment, normalise.

        images = (augment(resize(channels(image / 255))) - mean) / std

    Channels: grey to RGB repeats the channel; RGB to grey is 0.299 R + 0.587 G + 0.114 B. Resize: bilinear with
    antialiasing; where the aspect differs, the picture is scaled until it covers `size` and its centre is cut out.

    Args:
        size: (H, W) in pixels, >= 1 each.
        channels: of the batch.
        mean: per channel in units of 0..1; one value counts for all channels.
        std: as `mean`, above 0.
        augment: names from `AUGMENTATIONS`, applied in this order, each at most once.

    Raises:
        UnknownName: when an augmentation does not exist.
        InvalidInput: when a value is out of range.
    """

    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.augment:
            if name not in AUGMENTATIONS:
                raise UnknownName.among("augmentation", name, AUGMENTATIONS)
        if len(set(self.augment)) < len(self.augment):
            raise InvalidInput(f"augment={self.augment} names an augmentation twice; name each at most once")
        if min(*self.size, self.channels) < 1:
            raise InvalidInput(f"size={self.size}, channels={self.channels} make no picture; each must be at least 1")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise InvalidInput(f"{name}={values} does not fit {self.channels} channels; give one value per channel")
        if min(self.std) <= 0:
            raise InvalidInput(f"std={self.std} has a value that is not above 0; every std must be")

    def __call__(self, samples: Sequence[Sample], seeds: Sequence[int] | None = None) -> Batch:
        """Make a batch of `samples`.

        Args:
            samples: pictures of any size with 1, 3 or `channels` channels.
            seeds: one per sample, in [0, 2^63): augment, each sample by its own seed alone. None: do not augment.

        Returns:
            The batch, in the order of the samples; a sample's result does not depend on its neighbours.

        Raises:
            InvalidInput: when there is not one seed per sample, or a channel change is not grey <-> RGB.
        """
        images = self._fitted(samples)
        if seeds is not None:
            images = self._augmented(images, seeds)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        labels = torch.tensor([sample.label for sample in samples], dtype=torch.int64)
        return Batch((images - mean) / std, labels, tuple(sample.name for sample in samples))

    def _fitted(self, samples: Sequence[Sample]) -> Tensor:  # (N, channels, *size) in 0..1
        if not samples:
            return torch.empty(0, self.channels, *self.size)
        if len({sample.image.shape for sample in samples}) == 1:
            return self._fit(torch.stack([sample.image for sample in samples]))
        return torch.cat([self._fit(sample.image[None]) for sample in samples])

    def _fit(self, images: Tensor) -> Tensor:  # uint8 (N, C, H, W) -> float32 (N, channels, *size)
        return resize(with_channels(images.float().div_(255), self.channels), self.size)

    def _augmented(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        if len(seeds) != len(images):
            raise InvalidInput(f"{len(images)} samples came with {len(seeds)} seeds; give one seed per sample")
        keys = np.asarray(seeds, np.uint64)
        for name in self.augment if len(images) else ():
            images = AUGMENTATIONS[name](images, keys)
        return images


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale until `size` is covered, bilinear with antialiasing, and cut the centre out.

    Args:
        images: float (N, C, H, W).
        size: the new (H, W) in pixels.

    >>> resize(torch.zeros(1, 3, 100, 300), (32, 32)).shape
    torch.Size([1, 3, 32, 32])
    """
    height, width = images.shape[2:]
    if (height, width) == size:
        return images
    scale = max(size[0] / height, size[1] / width)
    covering = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    images = F.interpolate(images, covering, mode="bilinear", antialias=True, align_corners=False)
    top, left = ((long - short) // 2 for long, short in zip(covering, size, strict=True))
    return images[:, :, top : top + size[0], left : left + size[1]]


def _windows(images: Tensor, places: np.ndarray, mode: str) -> Tensor:  # places: (N, 2) in [0, 1)
    height, width = images.shape[2:]
    down, right = height // 8, width // 8
    padded = F.pad(images, (right, right, down, down), mode=mode)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2 * down + 1, 2 * right + 1, H, W), a view
    row, column = torch.from_numpy(places * (2 * down + 1, 2 * right + 1)).long().unbind(1)
    return windows[torch.arange(len(images)), :, row, column]
