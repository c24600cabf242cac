"""Band-pass filters: Butterworth's, run forwards through a signal, or there and back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np

from ninefold.errors import InvalidInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    from numpy.typing import NDArray

Phase = Literal["causal", "zero"]


class Band(NamedTuple):
    """A range of frequencies.

    Args:
        name: such as "alpha".
        low: its lower edge in hertz, > 0.
        high: its upper edge in hertz, > low.
    """

    name: str
    low: float
    high: float


BANDS: Final = (Band("theta", 4, 8), Band("alpha", 8, 14), Band("beta", 14, 31), Band("gamma", 31, 45))


def bandpass(
    x: NDArray[np.float64], hertz: float, bands: tuple[Band, ...] = BANDS, order: int = 3, phase: Phase = "causal"
) -> NDArray[np.float64]:
    """Filter signals with Butterworth band-passes.

        |H(f)|^2 = 1 / (1 + ((w^2 - l h) / (w (h - l)))^(2 order)),  w = tan(pi f / hertz)

    where l and h are w at the edges: half the power passes there. A causal filter starts from silence, looks only
    back, and delays. One of zero phase runs there and back over a signal that is reflected at its ends: it looks ahead,
    delays nothing, and |H(f)|^2 is its gain.

    Args:
        x: float64 (..., S).
        hertz: samples per second, > 0.
        bands: with edges below hertz / 2.
        order: >= 1; a band-pass has twice as many poles.
        phase: causal, or zero for there and back.

    Returns:
        float64 (bands, ..., S), in the unit of `x`.

    Raises:
        InvalidInput: when a band or the order cannot be, or a signal is too short to be reflected.
        UnknownName: when there is no such phase.
        MissingExtra: when SciPy is not installed.

    >>> tone = np.sin(2 * np.pi * 10 * np.arange(1024) / 128)  # mean square 0.5
    >>> np.square(bandpass(tone, 128)[:, 512:]).mean(axis=1).round(3)
    array([0.019, 0.5  , 0.012, 0.   ])
    """
    check_name("phase", phase, get_args(Phase))
    sections = designed(float(hertz), tuple(bands), order)
    if phase == "causal":
        return np.stack([_signal().sosfilt(each, x) for each in sections])
    reflected = 3 * (2 * order + 1)  # samples at either end
    if x.shape[-1] <= reflected:
        raise InvalidInput(
            f"a signal of {x.shape[-1]} samples came; phase='zero' reflects {reflected} samples at either end: take "
            "longer signals, or phase='causal'"
        )
    return np.stack([_signal().sosfiltfilt(each, x) for each in sections])


def check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse a setting's name.

    Raises:
        UnknownName: when it is not among those known.
    """
    if name not in known:
        raise UnknownName.among(kind, name, known)


@lru_cache(maxsize=8)
def designed(hertz: float, bands: tuple[Band, ...], order: int) -> NDArray[np.float64]:
    """Design the filters of `bandpass`.

    Returns:
        float64 (bands, order, 6): each filter as a product of sections b0, b1, b2, 1, a1, a2, as SciPy writes them.

    Raises:
        InvalidInput: when a band or the order cannot be.
        MissingExtra: when SciPy is not installed.
    """
    for band in bands:
        if not 0 < band.low < band.high < hertz / 2:
            raise InvalidInput(
                f"{band.name} from {band.low:g} to {band.high:g} Hz came for signals of {hertz:g} Hz; wanted "
                f"0 < low < high < {hertz / 2:g}"
            )
    if not bands or order < 1:
        raise InvalidInput(f"{len(bands)} bands and order {order} came; wanted at least one of both")
    edges = [(band.low, band.high) for band in bands]
    return np.stack([_signal().butter(order, each, "bandpass", fs=hertz, output="sos") for each in edges])


def _signal() -> Any:
    try:
        from scipy import signal
    except ImportError as error:
        raise MissingExtra.of("scipy", "train") from error
    return signal
