"""A run on the screen. Needs lightning."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, final

from lightning.pytorch.callbacks import Callback

from ninefold.training.history import best, figure
from ninefold.training.progress import bar, epoch_line, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import Trainer
    from torch import Tensor

    from ninefold.records import Batch, PointBatch
    from ninefold.training.fitting import Fitting


@final
class Screen(Callback):
    """Show the steps of each epoch as a bar, and each finished epoch as a line.

    Args:
        style: "bar", "lines" or "none".
    """

    def __init__(self, style: str) -> None:
        self.style = style
        self.stack = ExitStack()
        self.move: Callable[[int, str], None] | None = None

    def on_train_epoch_start(self, trainer: Trainer, module: Fitting) -> None:
        """Start the epoch's bar."""
        if trainer.is_global_zero:
            what = f"epoch {len(module.history) + 1}/{module.job.settings.epochs}"
            self.move = self.stack.enter_context(bar(self.style, what, module.steps))

    def on_train_batch_end(
        self, _trainer: Trainer, module: Fitting, outputs: Any, _batch: Batch | PointBatch, batch_idx: int
    ) -> None:
        """Move the bar."""
        if self.move is not None:
            self.move(batch_idx + 1, _note(module, outputs["loss"]))

    def on_train_epoch_end(self, trainer: Trainer, module: Fitting) -> None:
        """Replace the bar by the epoch's line."""
        self.stack.close()
        if trainer.is_global_zero:
            what = "images" if module.job.source.card.holds == "pictures" else "scans"
            say(self.style, epoch_line(module.history[-1], module.job.settings.epochs, what))

    def on_exception(self, _trainer: Trainer, _module: Fitting, _exception: BaseException) -> None:
        """Give the screen back."""
        self.stack.close()


def _note(module: Fitting, loss: Tensor) -> str:
    note = f"loss {loss.item():.4f}"
    if not module.history:
        return note
    name, value = figure(best(module.history))
    return f"{note}   best {name} {value:.4f}"
