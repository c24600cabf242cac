"""Train: from settings to a run folder."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ninefold.errors import MissingExtra, Unsupported
from ninefold.storage import alone_in
from ninefold.training.folder import CURVES, LAST, go_on, start
from ninefold.training.interrupts import plain_interrupts
from ninefold.training.launch import is_main_process, launch, needs_launch
from ninefold.training.progress import remarks, say, style_here
from ninefold.training.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lightning.pytorch import Trainer

    from ninefold.training.fitting import Job
    from ninefold.training.history import Row
    from ninefold.training.report import Report
    from ninefold.training.settings import Settings

_PACKAGES = ("lightning", "matplotlib", "yaml")
"""Needed at one time or another: better missed now than after the last epoch."""

_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(settings: Settings, out: Path, *, resume: bool = False, progress: str = "bar") -> Report:
    """Train a network, keep the weights that are best on the validation split, and measure those on the test split.

    With several devices on one node and no launcher, one process per device is started. Under torchrun or SLURM, every
    process calls this; the first one writes.

    Args:
        settings: what to do.
        out: the run folder; made if need be.
        resume: whether to go on from the last checkpoint in `out`; without one, training starts at the beginning.
        progress: "bar", "lines" or "none"; on standard error. A bar needs a terminal, elsewhere lines are written.

    Returns:
        The report on the test split, as in `report.json`.

    Raises:
        InvalidInput: when the settings cannot be right for this network and data; nothing is written.
        RunError: when `out` holds a run that may not be overwritten or cannot be resumed, or another process trains
            there; nothing is changed.
        Diverged: when the loss is no number any more.
        StorageFull: when the disk has no room; earlier files are intact.
        Unsupported: when this machine has not the devices or precision that were asked for.
        MissingExtra: when the packages of the extra `train` are not installed.
        KeyboardInterrupt: on Ctrl-C, after saying how to resume.
    """
    style = style_here(progress)
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra.of(package, "train")
    if needs_launch(settings):
        return launch(settings, out, resume=resume, progress=style)
    with alone_in(out) if is_main_process() else nullcontext():
        return _trained(settings, out, resume, style)


def _trained(settings: Settings, out: Path, resume: bool, style: str) -> Report:
    from ninefold.training.checkpoint import read_history

    history = read_history(out / LAST) if resume else []
    # A run that goes on has its weights in its own folder: the file that it once started from may be gone.
    job = prepare(replace(settings, checkpoint=None) if history else settings, out, style)
    if is_main_process():
        go_on(settings, out, history) if resume else start(settings, out)
        say(style, f"the run folder is {out}")
    return _conclude(job, _fit(job, len(history), style), style)


def prepare(settings: Settings, out: Path, style: str) -> Job:
    """Open the data and build the network, writing nothing.

    Raises:
        InvalidInput: when the settings cannot be right for this network and data.
        DataError: when the data or the checkpoint is missing or damaged.
    """
    import torch

    from ninefold import data, networks, tasks
    from ninefold.training.feed import order_of, pipeline_for
    from ninefold.training.fitting import Job

    card = networks.card(settings.network)
    source = data.open_source(settings.data, settings.data_dir)
    pipeline = pipeline_for(settings, card, source)
    order_of(settings, len(source.split("train")), training=True, rank=0, world=settings.processes)(0)
    if settings.precision == "16" and not torch.cuda.is_available():
        raise Unsupported("precision='16' needs a CUDA device, and there is none; use '32' or 'bf16'")
    torch.manual_seed(settings.seed)
    with remarks(style if is_main_process() else "none"):
        network = networks.create(
            settings.network,
            classes=len(source.classes),
            in_channels=source.channels,
            checkpoint=settings.checkpoint,
        )
    return Job(settings, network, tasks.get(card.task), source, pipeline, out)


def _fit(job: Job, done: int, style: str) -> list[Row]:
    from ninefold.training.fitting import Fitting

    with quiet(), _interrupts(job.out, style):
        trainer, module = _trainer(job, done, style), Fitting(job)
        trainer.fit(module, ckpt_path=job.out / LAST if done else None)
    return module.history


def _trainer(job: Job, done: int, style: str) -> Trainer:
    import torch
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch import Trainer
    from lightning.pytorch.plugins.environments import SLURMEnvironment

    from ninefold.training.checkpoint import AtomicCheckpoints
    from ninefold.training.keeper import Keeper
    from ninefold.training.screen import Screen

    settings = job.settings
    plugins: list[Any] = [AtomicCheckpoints()]
    if SLURMEnvironment.detect():
        # Requeueing by Lightning would write a checkpoint of its own in the middle of an epoch.
        plugins.append(SLURMEnvironment(auto_requeue=False))
    try:
        return Trainer(
            accelerator="auto",
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="ddp" if settings.processes > 1 else "auto",
            sync_batchnorm=settings.processes > 1 and torch.cuda.is_available(),
            precision=_PRECISIONS[settings.precision],
            max_epochs=settings.epochs - done,
            callbacks=[Keeper(job.out), Screen(style)],
            plugins=plugins,
            default_root_dir=job.out,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except MisconfigurationException as error:
        raise Unsupported(
            f"devices={settings.devices}, nodes={settings.nodes}, precision={settings.precision!r} cannot be had here: "
            f"{' '.join(str(error).split())}"
        ) from error


@contextmanager
def _interrupts(out: Path, style: str) -> Iterator[None]:
    """Say how to go on after Ctrl-C or SIGTERM."""
    sentence = f"stopped; what was finished is kept, go on with: --resume --out {out}"
    try:
        with plain_interrupts():
            yield
    except (KeyboardInterrupt, SystemExit) as error:
        if is_main_process():
            say(style, sentence)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(sentence) from None
        raise


def _conclude(job: Job, history: Sequence[Row], style: str) -> Report:
    from ninefold.training.evaluation import evaluate
    from ninefold.training.plots import draw_curves

    if not is_main_process():
        return _shared(None)
    draw_curves(job.out / CURVES, history, f"{job.settings.network} on {job.settings.data}")
    return _shared(evaluate(job.out, split="test", progress=style))


def _shared(report: Report | None) -> Report:
    """Give every process the report of the first one, and part from the others."""
    from torch import distributed

    box = [report]
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast_object_list(box)
        # gloo's threads must have ended before the interpreter does, or the process aborts.
        distributed.destroy_process_group()
    return box[0]
