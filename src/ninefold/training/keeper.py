"""What stays of each epoch: checkpoints, weights, metrics. Needs lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from lightning.pytorch.callbacks import Callback

from ninefold.data import PointPipeline
from ninefold.storage import write_text
from ninefold.training.folder import BEST, LAST, METRICS, MODEL
from ninefold.training.history import as_csv, best
from ninefold.training.weights import ModelCard, save_weights

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.pytorch import Trainer

    from ninefold.training.fitting import Fitting, Job


@final
class Keeper(Callback):
    """Write the run folder at the end of each epoch.

    A resumed run starts from `last.ckpt`, so that is written after the files of the best epoch: a kill between them
    leaves the epoch to be done again, which writes the same best files again. `metrics.csv` is written from the
    history inside the checkpoint, so it never disagrees with it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_train_epoch_end(self, trainer: Trainer, module: Fitting) -> None:
        """Close the epoch and write what stays of it."""
        module.close_epoch()
        row = module.history[-1]
        if best(module.history) is row:
            trainer.save_checkpoint(self.out / BEST, weights_only=False)
            if trainer.is_global_zero:
                save_weights(self.out / MODEL, module.network, model_card(module.job, row["epoch"]))
        trainer.save_checkpoint(self.out / LAST, weights_only=False)
        if trainer.is_global_zero:
            write_text(self.out / METRICS, as_csv(module.history))


def model_card(job: Job, epoch: int) -> ModelCard:
    """Say what the weights of a job belong to."""
    source, pipeline = job.source, job.pipeline
    of_points = isinstance(pipeline, PointPipeline)
    return ModelCard(
        network=job.settings.network,
        classes=tuple(source.classes),
        in_channels=source.channels,
        size=() if of_points else pipeline.size,
        mean=tuple(source.mean),
        std=tuple(source.std),
        epoch=epoch,
        voxel=pipeline.voxel if of_points else 0.0,
        features=source.features if of_points else (),
    )
