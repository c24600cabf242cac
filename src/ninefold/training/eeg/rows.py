"""From people to the rows that models see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ninefold.data.eeg.feature_cache import measured
from ninefold.data.eeg.features import finished
from ninefold.data.eeg.filters import BANDS
from ninefold.data.eeg.recording import SCALES
from ninefold.errors import DataError, InvalidInput
from ninefold.records import Examples
from ninefold.training.progress import bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ninefold.data.eeg.cohort import Cohort
    from ninefold.data.eeg.features import Features, Measured
    from ninefold.data.eeg.recording import Setup
    from ninefold.training.eeg.settings import EegSettings

HIGH: Final = 5.0
"""Ratings above it are high, and those from 1 to it low."""


class Person(NamedTuple):
    """Somebody's features.

    Args:
        name: such as "s01".
        measured: before anything is subtracted or scaled.
        setup: of the recording.
    """

    name: str
    measured: Measured
    setup: Setup


def measure_all(cohort: Cohort, features: Features, style: str) -> tuple[list[Person], list[str]]:
    """Measure everybody, through the cache; whose recording cannot be used is left out with a sentence.

    Args:
        cohort: of at least one person.
        features: what to measure.
        style: of the progress.

    Returns:
        Who was measured, and a sentence for each of the others.

    Raises:
        DataError, InvalidInput: when nobody could be measured: what was wrong with the first.
        InvalidInput: when two were recorded with different channels, rates or rests.
    """
    people: list[Person] = []
    errors: list[DataError | InvalidInput] = []
    with bar(style, "features", len(cohort.names)) as move:
        for done, name in enumerate(cohort.names, start=1):
            try:
                people.append(Person(name, measured(cohort, name, features), cohort.setup(name)))
            except (DataError, InvalidInput) as error:
                errors.append(error)
            else:
                _check_alike(people[0], people[-1])
            move(done, name)
    if not people:
        raise errors[0]
    return people, [f"{error}; left out" for error in errors]


def rows_of(people: Sequence[Person], settings: EegSettings) -> Examples:
    """Give a row per window: its features in the wanted bands, whether its trial was rated high, and whose it is.

    Args:
        people: at least one.
        settings: which baseline, bands and target.

    Returns:
        Values (N, bands, C), person by person, trial by trial.

    Raises:
        InvalidInput: when a rest is to be subtracted, and somebody has none, or when the target was not rated.
    """
    values, labels, groups, subjects, trials = [], [], [], [], 0
    for number, (name, one, _) in enumerate(people):
        if np.isnan(one.ratings[:, SCALES.index(settings.target)]).any():
            raise InvalidInput(f"{name} has no ratings of {settings.target}; take another target, or add the column")
        shown = finished(one, settings.baseline)[:, :, _places(settings.bands)]
        count, windows = shown.shape[:2]
        values.append(shown.reshape(count * windows, *shown.shape[2:]))
        labels.append(np.repeat(high(one, settings.target), windows))
        groups.append(np.repeat(np.arange(trials, trials + count), windows))
        subjects.append(np.full(count * windows, number))
        trials += count
    return Examples(
        *map(np.concatenate, (values, labels, groups, subjects)),
        classes=("low", "high"),
        names=tuple(person.name for person in people),
    )


def high(one: Measured, target: str) -> NDArray[np.int64]:
    """Say of every trial whether it was rated high: int64 (T,), 0 or 1."""
    return (one.ratings[:, SCALES.index(target)] > HIGH).astype(np.int64)


def _check_alike(first: Person, other: Person) -> None:
    """Refuse people whose rows could not stand among each other."""
    if first.setup == other.setup:
        return
    one, two = first.setup, other.setup
    if (one.hertz, one.rest) != (two.hertz, two.rest):
        raise InvalidInput(
            f"{first.name} was recorded at {one.hertz:g} Hz with {one.rest:g} s of rest, and {other.name} at "
            f"{two.hertz:g} Hz with {two.rest:g} s; bring them to the same, or study them apart"
        )
    differ = [name for name in (*one.channels, *two.channels) if (name in one.channels) != (name in two.channels)]
    told = f"one has {', '.join(differ)}, the other not" if differ else "their order differs"
    raise InvalidInput(f"{first.name} and {other.name} have different channels: {told}; name those of both as channels")


def _places(bands: Sequence[str]) -> list[int]:
    return [place for place, band in enumerate(BANDS) if band.name in bands]
