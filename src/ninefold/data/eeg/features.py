"""What classifiers see of a person's trials: differential entropy, or power, per window, band and channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, final, get_args

import numpy as np

from ninefold.data.eeg.filters import BANDS, Band, Phase, bandpass, check_name, designed
from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.cascade import Cascade
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ninefold.data.eeg.recording import Subject

Kind = Literal["de", "power"]
Baseline = Literal["remove", "keep"]
Scale = Literal["sample", "none"]
LEAST_VARIANCE: Final = 1e-30  # square volts: what silence counts as; no amplifier resolves a femtovolt


@final
@dataclass(frozen=True, slots=True)
class Features:
    """How trials are measured; the defaults are those of the published pipeline.

    Args:
        bands: to filter.
        order: of the Butterworth filters.
        phase: of the filters.
        window: seconds, > 0.
        overlap: of a window with the next one, in parts of a window, 0 <= overlap < 1.
        kind: differential entropy, or power.
        joined: whether rest and stimulus are filtered in one pass; else each from silence, and the first window of
            the stimulus holds the filter's beginning.

    Raises:
        InvalidInput: when the window or the overlap cannot be.
        UnknownName: when there is no such phase or kind.
    """

    bands: tuple[Band, ...] = BANDS
    order: int = 3
    phase: Phase = "causal"
    window: float = 1.0
    overlap: float = 0.0
    kind: Kind = "de"
    joined: bool = False

    def __post_init__(self) -> None:
        """Check what needs no recording."""
        check_name("phase", self.phase, get_args(Phase))
        check_name("kind", self.kind, get_args(Kind))
        if not (self.window > 0 and 0 <= self.overlap < 1):
            raise InvalidInput(
                f"window={self.window:g} and overlap={self.overlap:g} came; wanted seconds above 0, and a share from 0 "
                "to below 1"
            )


PUBLISHED: Final = Features()


class Measured(NamedTuple):
    """The features of one person, in nats or square volts.

    Args:
        windows: float64 (T, W, B, C), of the stimulus.
        rest: float64 (T, B, C), the mean over the windows at rest; nan where there is no rest.
        ratings: float64 (T, 4), as of `Subject`.
    """

    windows: NDArray[np.float64]
    rest: NDArray[np.float64]
    ratings: NDArray[np.float64]


def measure(subject: Subject, features: Features = PUBLISHED) -> Measured:
    """Measure every window of every trial.

    The differential entropy of a Gaussian signal y of variance v is

        h = -integral of p(y) ln p(y) dy = 1/2 ln(2 pi e v)

    in nats, where y is in volts and v = sum of (y - mean)^2 / (n - 1) over the n samples of a window; a v below
    1e-30 V^2 counts as that. Power is the mean of y^2. Rest is cut into windows as the stimulus is; where it is shorter
    than one, all of it is the window. Samples behind the last whole window are in none.

    Args:
        subject: whose trials.
        features: what to measure.

    Raises:
        InvalidInput: when a window has less than two samples or is longer than a stimulus, or a band does not fit the
            sampling rate.
        MissingExtra: when SciPy is not installed.

    Source: R.-N. Duan, J.-Y. Zhu, B.-L. Lu, "Differential entropy feature for EEG-based emotion classification", NER
    2013; the filters and windows are those of Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous convolutional neural network
    with 3D input for EEG-based emotion recognition", ICONIP 2018.
    """
    rest, cut = round(subject.rest * subject.hertz), _cut(subject, features)
    trials = [_trial(x, rest, cut, subject.hertz, features) for x in subject.volts]
    windows, rests = (np.stack(found) for found in zip(*trials, strict=True))
    return Measured(windows, rests, subject.ratings)


def finished(
    measured: Measured, baseline: Baseline = "remove", scale: Scale = "sample"
) -> NDArray[np.float64]:  # (T, W, B, C)
    """Make of features what classifiers are given.

    Args:
        measured: of one person.
        baseline: whether to subtract a trial's features at rest from those of all its windows.
        scale: whether every window's (B, C) numbers are shifted and scaled to mean 0 and standard deviation 1, over
            all bands and channels together. It takes nothing from other windows.

    Raises:
        InvalidInput: when a rest is to be subtracted, and there is none.
        UnknownName: when there is no such baseline or scale.
    """
    check_name("baseline", baseline, get_args(Baseline))
    check_name("scale", scale, get_args(Scale))
    values = measured.windows
    if baseline == "remove":
        if np.isnan(measured.rest).any():
            raise InvalidInput("baseline='remove' came for trials without a rest; take baseline='keep'")
        values = values - measured.rest[:, None]
    if scale == "sample":
        values = values - values.mean(axis=(2, 3), keepdims=True)
        spread = values.std(axis=(2, 3), keepdims=True)
        values = values / np.where(spread > 0, spread, 1.0)
    return values


class _Cut(NamedTuple):
    """Windows in samples.

    Args:
        length: of a window.
        step: from one to the next.
    """

    length: int
    step: int


def _cut(subject: Subject, features: Features) -> _Cut:
    length = round(features.window * subject.hertz)
    stimulus = subject.volts.shape[2] - round(subject.rest * subject.hertz)
    if not 2 <= length <= stimulus:
        raise InvalidInput(
            f"window={features.window:g} s has {length} samples at {subject.hertz:g} Hz; wanted 2 at least and "
            f"{stimulus} at most, the stimulus of {subject.name}"
        )
    return _Cut(length, max(1, length - round(features.overlap * length)))


def _trial(
    x: NDArray[np.float64], rest: int, cut: _Cut, hertz: float, features: Features
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure a trial (C, S): its windows (W, B, C), and the mean of those at rest (B, C)."""
    piece = math.gcd(*cut, rest)  # windows begin and end where pieces do
    if features.joined:
        before, during = np.split(_sums(x, piece, hertz, features), [rest // piece], axis=3)
    else:
        before, during = (_sums(part, piece, hertz, features) for part in np.split(x, [rest], axis=1))
    windows = _features(during, piece, cut, features.kind)
    if rest < 2:
        return windows, np.full_like(windows[0], np.nan)
    shorter = cut._replace(length=min(cut.length, rest))
    return windows, _features(before, piece, shorter, features.kind).mean(axis=0)


def _sums(x: NDArray[np.float64], piece: int, hertz: float, features: Features) -> NDArray[np.float64]:
    """Filter (C, S), and sum up the pieces and their squares: (2, B, C, S // piece)."""
    asked = float(hertz), features.bands, features.order
    pieces = x.shape[1] // piece
    if not pieces:
        return np.zeros((2, len(features.bands), len(x), 0))
    if features.phase == "causal":
        return _cascade(*asked).sums(x, piece)
    y = bandpass(x, *asked, "zero")[..., : pieces * piece].reshape(-1, len(x), pieces, piece)
    return np.stack([y.sum(axis=3), np.einsum("bcpn,bcpn->bcp", y, y)])


def _features(sums: NDArray[np.float64], piece: int, cut: _Cut, kind: Kind) -> NDArray[np.float64]:
    """Give the features of all windows, (W, B, C), from the sums of pieces, (2, B, C, P)."""
    every = np.lib.stride_tricks.sliding_window_view(sums, cut.length // piece, axis=3)[..., :: cut.step // piece, :]
    total, squares = np.moveaxis(every.sum(axis=4), 3, 1)  # (W, B, C)
    if kind == "power":
        return squares / cut.length
    variance = (squares - total**2 / cut.length) / (cut.length - 1)
    return 0.5 * np.log(2 * math.pi * math.e * np.maximum(variance, LEAST_VARIANCE))


@lru_cache(maxsize=8)
def _cascade(hertz: float, bands: tuple[Band, ...], order: int) -> Cascade:
    return Cascade(designed(hertz, bands, order), host())
