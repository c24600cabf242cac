"""Differential entropy of one person's trials, in contest with the ways in which it is usually computed.

All compute on one thread, by nature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ninefold.data.eeg.features import PUBLISHED, measure
from ninefold.data.eeg.filters import designed
from ninefold.data.eeg.synthetic import synthetic_subject
from ninefold.errors import MissingExtra
from ninefold.training.contest.rounds import Times, alternate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ninefold.data.eeg.recording import Subject

_ENTROPY: Final = 0.5 * math.log(2 * math.pi * math.e)


@dataclass(frozen=True, slots=True)
class Row:
    """How one contestant did.

    Args:
        contestant: its name.
        ms: median of the timed calls, for all trials.
        min_ms: the shortest.
        ratio: its median in parts of ours.
        min_ratio: its shortest in parts of ours.
        max_abs_error: largest difference from ours, in nats.
        share: of the trials that were timed; the times are scaled up to all of them.
    """

    contestant: str
    ms: float
    min_ms: float
    ratio: float
    min_ratio: float
    max_abs_error: float
    share: float


def contest(rounds: int, trials: int = 40, seconds: int = 60) -> list[Row]:
    """Time them in turn on one made-up person of 32 channels; first, results for one trial are compared.

    - `ninefold` is `measure` with the published settings;
    - `sosfilt` filters every trial's channels with one call of SciPy per band, and takes the variance of all windows
      with one call of NumPy;
    - `published` does what the published script does: it filters trial by trial, channel by channel and band by band,
      and takes the variance window by window;
    - `toolbox` does what toolboxes do that know single windows only: it designs and runs a filter for every window,
      channel and band, beginning from silence. That gives other numbers: they are compared with those of `measure` for
      a person whose trials are the windows. It is timed on one trial's stimulus, and the time is scaled up.

    Args:
        rounds: of three timed calls each, >= 1.
        trials: of the person, >= 1.
        seconds: of the stimuli, >= 1.

    Raises:
        InvalidInput: when there is no round, trial or second.
        MissingExtra: when SciPy is not installed.
    """
    subject = synthetic_subject("realistic", 1, trials=trials, seconds=seconds)
    one = replace(subject, volts=subject.volts[:1], ratings=subject.ratings[:1])
    windows = _windows_alone(one)
    errors = _errors(one, windows)
    calls: dict[str, Callable[[], Any]] = {
        "ninefold": lambda: measure(subject),
        "sosfilt": lambda: _sosfilt(subject),
        "published": lambda: _published(subject),
        "toolbox": lambda: _toolbox(windows),
    }
    times = alternate(calls, rounds)
    shares = dict.fromkeys(calls, 1.0) | {"toolbox": 1 / trials}
    whole = {name: Times(*(spent / shares[name] for spent in found)) for name, found in times.items()}
    return [_row(name, spent, whole["ninefold"], errors[name], shares[name]) for name, spent in whole.items()]


def _errors(subject: Subject, windows: Subject) -> dict[str, float]:
    """Compare everybody's results with ours, in nats."""
    ours = measure(subject)
    errors = {"ninefold": 0.0, "toolbox": float(np.abs(_toolbox(windows) - measure(windows).windows).max())}
    for name, way in (("sosfilt", _sosfilt), ("published", _published)):
        found = zip(way(subject), (ours.windows, ours.rest), strict=True)
        errors[name] = max(float(np.abs(theirs - own).max()) for theirs, own in found)
    return errors


def _row(name: str, spent: Times, ours: Times, error: float, share: float) -> Row:
    ratios = spent.median / ours.median, spent.least / ours.least
    return Row(name, 1e3 * spent.median, 1e3 * spent.least, *ratios, error, share)


def _windows_alone(subject: Subject) -> Subject:
    """Give somebody whose trials are the windows of somebody's stimuli, without a rest."""
    rest, length = round(subject.rest * subject.hertz), round(PUBLISHED.window * subject.hertz)
    count = (subject.volts.shape[2] - rest) // length
    stimuli = subject.volts[:, :, rest : rest + count * length]
    alone = stimuli.reshape(-1, len(subject.channels), count, length).swapaxes(1, 2)
    volts = np.ascontiguousarray(alone).reshape(-1, len(subject.channels), length)
    return replace(subject, volts=volts, rest=0.0, ratings=subject.ratings.repeat(count, axis=0))


def _sosfilt(subject: Subject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    signal, start, length = _signal(), round(subject.rest * subject.hertz), round(PUBLISHED.window * subject.hertz)
    sections = designed(subject.hertz, PUBLISHED.bands, PUBLISHED.order)
    windows, rests = [], []
    for x in subject.volts:
        parts = []
        for part in (x[:, start:], x[:, :start]):
            cut = [signal.sosfilt(each, part).reshape(len(x), -1, length) for each in sections]
            variances = np.stack([y.var(axis=2, ddof=1) for y in cut])  # (B, C, W)
            parts.append((_ENTROPY + 0.5 * np.log(variances)).transpose(2, 0, 1))
        windows.append(parts[0])
        rests.append(parts[1].mean(axis=0))
    return np.stack(windows), np.stack(rests)


def _published(subject: Subject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    signal, start, length = _signal(), round(subject.rest * subject.hertz), round(PUBLISHED.window * subject.hertz)
    trials, channels, samples = subject.volts.shape
    count, before = (samples - start) // length, start // length
    windows = np.empty((trials, count, len(PUBLISHED.bands), channels))
    rests = np.empty((trials, len(PUBLISHED.bands), channels))
    for trial, channel, (place, band) in product(range(trials), range(channels), enumerate(PUBLISHED.bands)):
        x = subject.volts[trial, channel]
        edges = [2 * band.low / subject.hertz, 2 * band.high / subject.hertz]
        b, a = signal.butter(PUBLISHED.order, edges, "bandpass")
        rest, stimulus = signal.lfilter(b, a, x[:start]), signal.lfilter(b, a, x[start:])
        entropies = [_entropy(rest[i * length : (i + 1) * length]) for i in range(before)]
        rests[trial, place, channel] = sum(entropies) / before
        for i in range(count):
            windows[trial, i, place, channel] = _entropy(stimulus[i * length : (i + 1) * length])
    return windows, rests


def _toolbox(windows: Subject) -> NDArray[np.float64]:
    signal, (trials, channels, _) = _signal(), windows.volts.shape
    found = np.empty((trials, 1, len(PUBLISHED.bands), channels))
    for trial, channel, (place, band) in product(range(trials), range(channels), enumerate(PUBLISHED.bands)):
        b, a = signal.butter(PUBLISHED.order, [band.low, band.high], "bandpass", fs=windows.hertz)
        found[trial, 0, place, channel] = _entropy(signal.lfilter(b, a, windows.volts[trial, channel]))
    return found


def _entropy(y: NDArray[np.float64]) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * np.var(y, ddof=1))


def _signal() -> Any:
    try:
        from scipy import signal
    except ImportError as error:
        raise MissingExtra.of("scipy", "train") from error
    return signal
