"""Recordings made up, in the form of DEAP's unless told, of which is known what they tell about the ratings.

The potentials are noise in four bands, alike at neighbouring electrodes. Its strength, in logarithms, is a sum: of the
person, of the trial from beginning to end, of the stimulus alone, of a drift from second to second, and, while
the stimulus lasts, of the ratings of valence and arousal. The ratings of dominance and liking leave no trace.

What the trial adds from beginning to end is in the rest as well, and goes when the rest is subtracted; what the few
seconds of rest happen to measure is then subtracted from all windows of the trial alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np

from ninefold.data.eeg.deap import HERTZ, SETUP, write_deap
from ninefold.data.eeg.filters import BANDS
from ninefold.data.eeg.grid import plane_of, raster
from ninefold.data.eeg.recording import LEAST_RATING, MOST_RATING, SCALES, Setup, Subject
from ninefold.errors import InvalidInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

_MICROVOLTS: Final = 10.0  # root mean square of a person of mean strength
_PERSON, _MAP, _DRIFT = 0.4, 0.3, 0.1  # standard deviations of the logarithm of the strength
_MEMORY: Final = 0.9  # of the drift, from one second to the next
_MIXED, _SMOOTH = 0.9, 1.8  # how far potentials and maps reach, in cells of the grid
_BLOCK: Final = 64  # draws
_FRONT_LEFT, _FRONT_RIGHT = ("F3", "AF3", "F7"), ("F4", "AF4", "F8")
_SIDES: Final = ("T7", "T8", "FC5", "FC6", "C3", "C4")
_BACK: Final = ("P7", "P3", "Pz", "P4", "P8", "PO3", "PO4", "O1", "Oz", "O2")
_CENTRE: Final = ("C3", "Cz", "C4", "FC1", "FC2", "CP1", "CP2")


@final
@dataclass(frozen=True)
class Preset:
    """How much a synthetic recording tells about its ratings, in logarithms of the strength.

    Args:
        effect: root mean square over bands and electrodes of what the highest rating adds, >= 0.
        shared: how alike the effect is in all people, from 0 to 1: the correlation of one's map with the common one.
        trial: standard deviation of what differs between trials from beginning to end.
        stimulus: of what differs between trials while the stimulus lasts.
    """

    effect: float
    shared: float
    trial: float
    stimulus: float


PRESETS: Final = {
    "realistic": Preset(effect=0.04, shared=0.5, trial=0.06, stimulus=0.04),
    "easy": Preset(effect=0.10, shared=0.7, trial=0.12, stimulus=0.05),
    "null": Preset(effect=0.0, shared=0.0, trial=0.12, stimulus=0.05),
}


class _Head(NamedTuple):
    """Where electrodes lie, in a form that can be looked up.

    Args:
        channels: C names.
        rows, columns: C each, in cells.
    """

    channels: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]


def synthetic_subject(
    preset: str | Preset, number: int, *, trials: int = 40, seconds: int = 60, seed: int = 0, setup: Setup = SETUP
) -> Subject:
    """Make up the recordings of one person.

    Args:
        preset: one of `PRESETS`, or its name.
        number: of the person, from 1; every one is another.
        trials: >= 1; trial k is the same stimulus for all people.
        seconds: of stimulus, >= 1, behind the rest.
        seed: >= 0; the same seed and number give the same person, whoever was made before, and, of up to 32 electrodes,
            on how many threads.
        setup: electrodes, rate and rest; at rates that are no whole number, a second has the nearest one of samples.
            Electrodes whose place is not known count as neighbours in the order of their names.

    Returns:
        The electrodes' potentials in volts: of DEAP's 32 at 128 Hz, behind 3 s of rest, unless told.

    Raises:
        UnknownName: when no preset has the name.
        InvalidInput: when a number is below its least.

    >>> synthetic_subject("easy", 1, trials=2, seconds=3).volts.shape
    (2, 32, 768)
    """
    _check(number, trials, seconds, seed)
    rng = np.random.default_rng((seed, number))
    ratings = _ratings(rng, np.random.default_rng((seed, 0)).normal(size=(trials, len(SCALES))))
    head, second, before = _head(setup.channels), round(setup.hertz), ceil(setup.rest)
    gains = np.exp(_log_gains(rng, _preset(preset), ratings, head, (before, seconds)))
    volts = np.stack([_potentials(rng, gain, head, setup.hertz) for gain in gains])
    volts = volts[:, :, before * second - round(setup.rest * setup.hertz) :]
    return Subject(f"s{number:02d}", volts, setup.hertz, setup.channels, setup.rest, ratings)


def synthetic_channels(
    preset: str | Preset, number: int, *, trials: int = 40, seconds: int = 60, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make up all that a file of DEAP holds of one person: behind the electrodes, eight channels of the body.

    Args:
        preset, number, trials, seconds, seed: as of `synthetic_subject`.

    Returns:
        volts (T, 40, S), of which the first 32 channels are those of `synthetic_subject`, and ratings (T, 4).
    """
    person = synthetic_subject(preset, number, trials=trials, seconds=seconds, seed=seed)
    body = _body(np.random.default_rng((seed, number, 1)), trials, person.volts.shape[2])
    return np.concatenate([person.volts, body], axis=1), person.ratings


