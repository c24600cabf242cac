"""What electrodes recorded, in volts: one run without a break, or the trials of one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np

from ninefold.errors import CorruptFile, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCALES: Final = ("valence", "arousal", "dominance", "liking")
LEAST_RATING: Final = 1.0
MOST_RATING: Final = 9.0


class Setup(NamedTuple):
    """How trials were recorded.

    Args:
        channels: C names of electrodes.
        hertz: samples per second, > 0.
        rest: seconds at the beginning of every trial before the stimulus, >= 0.
    """

    channels: tuple[str, ...]
    hertz: float
    rest: float


@final
@dataclass(frozen=True, eq=False)
class Recording:
    """Potentials without a break.

    Args:
        volts: float64 (C, S).
        hertz: samples per second, > 0.
        channels: C names of electrodes.
    """

    volts: NDArray[np.float64]
    hertz: float
    channels: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False)
class Subject:
    """The trials of one person: some seconds at rest, then a stimulus, and how it was rated.

    Args:
        name: what to call the person in a table, such as "s01".
        volts: float64 (T, C, S), of equally long trials.
        hertz: samples per second, > 0.
        channels: C names of electrodes.
        rest: seconds at the beginning of every trial before the stimulus, >= 0.
        ratings: float64 (T, 4), from 1 to 9, in the order of `SCALES`; nan throughout a scale that was not asked.
    """

    name: str
    volts: NDArray[np.float64]
    hertz: float
    channels: tuple[str, ...]
    rest: float
    ratings: NDArray[np.float64]

    def check(self) -> None:
        """Look at every number.

        Raises:
            CorruptFile: when shapes do not meet, a sample is no finite number, a channel is flat, or a rating is
                outside 1 to 9: naming person, trial and channel.
        """
        trials, channels, samples = self.volts.shape
        if len(self.channels) != channels or self.ratings.shape != (trials, len(SCALES)) or not trials:
            raise CorruptFile(
                f"{self.name} has {trials} trials of {channels} channels, {len(self.channels)} names of channels and "
                f"ratings of shape {self.ratings.shape}; wanted a name per channel and {len(SCALES)} ratings per trial"
            )
        if samples <= round(self.rest * self.hertz):
            raise CorruptFile(
                f"{self.name} has trials of {samples} samples, and {self.rest:g} s of rest at {self.hertz:g} Hz are "
                "as long; wanted a stimulus behind them"
            )
        for trial, potentials in enumerate(self.volts, start=1):
            self._check_trial(trial, potentials)
        asked = ~np.isnan(self.ratings).all(axis=0)  # (4,)
        wrong = np.argwhere(asked & ~((self.ratings >= LEAST_RATING) & (self.ratings <= MOST_RATING)))
        if len(wrong):
            trial, scale = wrong[0]
            raise CorruptFile(
                f"{self.name}, trial {trial + 1}: {SCALES[scale]} is rated {self.ratings[trial, scale]:g}; "
                f"wanted {LEAST_RATING:g} to {MOST_RATING:g}"
            )

    def _check_trial(self, trial: int, potentials: NDArray[np.float64]) -> None:
        least, most = potentials.min(axis=1), potentials.max(axis=1)  # nan where a sample is
        for channel, name in enumerate(self.channels):
            if not np.isfinite([least[channel], most[channel]]).all():
                raise CorruptFile(f"{self.name}, trial {trial}: channel {name} holds a sample that is no number")
            if least[channel] == most[channel]:
                raise CorruptFile(
                    f"{self.name}, trial {trial}: channel {name} is flat at {least[channel]:g} V; leave the person out "
                    "or mend the file"
                )


def cut(
    recording: Recording,
    onsets: Sequence[float],
    ratings: NDArray[np.float64],
    *,
    name: str,
    seconds: float = 60.0,
    rest: float = 3.0,
) -> Subject:
    """Cut trials out of a recording.

    Args:
        recording: of one person.
        onsets: when each stimulus begins, in seconds from the recording's beginning.
        ratings: (T, 4), of the stimuli, in the order of `SCALES`; nan throughout a scale that was not asked.
        name: of the person.
        seconds: of stimulus, > 0.
        rest: seconds before it, >= 0.

    Raises:
        InvalidInput: when there is no trial, ratings do not fit, or a trial reaches beyond the recording.

    >>> run = Recording(np.random.default_rng(0).normal(size=(2, 100)), 10.0, ("Fz", "Cz"))
    >>> cut(run, [2.0, 6.0], np.full((2, 4), 5.0), name="s01", seconds=3, rest=1).volts.shape
    (2, 2, 40)
    """
    if not len(onsets) or np.shape(ratings) != (len(onsets), len(SCALES)):
        raise InvalidInput(
            f"{len(onsets)} onsets and ratings of shape {np.shape(ratings)} came for {name}; "
            f"wanted at least one onset, and {len(SCALES)} ratings for each"
        )
    before, after = round(rest * recording.hertz), round(seconds * recording.hertz)
    trials, length = [], recording.volts.shape[1]
    for number, onset in enumerate(onsets, start=1):
        start = round(onset * recording.hertz)
        if start < before or start + after > length:
            raise InvalidInput(
                f"trial {number} of {name} reaches from {onset - rest:g} to {onset + seconds:g} s, and the recording "
                f"has {length / recording.hertz:g} s; leave it out"
            )
        trials.append(recording.volts[:, start - before : start + after])
    return Subject(name, np.stack(trials), recording.hertz, recording.channels, rest, np.asarray(ratings, np.float64))
