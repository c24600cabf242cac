"""What a task is: five plain functions over records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Metric(Protocol):
    """A figure of merit that is counted batch by batch.

    name: what the figure is called in tables and reports.
    counts: everything it needs, as one tensor of counts: sums of `counts` over processes or batches are again counts.
    """

    name: str
    counts: Tensor

    def update(self, decoded: Any, targets: Any) -> None:
        """Count one batch."""

    def per_class(self) -> list[float]:
        """Give the figure of every class; none where it has no meaning for one."""

    def value(self) -> float:
        """Give the figure over all that was counted: 0 is worst, 1 is best; nan if nothing was counted."""


@dataclass(frozen=True, slots=True)
class Task:
    """Five plain functions; a network's card names the task that trains it.

    Args:
        name: of the task.
        inputs: batch -> what the network reads.
        targets: batch -> what the loss compares outputs with.
        loss: outputs, targets -> one number to be made small, a mean over the batch.
        decode: outputs -> what a user wants to know.
        metric: classes -> a fresh `Metric`.
    """

    name: str
    inputs: Callable[[Any], Any]
    targets: Callable[[Any], Any]
    loss: Callable[[Any, Any], Tensor]
    decode: Callable[[Any], Any]
    metric: Callable[[int], Metric]


def confusion(truth: Tensor, found: Tensor, classes: int) -> Tensor:
    """Count the pairs of (true class, found class), int64 (classes, classes) in main memory.

    Args:
        truth: int64 (N,), 0 <= class < classes.
        found: likewise.
        classes: how many there are.
    """
    pairs = truth.cpu() * classes + found.cpu()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
