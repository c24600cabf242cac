"""The run folder: what its files are called, who may start in it, and who may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ninefold.errors import InvalidInput, RunError
from ninefold.storage import naming_a_full_disk, remove_partial, write_text
from ninefold.training.history import as_csv
from ninefold.training.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ninefold.training.history import Row

CONFIG: Final = "config.yaml"
METRICS: Final = "metrics.csv"
LAST: Final = "last.ckpt"
BEST: Final = "best.ckpt"
MODEL: Final = "model.safetensors"
CURVES: Final = "curves.png"
_MARKS: Final = (CONFIG, METRICS, LAST, BEST, MODEL)

# What may differ when a run goes on: how long, and where it runs; nothing that changes what is computed per picture.
_FREE: Final = ("epochs", "data_dir", "workers", "devices", "nodes")


def read_settings(run: Path) -> Settings:
    """Read the settings of a run.

    Raises:
        RunError: when the folder or its `config.yaml` is missing or cannot be used.
    """
    path = run / CONFIG
    try:
        return Settings.from_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        what = f"has no {CONFIG}" if run.is_dir() else "is not there"
        raise RunError(f"{run} {what}; wanted the folder of a run, as 'ninefold train --out' makes it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def start(settings: Settings, out: Path) -> None:
    """Make the folder of a new run and write its settings.

    Raises:
        RunError: when `out` already holds a run; nothing is written.
        StorageFull: when the disk has no room.
    """
    found = [name for name in _MARKS if (out / name).exists()]
    if found:
        raise RunError(
            f"{out} already holds a run ({', '.join(found)}); continue it with --resume or choose another --out"
        )
    with naming_a_full_disk(out):
        out.mkdir(parents=True, exist_ok=True)
    remove_partial(out)
    write_text(out / CONFIG, settings.to_yaml())


def go_on(settings: Settings, out: Path, history: Sequence[Row]) -> None:
    """Make the folder of an earlier run ready to go on; one without any checkpoint begins anew.

    Args:
        settings: what is asked for now.
        out: the run folder.
        history: of its last checkpoint, which `metrics.csv` is brought in line with.

    Raises:
        RunError: when the folder has checkpoints but no settings, or other settings; nothing is changed.
        InvalidInput: when the run is already longer than what is asked for; nothing is changed.
    """
    if not any((out / name).exists() for name in _MARKS):
        start(settings, out)
        return
    earlier = read_settings(out)
    for name in settings.__slots__:
        was, now = getattr(earlier, name), getattr(settings, name)
        if was != now and name not in _FREE:
            raise RunError(
                f"{out} was started with {name}={was!r}, and {name}={now!r} came; resume with the same settings"
            )
    if settings.epochs < len(history):
        raise InvalidInput(
            f"{out} has {len(history)} epochs behind it, and epochs={settings.epochs} came; ask for at least as many"
        )
    remove_partial(out)
    if settings != earlier:
        write_text(out / CONFIG, settings.to_yaml())
    if history:
        write_text(out / METRICS, as_csv(history))
