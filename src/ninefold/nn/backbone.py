"""What a backbone owes to whatever is built on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Backbone(nn.Module, ABC):
    """Pictures to feature maps: abstract; a network's file holds the final one.

    It owes two facts, so that any neck or head fits it:

        channels: channels of each feature map, finest map first.
        strides: input pixels per step of each feature map, in the same order.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the feature maps of `images` (N, C, H, W), finest first; map i is (N, channels[i], ...)."""


class TappedBackbone(Backbone):
    """A backbone whose inner maps are wanted too, by side heads: abstract."""

    @abstractmethod
    def maps_and_taps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Give the feature maps as `forward` does, and the maps inside that side heads read, in order."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the feature maps of `images` (N, C, H, W), finest first."""
        return self.maps_and_taps(images)[0]


class StagedBackbone(Backbone):
    """Stages in a row, each of which gives one map: abstract; the final class tells `channels` and `strides`.

    Args:
        stages: the blocks of each stage; the first block takes pictures, every other what the block before it gives.
    """

    def __init__(self, stages: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps of all stages for `images` (N, C, H, W), finest first."""
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(maps[-1] if maps else images))
        return maps
