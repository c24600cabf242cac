"""What every finished fold leaves on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np

from ninefold.storage import naming_a_full_disk, remove_partial, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Predicted(NamedTuple):
    """What a model says about the tested rows of a fold.

    Args:
        labels: int64, one per row.
        seconds: that training and predicting took.
    """

    labels: NDArray[np.int64]
    seconds: float


def make_folder(folder: Path) -> None:
    """Make the folder, or clear the one that is there of what killed writers left.

    Raises:
        StorageFull: when the disk has no room.
    """
    with naming_a_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)


def place(folder: Path, model: str, fold: str) -> Path:
    """Give the file of a model's fold.

    >>> from pathlib import Path
    >>> place(Path("folds"), "svm", "s01/a-3").name
    'svm-s01%2Fa-3.json'
    """
    return folder / f"{quote(f'{model}-{fold}', safe='')}.json"


def keep(path: Path, fingerprint: str, predicted: Predicted) -> None:
    """Write a finished fold.

    Args:
        path: see `place`; its folder must exist.
        fingerprint: of everything that the prediction depends on.
        predicted: what came out.

    Raises:
        StorageFull: when the disk has no room.
    """
    found = {
        "fingerprint": fingerprint,
        "seconds": round(predicted.seconds, 4),
        "predicted": predicted.labels.tolist(),
    }
    write_text(path, json.dumps(found) + "\n")


def read_kept(path: Path, fingerprint: str, rows: int) -> Predicted | None:
    """Read what `keep` wrote.

    Args:
        path: see `place`.
        fingerprint: which the file must have.
        rows: how many must be predicted.

    Returns:
        None when there is no file, when it is of something else, or when it is damaged: it is then computed anew.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        labels, seconds = np.array(found["predicted"], np.int64), float(found["seconds"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if found.get("fingerprint") != fingerprint or labels.shape != (rows,):
        return None
    return Predicted(labels, seconds)