def synthetic_files(
    folder: Path, preset: str | Preset, numbers: Iterable[int], *, trials: int = 40, seconds: int = 60, seed: int = 0
) -> None:
    """Write made-up people in DEAP's form: s01.dat, s02.dat, ...

    Args:
        folder: made if it is not there.
        numbers: of the people, from 1.
        preset, trials, seconds, seed: as of `synthetic_subject`.

    Raises:
        StorageFull: when the disk takes no more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_deap(
            folder / f"s{number:02d}.dat",
            *synthetic_channels(preset, number, trials=trials, seconds=seconds, seed=seed),
        )


def _check(number: int, trials: int, seconds: int, seed: int) -> None:
    least = (("number", number, 1), ("trials", trials, 1), ("seconds", seconds, 1), ("seed", seed, 0))
    for name, value, lowest in least:
        if value < lowest:
            raise InvalidInput(f"{name} is {value}; wanted {lowest} or more")


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise UnknownName.among("preset", preset, PRESETS)
    return PRESETS[preset]


def _ratings(rng: Generator, stimuli: NDArray[np.float64]) -> NDArray[np.float64]:  # (T, 4)
    person = 0.4 * rng.normal(size=len(SCALES))
    ratings = np.clip(5.2 + person + 0.8 * stimuli + 1.9 * rng.normal(size=stimuli.shape), LEAST_RATING, MOST_RATING)
    ratings[np.abs(ratings - 5) < 0.1] = 5  # where people leave a slider that starts in the middle
    return ratings


@lru_cache(maxsize=4)
def _head(channels: tuple[str, ...]) -> _Head:
    try:
        grid = plane_of(channels)
    except (InvalidInput, MissingExtra):
        grid = raster(len(channels))
    return _Head(channels, tuple(grid.rows.tolist()), tuple(grid.columns.tolist()))


def _log_gains(
    rng: Generator, preset: Preset, ratings: NDArray[np.float64], head: _Head, seconds: tuple[int, int]
) -> NDArray[np.float64]:
    trials, bands, knots = len(ratings), len(BANDS), sum(seconds) + 1
    person = _PERSON * rng.normal() + _MAP * _smooth(rng, head, bands)
    trial = preset.trial * _smooth(rng, head, trials, bands)
    stimulus = preset.stimulus * _smooth(rng, head, trials, bands) + _effect(rng, preset, ratings, head)  # (T, B, C)
    drift = np.empty((knots, trials, bands, len(head.channels)))
    drift[0] = rng.normal(size=drift[0].shape)
    for knot in range(1, knots):
        drift[knot] = _MEMORY * drift[knot - 1] + np.sqrt(1 - _MEMORY**2) * rng.normal(size=drift[0].shape)
    lasts = np.arange(knots)[:, None, None, None] > (seconds[0] or -1)  # all the time where there is no rest
    return np.moveaxis(person + trial + lasts * stimulus + _DRIFT * drift, 0, -1)  # (T, B, C, knots)


def _effect(
    rng: Generator, preset: Preset, ratings: NDArray[np.float64], head: _Head
) -> NDArray[np.float64]:  # (T, B, C)
    effect = np.zeros((len(ratings), len(BANDS), len(head.channels)))
    for common, rating in zip(_common_maps(head.channels), ratings.T, strict=False):
        own = _smooth(rng, head, len(BANDS))
        mixed = preset.shared * common + np.sqrt(1 - preset.shared**2) * own / _rms(own)
        effect += preset.effect * np.tanh((rating - 5) / 2)[:, None, None] * mixed
    return effect


def _common_maps(channels: tuple[str, ...]) -> tuple[NDArray[np.float64], ...]:  # valence, arousal: (B, C) each
    valence, arousal = np.zeros((2, len(BANDS), len(channels)))
    _, alpha, beta, gamma = range(len(BANDS))
    left, right, sides, back, centre = (
        np.isin(channels, names) for names in (_FRONT_LEFT, _FRONT_RIGHT, _SIDES, _BACK, _CENTRE)
    )
    valence[alpha], arousal[alpha] = 1.0 * left - right, -1.0 * back
    for band in (beta, gamma):
        valence[band], arousal[band] = sides, centre
    return valence / (_rms(valence) or 1.0), arousal / (_rms(arousal) or 1.0)


def _potentials(
    rng: Generator, gain: NDArray[np.float64], head: _Head, hertz: float
) -> NDArray[np.float64]:  # one trial: (C, S)
    channels, seconds, second = len(head.channels), gain.shape[-1] - 1, round(hertz)
    ramp = np.arange(second) / second
    sources = np.zeros((channels, seconds, second))
    for band, amplitude in enumerate(_amplitudes(seconds, hertz)):
        first, width = np.flatnonzero(amplitude)[0], np.count_nonzero(amplitude)
        drawn = _mixed(rng, head, 2 * width).view(complex)  # (C, width)
        spectrum = np.zeros((channels, len(amplitude)), complex)
        spectrum[:, first : first + width] = drawn * amplitude[first : first + width]
        wave = np.fft.irfft(spectrum, seconds * second).reshape(sources.shape)
        knots = gain[band][..., None]  # (C, knots, 1)
        sources += wave * (knots[:, :-1] + ramp * np.diff(knots, axis=1))
    average = sources.mean(axis=0) if channels > 1 else 0.0  # what amplifiers of many electrodes measure against
    return (sources - average).reshape(channels, -1)


def _mixed(rng: Generator, head: _Head, draws: int) -> NDArray[np.float64]:  # (C, draws), alike at near electrodes
    channels = len(head.channels)
    # Products this small are left to one thread: the last bits of larger ones depend on how many threads there are.
    blocks = _reach(_MIXED, head) @ rng.normal(size=(-(-draws // _BLOCK), channels, _BLOCK))
    return blocks.swapaxes(0, 1).reshape(channels, -1)[:, :draws]


@lru_cache(maxsize=4)
def _amplitudes(seconds: int, rate: float) -> NDArray[np.float64]:  # (B, frequencies), of 1/f power, a peak at 10 Hz
    samples = seconds * round(rate)
    hertz = np.fft.rfftfreq(samples, 1 / rate)
    low, high = np.array([(band.low, band.high) for band in BANDS]).T[..., None]
    within = (hertz >= low) & (hertz < high)
    shape = within / np.sqrt(np.maximum(hertz, 1)) * (1 + 2 * np.exp(-((hertz - 10) ** 2) / 2))
    return shape * (_MICROVOLTS * 1e-6 * samples / 2 / np.sqrt(np.sum(shape**2)))


def _body(rng: Generator, trials: int, samples: int) -> NDArray[np.float64]:  # (T, 8, S)
    time, noise = np.arange(samples) / HERTZ, rng.normal(size=(trials, 8, samples))

    def wave(hertz: float) -> NDArray[np.float64]:
        return np.sin(2 * np.pi * (hertz * time + rng.random((trials, 1))))

    blinks, bursts = np.maximum(wave(0.2), 0) ** 200, 0.2 + np.maximum(wave(0.1), 0) ** 8
    noise[:, 0] = 20 * wave(0.4) + noise[:, 0]  # eyes, sideways and up
    noise[:, 1] = 100 * blinks + noise[:, 1]
    noise[:, 2:4] *= 20 * bursts[:, None]  # muscles of face and neck
    noise[:, 4:] *= 0.05
    noise[:, 4] += wave(0.01)  # skin, breath, pulse; the last, temperature, hardly moves
    noise[:, 5] += wave(0.25)
    noise[:, 6] += wave(1.2)
    return 1e-6 * noise


def _smooth(rng: Generator, head: _Head, *shape: int) -> NDArray[np.float64]:  # (*shape, C), of variance 1
    return rng.normal(size=(*shape, len(head.channels))) @ _reach(_SMOOTH, head).T


@lru_cache(maxsize=4)
def _reach(cells: float, head: _Head) -> NDArray[np.float64]:  # (C, C): makes independent draws alike where near
    rows, columns = np.array((head.rows, head.columns))
    apart = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    return np.linalg.cholesky(np.exp(-apart / (2 * cells**2)) + 1e-9 * np.eye(len(rows)))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
