"""Features that were measured before, in the cache folder."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ninefold.data.eeg.features import Measured, measure
from ninefold.storage import cache_folder, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.data.eeg.cohort import Cohort
    from ninefold.data.eeg.features import Features

_MEANING: Final = 1  # of the numbers in a file: raised whenever `measure` gives others for the same settings


def measured(cohort: Cohort, name: str, features: Features, *, keep: bool = True) -> Measured:
    """Give a person's features: from the cache folder where they are, else measured, and kept there.

    The file is `eeg/KEY`, where KEY is a hash of the recording's digest and the settings. It is written whole or not at
    all; a damaged one is measured again, and a folder that cannot be written costs the time of measuring. Who may not
    pass on a data set may not pass on such files either.

    Args:
        cohort: who knows the person.
        name: of the person.
        features: what to measure.
        keep: whether to read and write files.

    Raises:
        CorruptFile: when the person's recording is damaged.
    """
    if not keep:
        return measure(cohort.subject(name), features)
    path = cache_folder() / "eeg" / _key(cohort.digest(name), features)
    found = _read(path)
    if found is None:
        found = measure(cohort.subject(name), features)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, save({part: np.ascontiguousarray(values) for part, values in found._asdict().items()}))
    return found


def _key(digest: str, features: Features) -> str:
    return hashlib.sha256(json.dumps([_MEANING, digest, asdict(features)]).encode()).hexdigest()


def _read(path: Path) -> Measured | None:
    try:
        return Measured(**load(path.read_bytes()))
    except (OSError, SafetensorError, TypeError):  # TypeError: other names than ours
        return None
