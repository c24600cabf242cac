"""What Lightning runs: one network, one task, one data source. Needs lightning."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any, final

import torch
from lightning.pytorch import LightningModule

from ninefold.data.draws import mix
from ninefold.errors import Diverged, RunError
from ninefold.training.checkpoint import CLASSES, HISTORY
from ninefold.training.feed import EpochBatches, Feed, in_layout, loader, order_of, placed
from ninefold.training.folder import LAST
from ninefold.training.schedule import rate
from ninefold.training.weights import check_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn
    from torch.utils.data import DataLoader

    from ninefold.data import Pipeline, PointPipeline, PointSource, Source
    from ninefold.records import Batch, PointBatch
    from ninefold.tasks import Task
    from ninefold.training.history import Row
    from ninefold.training.settings import Settings

_EPOCH = 3
"""Word of the hash that seeds an epoch; the order of the pictures and their augmentation use other words."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a training run works on.

    Args:
        settings: what was asked for.
        network: with its initial weights.
        task: that trains it.
        source: of the pictures or scans.
        pipeline: makes batches of them.
        out: the run folder.
    """

    settings: Settings
    network: nn.Module
    task: Task
    source: Source | PointSource
    pipeline: Pipeline | PointPipeline
    out: Path


@final
class Fitting(LightningModule):
    """A job, in the hooks that Lightning calls.

    `history` says how many epochs are done; everything that depends on the epoch (order, seeds, learning rate) is
    computed from it, so a resumed run needs nothing but the weights, the optimizer's state and the history.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.network = in_layout(job.network, job.source.card.holds)
        self.history: list[Row] = []
        self.rate = 0.0
        self.train_loss, self.images, self.validation_loss = 0.0, 0, 0.0
        self.metric = job.task.metric(len(job.source.classes))
        self.started = self.trained = 0.0

    @property
    def steps(self) -> int:
        """Optimizer steps of one epoch."""
        return len(self._order("train", training=True)(0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay kernels and dense weights; biases and scales of one dimension are left alone."""
        settings = self.job.settings
        kernels = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if settings.optimizer == "sgd":
            return torch.optim.SGD(groups, settings.lr, momentum=0.9, nesterov=True)
        return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer](groups, settings.lr)

    def train_dataloader(self) -> DataLoader:
        """Give the training pictures, in the order of the epoch that is next."""
        return self._loader("train", training=True)

    def val_dataloader(self) -> DataLoader:
        """Give the validation pictures in their own order."""
        return self._loader("validation", training=False)

    def on_train_epoch_start(self) -> None:
        """Seed torch (dropout) by (seed, epoch, rank) and start counting."""
        torch.manual_seed(int(mix(self.job.settings.seed, len(self.history), self.global_rank, _EPOCH)[0]))
        self.train_loss, self.images = 0.0, 0
        self.started = perf_counter()

    def on_train_batch_start(self, _batch: Batch | PointBatch, batch_idx: int) -> None:
        """Set the learning rate of this step."""
        settings = self.job.settings
        self.rate = rate(settings, self._step(batch_idx), self.steps * settings.epochs)
        for group in self.optimizers().param_groups:
            group["lr"] = self.rate

    def training_step(self, batch: Batch | PointBatch, batch_idx: int) -> Tensor:
        """Give the loss of one batch."""
        loss = self._loss(batch)[1]
        value = loss.item()
        self._must_be_finite(value, f"step {self._step(batch_idx) + 1}")
        self.train_loss += value * len(batch.names)
        self.images += len(batch.names)
        return loss

    def on_train_batch_end(self, _outputs: Any, _batch: Batch | PointBatch, _batch_idx: int) -> None:
        """Note the time."""
        self.trained = perf_counter()

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self.validation_loss = 0.0
        self.metric = self.job.task.metric(len(self.job.source.classes))

    def validation_step(self, batch: Batch | PointBatch, _batch_idx: int) -> None:
        """Count one batch; processes may get an empty one, so that all take equally many steps."""
        outputs, loss = self._loss(batch)
        if len(batch.names):
            self.validation_loss += loss.item() * len(batch.names)
            self.metric.update(self.job.task.decode(outputs), self.job.task.targets(batch))

    def close_epoch(self) -> None:
        """Add up what all processes counted and append the epoch's row to the history.

        Raises:
            Diverged: when the validation loss is no number.
        """
        self.metric.counts = self._sum(self.metric.counts)
        sums = torch.tensor([self.train_loss, self.images, self.validation_loss], dtype=torch.float64)
        train_loss, images, validation_loss = self._sum(sums).tolist()
        validation_loss /= len(self.job.source.split("validation"))
        self._must_be_finite(validation_loss, "validation")
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "step": self._step(self.steps),
                "train_loss": train_loss / images,
                "validation_loss": validation_loss,
                f"validation_{self.metric.name}": self.metric.value(),
                "lr": self.rate,
                "seconds": round(perf_counter() - self.started, 3),
                "images_per_second": round(images / (self.trained - self.started), 1),
            }
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history and the classes beside the weights."""
        checkpoint[HISTORY] = self.history
        checkpoint[CLASSES] = list(self.job.source.classes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up, and leave Lightning's own loop counters: the trainer runs the epochs that are left.

        Raises:
            RunError: when the checkpoint's classes or tensors are not those of this job.
        """
        last, classes = self.job.out / LAST, self.job.source.classes
        if checkpoint.get(CLASSES) != list(classes):
            raise RunError(f"{last} was trained on other classes than the {len(classes)} that the data has now")
        check_tensors(last, self.state_dict(), checkpoint["state_dict"])
        self.history = checkpoint[HISTORY]
        checkpoint.pop("loops", None)

    def _loss(self, batch: Batch | PointBatch) -> tuple[Any, Tensor]:
        task = self.job.task
        outputs = self.network(task.inputs(placed(batch, self.device)))
        return outputs, task.loss(outputs, task.targets(batch))

    def _step(self, batch_idx: int) -> int:
        return len(self.history) * self.steps + batch_idx

    def _order(self, split: str, *, training: bool) -> Any:
        length = len(self.job.source.split(split))
        world = self.job.settings.processes
        return order_of(self.job.settings, length, training=training, rank=self.global_rank, world=world)

    def _loader(self, split: str, *, training: bool) -> DataLoader:
        feed = Feed(self.job.source.split(split), self.job.pipeline, augmented=training)
        batches = EpochBatches(self._order(split, training=training), lambda: len(self.history))
        return loader(feed, batches, self.job.settings.workers)

    def _sum(self, value: Tensor) -> Tensor:
        if self.job.settings.processes == 1:
            return value
        return self.trainer.strategy.reduce(value.to(self.device), reduce_op="sum").cpu()

    def _must_be_finite(self, loss: float, when: str) -> None:
        if not isfinite(loss):
            done, last = len(self.history), self.job.out / LAST
            kept = f"the last good checkpoint is {last} (epoch {done})" if done else "no checkpoint was written before"
            raise Diverged(
                f"the loss became {loss} in epoch {done + 1}, {when}, at a learning rate of {self.rate:.3g}; {kept}; "
                f"train again with a lower --lr (it was {self.job.settings.lr:g})"
            )
