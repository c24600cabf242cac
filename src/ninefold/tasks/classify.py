"""The task `classify`: one class per picture."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

from ninefold.records import Classified
from ninefold.tasks.base import Task, confusion

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.records import Batch, Logits

# C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5: side heads count 0.3 each.
AUXILIARY_WEIGHT: Final = 0.3


def inputs(batch: Batch) -> Tensor:
    """Give the pictures, float32 (N, C, H, W)."""
    return batch.images


def targets(batch: Batch) -> Tensor:
    """Give the class indices, int64 (N,)."""
    return batch.labels


def loss(outputs: Logits, labels: Tensor) -> Tensor:
    """Give the mean cross-entropy, with every side head counted by 0.3.

        loss  = ce(scores) + 0.3 * sum over heads of ce(auxiliary)
        ce(s) = mean over n of  log(sum over c of exp(s[n, c])) - s[n, label[n]]

    Args:
        outputs: scores (N, classes) and auxiliary scores of the same shape.
        labels: int64 (N,), 0 <= label < classes.
    """
    side = sum((F.cross_entropy(scores, labels) for scores in outputs.auxiliary), start=outputs.scores.new_zeros(()))
    return F.cross_entropy(outputs.scores, labels) + AUXILIARY_WEIGHT * side


def decode(outputs: Logits) -> Classified:
    """Give the most probable class and the softmax of the scores."""
    probabilities = outputs.scores.float().softmax(dim=1)  # (N, classes)
    return Classified(probabilities.argmax(dim=1), probabilities)


class ConfusionMatrix:
    """Counts of (true class, predicted class); its figure is the accuracy.

        accuracy = trace(counts) / sum(counts)

    Args:
        classes: number of classes.

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update(Classified(torch.tensor([0, 1, 1]), torch.eye(2)[[0, 1, 1]]), torch.tensor([0, 1, 0]))
    >>> matrix.counts.tolist(), round(matrix.value(), 3)
    ([[1, 1], [0, 1]], 0.667)
    """

    name = "accuracy"

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, decoded: Classified, labels: Tensor) -> None:
        """Count one batch: `decoded.labels` and `labels` are int64 (N,)."""
        self.counts = self.counts + confusion(labels, decoded.labels, len(self.counts))

    def per_class(self) -> list[float]:
        """Give nothing: accuracy is one figure over all classes."""
        return []

    def value(self) -> float:
        """Give the share of pictures whose class was found, 0 to 1; nan if none was counted."""
        counted = int(self.counts.sum())
        return int(self.counts.trace()) / counted if counted else nan


CLASSIFY = Task("classify", inputs, targets, loss, decode, ConfusionMatrix)
