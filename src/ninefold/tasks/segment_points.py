"""The task `segment_points`: one class per point, from scores of the cells that hold the points."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, final

import torch
from torch.nn import functional as F

from ninefold.records import Classified, PointTruth
from ninefold.sparse import Sites, SparseTensor, at_points
from ninefold.tasks.base import Task, confusion

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.records import Logits, PointBatch


def inputs(batch: PointBatch) -> SparseTensor:
    """Give the cells with their features, as a network reads them."""
    sites = Sites(batch.coords, batch.size, max(1, len(batch.names)))
    return SparseTensor(batch.features, sites, (1, 1, 1))


def targets(batch: PointBatch) -> PointTruth:
    """Give the class of every point, and its cell."""
    return PointTruth(batch.labels, batch.cells)


def loss(outputs: Logits, truth: PointTruth) -> Tensor:
    """Give the mean cross-entropy over the points whose class is known; 0 where there is none.

        loss = mean over known points p of  log(sum over c of exp(s[p, c])) - s[p, label[p]],  s[p] = scores[cell[p]]

    Args:
        outputs: scores (V, classes) of the cells.
        truth: labels and cells of the points.
    """
    known = int((truth.labels >= 0).sum())
    scores = at_points(outputs.scores, truth.cells)  # (P, classes)
    return F.cross_entropy(scores, truth.labels, ignore_index=-1, reduction="sum") / max(known, 1)


def decode(outputs: Logits) -> Classified:
    """Give the most probable class of every cell and the softmax of its scores."""
    probabilities = outputs.scores.float().softmax(dim=1)  # (V, classes)
    return Classified(probabilities.argmax(dim=1), probabilities)


@final
class MeanIoU:
    """Counts of (true class, predicted class) over points; its figure is the mean intersection over union.

        IoU[c] = counts[c, c] / (sum of row c + sum of column c - counts[c, c]);  mean over the classes that occur

    Args:
        classes: number of classes.

    Source: M. Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010, section 4.4.

    >>> metric, cells = MeanIoU(3), torch.tensor([0, 0, 1, 1])
    >>> metric.update(Classified(torch.tensor([0, 1]), torch.eye(2)), PointTruth(torch.tensor([0, 1, 1, -1]), cells))
    >>> metric.per_class(), metric.value()
    ([0.5, 0.5, nan], 0.5)
    """

    name = "mean_iou"

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, decoded: Classified, truth: PointTruth) -> None:
        """Count one batch; points whose class is unknown are left out.

        Args:
            decoded: labels of the cells.
            truth: labels and cells of the points.
        """
        known = truth.labels >= 0
        found = decoded.labels[truth.cells[known]]
        self.counts = self.counts + confusion(truth.labels[known], found, len(self.counts))

    def per_class(self) -> list[float]:
        """Give the intersection over union of every class, 0 to 1; nan for one that was neither there nor found."""
        both = self.counts.diagonal().double()
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return (both / either).tolist()  # 0 / 0 is nan

    def value(self) -> float:
        """Give the mean over the classes that were there or found; nan if no point was counted."""
        return torch.tensor(self.per_class()).nanmean().item() if self.counts.any() else nan


SEGMENT_POINTS = Task("segment_points", inputs, targets, loss, decode, MeanIoU)
