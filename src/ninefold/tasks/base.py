"""What a task is: four plain functions over records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ninefold.records import Batch


class Metric(Protocol):
    """A figure of merit that is counted batch by batch.

    name: what the figure is called in tables and reports.
    counts: everything it needs, as one tensor of counts: sums of `counts` over processes or batches are again counts.
    """

    name: str
    counts: Tensor

    def update(self, decoded: Any, targets: Tensor) -> None:
        """Count one batch."""

    def value(self) -> float:
        """Give the figure over all that was counted: 0 is worst, 1 is best; nan if nothing was counted."""


@dataclass(frozen=True, slots=True)
class Task:
    """Four plain functions; a network's card names the task that trains it.

    Args:
        name: of the task.
        targets: batch -> what the loss compares outputs with.
        loss: outputs, targets -> one number to be made small, a mean over the pictures of the batch.
        decode: outputs -> what a user wants to know.
        metric: classes -> a fresh `Metric`.
    """

    name: str
    targets: Callable[[Batch], Tensor]
    loss: Callable[[Any, Tensor], Tensor]
    decode: Callable[[Any], Any]
    metric: Callable[[int], Metric]
