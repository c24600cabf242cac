"""Features agree with a plain loop over their definition, and with closed forms."""

import math

import numpy as np
import pytest
from scipy import signal

from ninefold.data.eeg.features import LEAST_VARIANCE, Features, Measured, finished, measure
from ninefold.data.eeg.filters import BANDS, bandpass
from ninefold.data.eeg.recording import Subject
from ninefold.errors import InvalidInput, UnknownName


def person(hertz=128.0, rest=3.0, seconds=5.0, trials=2, channels=3, seed=0):
    shape = trials, channels, round(rest * hertz) + round(seconds * hertz)
    volts = 1e-5 * np.random.default_rng(seed).normal(size=shape)
    return Subject("s01", volts, hertz, tuple(map(str, range(channels))), rest, np.full((trials, 4), 5.0))


def by_definition(signals, hertz, features, window):
    """Loop over channels, bands and windows of one trial's part, already filtered: (W, B, C)."""
    length = round(window * hertz)
    step = max(1, length - round(features.overlap * length))
    starts = range(0, signals.shape[2] - length + 1, step)
    found = np.empty((len(starts), *signals.shape[:2]))
    for place in np.ndindex(found.shape):
        y = signals[place[1], place[2], starts[place[0]] : starts[place[0]] + length]
        mean = sum(y) / length
        variance = sum((v - mean) ** 2 for v in y) / (length - 1)
        entropy = 0.5 * math.log(2 * math.pi * math.e * variance)
        found[place] = entropy if features.kind == "de" else sum(v * v for v in y) / length
    return found


def filtered(x, hertz, features):
    low_level = [signal.butter(features.order, band[1:], "bandpass", fs=hertz) for band in features.bands]
    if features.phase == "zero":
        return bandpass(x, hertz, features.bands, features.order, "zero")
    return np.stack([signal.lfilter(b, a, x) for b, a in low_level])


@pytest.mark.parametrize(
    "features",
    [
        Features(),
        Features(joined=True),
        Features(window=0.5, overlap=0.5),
        Features(window=0.7, overlap=0.3, bands=BANDS[:2]),
        Features(window=4.0),  # longer than the rest
        Features(phase="zero", overlap=0.25),
        Features(kind="power", order=2),
    ],
    ids=str,
)
@pytest.mark.parametrize(("hertz", "rest"), [(128.0, 3.0), (117.3, 1.9)])
def test_features_are_those_of_a_plain_loop_over_the_definition(features, hertz, rest):
    subject = person(hertz, rest)
    found = measure(subject, features)
    start = round(rest * hertz)
    assert (found.ratings == subject.ratings).all()
    for x, windows, at_rest in zip(subject.volts, found.windows, found.rest, strict=True):
        if features.joined:
            parts = np.split(filtered(x, hertz, features), [start], axis=2)
        else:
            parts = [filtered(part, hertz, features) for part in np.split(x, [start], axis=1)]
        expected = by_definition(parts[1], hertz, features, features.window)
        np.testing.assert_allclose(windows, expected, rtol=1e-10, atol=0)
        expected = by_definition(parts[0], hertz, features, min(features.window, start / hertz))
        np.testing.assert_allclose(at_rest, expected.mean(axis=0), rtol=1e-10, atol=0)


def test_white_noise_has_the_entropy_of_the_filters_pulse_response():
    subject = person(seconds=60, rest=0, trials=1, channels=8)
    pulse = np.eye(1, 4096)[0]
    variance = 1e-10 * np.square(bandpass(pulse, 128)).sum(axis=1)
    found = measure(subject, Features(window=60)).windows[0, 0].mean(axis=1)
    np.testing.assert_allclose(found, 0.5 * np.log(2 * np.pi * np.e * variance), atol=0.03)


def test_entropy_rises_by_ln_2_where_volts_double():
    subject, louder = person(), person()
    louder.volts[:] *= 2
    difference = measure(louder).windows - measure(subject).windows
    np.testing.assert_allclose(difference, math.log(2), rtol=1e-12)


def test_silence_has_a_finite_entropy():
    subject = person()
    subject.volts[0, 1] = 0
    silent = measure(subject).windows[0, :, :, 1]
    assert (silent == 0.5 * math.log(2 * math.pi * math.e * LEAST_VARIANCE)).all()


def test_a_stimulus_that_is_filtered_with_the_rest_before_it_has_no_quiet_beginning():
    subject = person(trials=20, seconds=3)
    apart, joined = (measure(subject, Features(joined=j)).windows[:, :, 0].mean(axis=(0, 2)) for j in (False, True))
    assert apart[0] < joined[0] - 0.05
    assert apart[2] == pytest.approx(joined[2], abs=0.02)


def test_the_rest_is_subtracted_and_every_window_is_scaled_by_itself():
    measured = measure(person())
    assert (finished(measured, "keep", "none") == measured.windows).all()
    apart = finished(measured, "remove", "none")
    np.testing.assert_array_equal(apart[1, 3], measured.windows[1, 3] - measured.rest[1])
    scaled = finished(measured)
    np.testing.assert_allclose(scaled[1, 3], (apart[1, 3] - apart[1, 3].mean()) / apart[1, 3].std(), rtol=1e-12)


def test_one_number_per_window_is_scaled_to_zero():
    measured = Measured(np.full((1, 2, 1, 1), -10.0), np.zeros((1, 1, 1)), np.full((1, 4), 5.0))
    assert (finished(measured) == 0).all()


def test_without_a_rest_there_is_none_to_remove():
    measured = measure(person(rest=0))
    assert np.isnan(measured.rest).all()
    assert np.isfinite(finished(measured, "keep")).all()
    with pytest.raises(InvalidInput, match="baseline='keep'"):
        finished(measured)


def test_windows_that_cannot_be_are_refused():
    with pytest.raises(InvalidInput, match="overlap=1 "):
        Features(overlap=1)
    with pytest.raises(InvalidInput, match="window=0 "):
        Features(window=0)
    for window, samples in ((0.01, 1), (6, 768)):
        with pytest.raises(InvalidInput, match=f"has {samples} samples at 128 Hz; .* 640 at most"):
            measure(person(), Features(window=window))


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(UnknownName, match="no phase is called 'casual'; did you mean 'causal'"):
        Features(phase="casual")
    with pytest.raises(UnknownName, match="no kind is called 'entropy'"):
        Features(kind="entropy")
    with pytest.raises(UnknownName, match="no baseline is called 'removed'; did you mean 'remove'"):
        finished(measure(person()), "removed")
    with pytest.raises(UnknownName, match="no scale is called 'samples'"):
        finished(measure(person()), "keep", "samples")
