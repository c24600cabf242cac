"""From the last feature map to one score per class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ninefold.records import Logits

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.nn.backbone import Backbone


class Classifier(nn.Module):
    """A backbone, the mean over its last map, and one dense layer.

        scores = W * mean over y, x of last[n, :, y, x] + b

    Args:
        backbone: any `Backbone`, passed as an object.
        classes: length of a row of scores, >= 1.
    """

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(backbone.channels[-1], classes)

    def forward(self, images: Tensor) -> Logits:
        """Give the logits of `images` (N, C, H, W)."""
        last = self.backbone(images)[-1]  # (N, C, H, W)
        return Logits(self.head(self.flatten(self.pool(last))))
