"""`ninefold train`: from a network's name and a data source's name to a run folder."""

import os
from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ninefold.app.results import print_report
from ninefold.app.screen import AsJson, Debug
from ninefold.errors import InvalidInput
from ninefold.training.settings import OPTIMIZERS, PRECISIONS, SCHEDULES, Settings

_DEFAULT: Final[dict[str, Any]] = {field.name: field.default for field in fields(Settings)}
_RUNS: Final = Path("runs")


def train(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="A name that `ninefold models` lists.")],
    data: Annotated[str, typer.Option(help="A name that `ninefold data` lists.")],
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the files of the source.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.")] = _DEFAULT["epochs"],
    batch_size: Annotated[int, typer.Option(help="Pictures per step, over all devices.")] = _DEFAULT["batch_size"],
    lr: Annotated[float | None, typer.Option(help="Learning rate; else the optimizer's own.")] = _DEFAULT["lr"],
    optimizer: Annotated[str, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}.")] = _DEFAULT["optimizer"],
    schedule: Annotated[str, typer.Option(help=f"Of the learning rate: {', '.join(SCHEDULES)}.")] = _DEFAULT[
        "schedule"
    ],
    weight_decay: Annotated[float, typer.Option(help="Of kernels and dense weights.")] = _DEFAULT["weight_decay"],
    augment: Annotated[str, typer.Option(metavar="NAME,NAME", help="Augmentations, such as crop,flip.")] = "",
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Resize pictures; else as the network and the source say.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Start from the weights in this file; else from fresh ones.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same result on a CPU.")] = _DEFAULT["seed"],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; else runs/NETWORK-DATA, with a number if taken.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", metavar="", help="Go on from the last epoch in --out.")] = False,
    workers: Annotated[int, typer.Option(help="Further processes that read pictures.")] = _DEFAULT["workers"],
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = _DEFAULT["devices"],
    nodes: Annotated[int, typer.Option(help="Machines, under torchrun or SLURM.")] = _DEFAULT["nodes"],
    precision: Annotated[str, typer.Option(help=f"One of {', '.join(PRECISIONS)}.")] = _DEFAULT["precision"],
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Train a network on pictures, then measure its best weights on the test pictures.

    The best weights are those of the epoch that did best on the validation pictures.
    """
    settings = Settings(
        network=network,
        data=data,
        data_dir=data_dir,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        weight_decay=weight_decay,
        augment=tuple(name.strip() for name in augment.split(",") if name.strip()),
        seed=seed,
        size=None if size is None else parse_size(size),
        workers=workers,
        devices=devices,
        nodes=nodes,
        precision=precision,
        checkpoint=checkpoint,
    )
    run = _chosen(settings, resume=resume) if out is None else out
    from ninefold import training

    report = training.train(settings, run, resume=resume)
    if training.is_main_process():
        print_report(report, run, as_json=as_json)


def parse_size(text: str) -> tuple[int, int]:
    """Read (H, W) from text such as `32x48`, or `32` for a square.

    Raises:
        InvalidInput: when it is anything else.

    >>> parse_size("32x48"), parse_size("32")
    ((32, 48), (32, 32))
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InvalidInput(
            f"--size {text!r} is no size; write height x width in pixels, such as 32x48, or 32 for a square"
        )
    return int(parts[0]), int(parts[-1])


def _chosen(settings: Settings, *, resume: bool) -> Path:
    """Give a run folder that does not exist yet."""
    if resume:
        raise InvalidInput("--resume goes on with an earlier run; say which with --out DIR")
    if settings.nodes > 1 or not {"LOCAL_RANK", "SLURM_PROCID"}.isdisjoint(os.environ):
        raise InvalidInput("several processes were started and share one run folder; say which with --out DIR")
    name = f"{settings.network}-{settings.data}"
    names = (name if i == 1 else f"{name}-{i}" for i in count(1))
    return next(_RUNS / name for name in names if not (_RUNS / name).exists())
