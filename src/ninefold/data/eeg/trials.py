"""The table that says where trials are in a folder of recordings, and how they were rated: `trials.csv`.

file,onset,seconds,rest,valence,arousal
s01.edf,12.5,60,3,7,3
s01.edf,90,60,3,2,4.5
"""

from __future__ import annotations

import csv
from math import isfinite, nan
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ninefold.data.eeg.files import KINDS
from ninefold.data.eeg.recording import LEAST_RATING, MOST_RATING, SCALES
from ninefold.errors import CorruptFile, MissingData

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLE: Final = "trials.csv"
_WANTED: Final = ("file", "onset", "seconds", "valence", "arousal")
_OPTIONAL: Final = ("rest", "dominance", "liking")


class Trial(NamedTuple):
    """A row of the table.

    Args:
        path: of the recording.
        onset: of the stimulus, in seconds from the recording's beginning, >= 0.
        seconds: that the stimulus lasts, > 0.
        rest: seconds before it, >= 0.
        ratings: from 1 to 9, in the order of `SCALES`; nan where the table has no column.
    """

    path: Path
    onset: float
    seconds: float
    rest: float
    ratings: tuple[float, ...]


class Trials(NamedTuple):
    """The trials of one person.

    Args:
        path: of the recording.
        onsets: of the stimuli, in seconds from its beginning.
        seconds: that each lasts.
        rest: seconds before each.
        ratings: float64 (T, 4), in the order of `SCALES`; nan throughout a scale that was not asked.
    """

    path: Path
    onsets: tuple[float, ...]
    seconds: float
    rest: float
    ratings: NDArray[np.float64]


def read_trials(folder: Path) -> dict[str, Trials]:
    """Read the table of a folder of recordings.

    Returns:
        The trials of everybody, in the order of the table, by the name of the recording without its ending.

    Raises:
        MissingData: when a row names a recording that is not in the folder.
        CorruptFile: when a column is missing, a number cannot be, trials differ in length or rest, or two recordings
            are called alike: naming the line.
    """
    rows = _rows(folder / TABLE)
    people: dict[str, list[Trial]] = {}
    for line, trial in rows.items():
        own = people.setdefault(trial.path.stem, [])
        own.append(trial)
        if trial.path != own[0].path:
            raise _wrong(folder / TABLE, line, f"{trial.path.name} came after {own[0].path.name}; name a person once")
    return {name: _together(own) for name, own in people.items()}


def _together(own: list[Trial]) -> Trials:
    paths, onsets, seconds, rests, ratings = zip(*own, strict=True)
    return Trials(paths[0], onsets, seconds[0], rests[0], np.array(ratings))


def _rows(path: Path) -> dict[int, Trial]:
    """Read the rows by their lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            lacking = [name for name in _WANTED if name not in columns]
            if lacking:
                raise CorruptFile(
                    f"{path} has no column {', '.join(lacking)}, only {', '.join(columns) or 'nothing'}; wanted "
                    f"{','.join(_WANTED)}, and {','.join(_OPTIONAL)} where known"
                )
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptFile(f"{path} cannot be read as a table ({error}); write it as CSV in UTF-8") from error
    if not rows:
        raise CorruptFile(f"{path} has no row; wanted one for each trial")
    trials = {line: _trial(path, line, row) for line, row in rows}
    first = next(iter(trials.values()))
    for line, trial in trials.items():
        for name, one, other in (("seconds", trial.seconds, first.seconds), ("rest", trial.rest, first.rest)):
            if one != other:
                raise _wrong(path, line, f"{name} is {one:g}, and {other:g} before; wanted the same for all trials")
    return trials


def _trial(path: Path, line: int, row: dict[str, str]) -> Trial:
    where = path.parent / (row["file"] or "").strip()
    if where.parent != path.parent or where.suffix.lower() not in KINDS:
        raise _wrong(path, line, f"file is {row['file']!r}; wanted the name of a {', '.join(KINDS)} file beside it")
    if not where.is_file():
        there = sorted(one.name for one in path.parent.iterdir() if one.suffix.lower() in KINDS)
        raise MissingData(
            f"{path}, line {line}: {where.name} is not in the folder; it holds {', '.join(there) or 'no recording'}"
        )
    onset, seconds, rest = (_number(path, line, row, name) for name in ("onset", "seconds", "rest"))
    if onset < 0 or seconds <= 0 or rest < 0:
        raise _wrong(path, line, f"onset {onset:g}, seconds {seconds:g}, rest {rest:g} came; wanted >= 0, > 0, >= 0")
    ratings = tuple(_number(path, line, row, name) if name in row else nan for name in SCALES)
    for name, rating in zip(SCALES, ratings, strict=True):
        if name in row and not LEAST_RATING <= rating <= MOST_RATING:
            raise _wrong(path, line, f"{name} is {rating:g}; wanted {LEAST_RATING:g} to {MOST_RATING:g}")
    return Trial(where, onset, seconds, rest, ratings)


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    text = row.get(name, "0")
    try:
        number = float(text)
    except (TypeError, ValueError):  # TypeError: the row is too short
        number = nan
    if not isfinite(number):
        raise _wrong(path, line, f"{name} is {text or ''!r}; wanted a number")
    return number


def _wrong(path: Path, line: int, what: str) -> CorruptFile:
    return CorruptFile(f"{path}, line {line}: {what}")
