"""EDF files as amplifiers write them: kinds in labels, units, unequal rates, equal names, gaps."""

import numpy as np
import pytest

from ninefold.data.eeg.edf_header import Signal, read_signals
from ninefold.data.eeg.files import events, read_electrodes, read_recording
from ninefold.errors import CorruptFile, InvalidInput

mne = pytest.importorskip("mne", reason="needs the extra eeg")
SECONDS, RANGE = 3, 1000  # and what the numbers -32768 and 32767 stand for, in the unit


def write_edf(path, *signals, kind=""):
    """Write (label, unit, hertz) as EDF in records of one second; give the 16-bit numbers of each."""
    rng, count = np.random.default_rng(0), len(signals)
    numbers = [rng.integers(-4000, 4000, (SECONDS, hertz)) for _, _, hertz in signals]

    def column(width, *entries):
        return b"".join(str(entry).encode("latin-1").ljust(width) for entry in entries)

    labels, units, rates = zip(*signals, strict=True)
    header = column(8, "0") + column(80, "", "") + column(8, "01.01.20", "00.00.00", 256 * (count + 1))
    header += column(44, kind) + column(8, SECONDS, 1) + column(4, count) + column(16, *labels)
    header += column(80, *[""] * count) + column(8, *units, *[-RANGE] * count, *[RANGE] * count)
    header += column(8, *[-32768] * count, *[32767] * count) + column(80, *[""] * count)
    header += column(8, *rates) + column(32, *[""] * count)
    records = b"".join(one[second].astype("<i2").tobytes() for second in range(SECONDS) for one in numbers)
    path.write_bytes(header + records)
    return [-RANGE + 2 * RANGE * (one.ravel() + 32768) / 65535 for one in numbers]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s01.edf"


def test_units_are_brought_to_volts(path):
    values = write_edf(path, ("Fz", "uV", 128), ("Cz", "mV", 128), ("Pz", "V", 128), ("Oz", "\u00b5V", 128))
    expected = np.array(values) * [[1e-6], [1e-3], [1], [1e-6]]
    np.testing.assert_allclose(read_recording(path).volts, expected, rtol=1e-9)


@pytest.mark.parametrize("unit", ["nV", "", "Ohm"])
def test_a_unit_that_is_no_volt_is_refused_where_the_channel_is_wanted(unit, path):
    write_edf(path, ("Fz", "uV", 128), ("Cz", unit, 128))
    with pytest.raises(CorruptFile, match=rf"s01\.edf: channel Cz is in '{unit}'; wanted V, mV or uV"):
        read_recording(path)
    assert read_recording(path, ["Fz"]).channels == ("Fz",)


def test_where_labels_tell_kinds_only_electrodes_are_read_and_called_by_their_name(path):
    kinds = ("EEG Fz", "eeg Cz", "ECG left", "EOG 1", "Resp chest", "DIG Marks")
    write_edf(path, *((label, "uV", 64) for label in kinds))
    assert read_electrodes(path) == (("Fz", "Cz"), 64.0)


def test_where_they_do_not_eyes_hearts_muscles_and_marks_are_known_by_name(path):
    names = ("Fz", "LEOG", "ecg1", "EMG-2", "EKG", "DTRIG", "GSR1", "Temp", "T7")
    write_edf(path, *((name, "uV", 64) for name in names))
    assert read_recording(path).channels == ("Fz", "T7")


def test_names_that_occur_twice_are_numbered(path):
    first, _, second = write_edf(path, ("Fz", "uV", 64), ("Cz", "uV", 64), ("Fz", "uV", 64))
    recording = read_recording(path, ["Fz-1", "Fz-0"])
    np.testing.assert_allclose(recording.volts, 1e-6 * np.array([second, first]), rtol=1e-9)


def test_channels_keep_their_rate_beside_faster_ones(path):
    values = write_edf(path, ("Fz", "uV", 128), ("ECG", "uV", 256), ("Cz", "uV", 128))
    recording = read_recording(path)
    assert (recording.channels, recording.hertz) == (("Fz", "Cz"), 128)
    np.testing.assert_allclose(recording.volts, 1e-6 * np.array(values[::2]), rtol=1e-9)
    assert read_electrodes(path) == (recording.channels, recording.hertz)


def test_channels_of_two_rates_are_refused(path):
    write_edf(path, ("Fz", "uV", 128), ("Cz", "uV", 64))
    with pytest.raises(InvalidInput, match="Fz has 128 samples in a record and Cz 64; name channels of one rate"):
        read_recording(path)
    assert read_recording(path, ["Cz"]).hertz == 64


def test_a_recording_with_gaps_is_refused(path):
    write_edf(path, ("Fz", "uV", 64), kind="EDF+D")
    with pytest.raises(CorruptFile, match=r"s01\.edf is a recording with gaps \(EDF\+D\)"):
        events(path)


def test_signals_are_listed_without_annotations(path):
    write_edf(path, ("Fz", "uV", 64), ("EDF Annotations", "", 30))
    assert read_signals(path) == [Signal("Fz", "uV", 64)]
