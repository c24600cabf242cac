"""The null: noise in the place of the recordings, which knows nothing of the ratings, and all else as it was."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from ninefold.data.eeg.cohort import SyntheticCohort
from ninefold.data.eeg.feature_cache import measured
from ninefold.training.crossval import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.data.eeg.features import Features, Measured
    from ninefold.data.eeg.recording import Setup
    from ninefold.training.eeg.rows import Person
    from ninefold.training.eeg.settings import EegSettings


def null_people(people: Sequence[Person], settings: EegSettings) -> list[Person]:
    """Replace the recordings of the first people by noise of as many trials and seconds; their ratings stay.

    It has the electrodes, the rate and the rest of the recordings.

    The noise is that of the generator's preset "null": alike within a trial, and from one trial to the next different
    by chance only. It is drawn from another seed than the people of `synthetic:null`.

    Args:
        people: who were measured.
        settings: how many to take; a protocol that cuts between people gets as many as it needs.

    Returns:
        As many people, or fewer where there are fewer; none where none are wanted.
    """
    kind = protocol(settings.protocol)
    least = 0 if kind.within or not settings.null_subjects else settings.folds or kind.k or 2
    chosen = people[: max(settings.null_subjects, least)]
    return [
        one._replace(measured=_noise(one.measured, one.setup, number, settings))
        for number, one in enumerate(chosen, start=1)
    ]


def _noise(one: Measured, setup: Setup, number: int, settings: EegSettings) -> Measured:
    trials, windows = one.windows.shape[:2]
    features, seed = settings.features(), settings.seed + 1
    seconds = _seconds(windows, setup.hertz, features)
    cohort = SyntheticCohort("null", [number], trials=trials, seconds=seconds, seed=seed, setup=setup)
    noise = measured(cohort, cohort.names[0], features)
    return one._replace(windows=noise.windows[:, :windows], rest=noise.rest)


def _seconds(windows: int, hertz: float, features: Features) -> int:
    """Give the least whole seconds that have so many windows."""
    length = round(features.window * hertz)
    step = max(1, length - round(features.overlap * length))
    return ceil((length + (windows - 1) * step) / round(hertz))
