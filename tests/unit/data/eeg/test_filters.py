"""The filter bank passes and stops tones as Butterworth's formula says."""

import numpy as np
import pytest

from ninefold.data.eeg.filters import BANDS, Band, bandpass
from ninefold.errors import InvalidInput, UnknownName

HERTZ = 128


def gain(hertz, band, order=3):
    """Give |H|^2 by the formula, of the analogue filter that the bilinear transform makes digital."""
    warped, low, high = np.tan(np.pi * np.array([hertz, band.low, band.high]) / HERTZ)
    return 1 / (1 + ((warped**2 - low * high) / (warped * (high - low))) ** (2 * order))


@pytest.mark.parametrize("tone", [2, 4, 6, 8, 11, 14, 20, 31, 38, 45, 60])
@pytest.mark.parametrize(("phase", "power"), [("causal", 1), ("zero", 2)])
def test_tones_pass_as_the_formula_says(tone, phase, power):
    wave = np.sin(2 * np.pi * tone * np.arange(24 * HERTZ) / HERTZ)
    settled = bandpass(wave, HERTZ, phase=phase)[:, 8 * HERTZ : 16 * HERTZ]  # whole periods
    expected = [gain(tone, band) ** power for band in BANDS]
    np.testing.assert_allclose(2 * np.square(settled).mean(axis=1), expected, rtol=1e-8, atol=1e-14)


def test_half_the_power_passes_at_the_edges_whatever_the_order():
    for order in (1, 2, 5):
        assert gain(4, BANDS[0], order) == pytest.approx(0.5)
        wave = np.sin(2 * np.pi * 4 * np.arange(24 * HERTZ) / HERTZ)
        theta = bandpass(wave, HERTZ, BANDS[:1], order)[0, 8 * HERTZ : 16 * HERTZ]
        assert 2 * np.square(theta).mean() == pytest.approx(0.5, rel=1e-6)


def test_a_causal_filter_looks_only_back_and_zero_phase_delays_nothing():
    pulse = np.zeros(2048)
    pulse[1024] = 1
    for band in bandpass(pulse, HERTZ):
        assert not band[:1024].any()
    for band in bandpass(pulse, HERTZ, phase="zero"):
        assert band.argmax() == 1024
        np.testing.assert_allclose(band[924:1024], band[1124:1024:-1], atol=1e-9)


def test_signals_of_any_shape_are_filtered_one_by_one():
    x = np.random.default_rng(0).normal(size=(2, 3, 200))
    for phase in ("causal", "zero"):
        found = bandpass(x, 100.5, BANDS[:2], phase=phase)
        assert found.shape == (2, 2, 3, 200)
        np.testing.assert_array_equal(found[:, 1, 2], bandpass(x[1, 2], 100.5, BANDS[:2], phase=phase))


def test_what_cannot_be_is_refused():
    x = np.zeros((1, 30))
    with pytest.raises(InvalidInput, match=r"gamma from 31 to 45 Hz came for signals of 90 Hz; .* < 45$"):
        bandpass(x, 90)
    with pytest.raises(InvalidInput, match="wide from 9 to 3 Hz"):
        bandpass(x, 128, (Band("wide", 9, 3),))
    with pytest.raises(InvalidInput, match="0 bands and order 3"):
        bandpass(x, 128, ())
    with pytest.raises(InvalidInput, match="order 0"):
        bandpass(x, 128, order=0)
    with pytest.raises(UnknownName, match="no phase is called 'zerro'"):
        bandpass(x, 128, phase="zerro")
    with pytest.raises(InvalidInput, match=r"30 samples came; .* 33 samples at either end"):
        bandpass(x, 128, order=5, phase="zero")
