"""The folder of a study: what its files are called, and who may go on in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ninefold.errors import MissingExtra, RunError
from ninefold.storage import naming_a_full_disk, remove_partial, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.training.eeg.settings import EegSettings

CONFIG: Final = "config.yaml"
REPORT: Final = "report.json"
ACCURACIES: Final = "accuracies.png"
TOPOGRAPHY: Final = "topography.png"
NULL: Final = "null"


def check_folder(settings: EegSettings, out: Path) -> None:
    """Refuse a folder of a study with other settings.

    Raises:
        RunError: when it holds something with other settings.
    """
    earlier, now = _read(out), settings.plain()
    if earlier is not None:
        for name in dict.fromkeys((*now, *earlier)):
            if earlier.get(name) != now.get(name):
                raise RunError(
                    f"{out} was started with {name}={earlier.get(name)!r}, and {name}={now.get(name)!r} came; go on "
                    "with the same settings or choose another folder"
                )


def open_folder(settings: EegSettings, out: Path) -> None:
    """Make the folder of a new study, or the folder of one with the same settings ready to go on.

    Raises:
        RunError: when the folder holds something with other settings; nothing is written.
        StorageFull: when the disk has no room.
    """
    check_folder(settings, out)
    with naming_a_full_disk(out):
        out.mkdir(parents=True, exist_ok=True)
    remove_partial(out)
    write_text(out / CONFIG, _yaml().safe_dump(settings.plain(), sort_keys=False))


def holds(settings: EegSettings, out: Path) -> bool:
    """Say whether the folder is that of a study with these settings; raises `RunError` when it cannot be read."""
    return _read(out) == settings.plain()


def _read(out: Path) -> dict[str, Any] | None:
    path, yaml = out / CONFIG, _yaml()
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} holds {type(found).__name__}; wanted names and values, as a study writes them")
    return found


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra.of("pyyaml", "train") from error
    return yaml
