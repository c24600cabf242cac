"""From feature maps to one score per class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.records import Logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.nn.backbone import Backbone, TappedBackbone


class MeanHead(nn.Module):
    """The mean over a map, dropout, and one dense layer.

        scores = W * dropout(mean over y, x of map[n, :, y, x]) + b

    Args:
        channels: of the map.
        classes: length of a row of scores, >= 1.
        dropout: share of the means that are left out in training, 0 to 1.
    """

    def __init__(self, channels: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to scores (N, classes)."""
        return self.fc(self.dropout(self.flatten(self.pool(x))))


class Classifier(nn.Module):
    """A backbone and a head on its last map.

    Args:
        backbone: any `Backbone`, passed as an object.
        head: from the last map (N, C, H, W) to scores (N, classes).
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Logits:
        """Give the logits of `images` (N, C, H, W)."""
        return Logits(self.head(self.backbone(images)[-1]))


class AuxiliaryClassifier(nn.Module):
    """A backbone, a head on its last map, and side heads on maps inside it, which help to train the early layers.

    Side heads are computed in training only; in evaluation `Logits.auxiliary` is empty.

    Args:
        backbone: whose taps the side heads read.
        head: from the last map (N, C, H, W) to scores (N, classes).
        auxiliary: one head per tap, in the order of the taps.

    Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5.
    """

    def __init__(self, backbone: TappedBackbone, head: nn.Module, auxiliary: Sequence[nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.auxiliary = nn.ModuleList(auxiliary)

    def forward(self, images: Tensor) -> Logits:
        """Give the logits of `images` (N, C, H, W)."""
        maps, taps = self.backbone.maps_and_taps(images)
        side = zip(self.auxiliary, taps, strict=True) if self.training else ()
        return Logits(self.head(maps[-1]), tuple(head(tap) for head, tap in side))
