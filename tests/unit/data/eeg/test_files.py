import builtins

import numpy as np
import pytest

from ninefold.data.eeg.files import Event, events, read_parts, read_recording
from ninefold.data.eeg.recording import cut
from ninefold.errors import CorruptFile, InvalidInput, MissingData, MissingExtra, UnknownName

mne = pytest.importorskip("mne", reason="needs the extra eeg")
HERTZ, SECONDS = 256, 4
LOW, HIGH, DIGITAL = -262144, 262143, (-8388608, 8388607)  # microvolts, and 24-bit numbers that stand for them


def column(*entries, width):
    return b"".join(str(entry).ljust(width).encode() for entry in entries)


def write_bdf(path, names, numbers):
    """Write 24-bit integers (C, S) as BioSemi's amplifiers do, in records of one second."""
    count = len(names)
    low, high = ([edge] * (count - 1) + [code] for edge, code in zip((LOW, HIGH), DIGITAL, strict=True))
    header = b"\xffBIOSEMI" + column("", "", width=80) + column("01.01.20", "00.00.00", 256 * (count + 1), width=8)
    header += column("24BIT", width=44) + column(SECONDS, 1, width=8) + column(count, width=4)
    header += column(*names, width=16) + column(*[""] * count, width=80)
    header += column(*["uV"] * (count - 1), "Boolean", *low, *high, width=8)
    header += column(*[DIGITAL[0]] * count, *[DIGITAL[1]] * count, width=8) + column(*[""] * count, width=80)
    header += column(*[HERTZ] * count, width=8) + column(*[""] * count, width=32)
    records = numbers.reshape(count, SECONDS, HERTZ).swapaxes(0, 1)
    path.write_bytes(header + records.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes())
    return path


@pytest.fixture
def numbers():
    drawn = np.random.default_rng(0).integers(-4000, 4000, (4, SECONDS * HERTZ))
    drawn[3] = 0x19FF00  # the flags that BioSemi's amplifiers set above the trigger
    drawn[3, 300:310] += 4
    drawn[3, 512:530] += 5
    return drawn


@pytest.fixture
def bdf(tmp_path, numbers):
    return write_bdf(tmp_path / "s01.bdf", ["Fz", "Cz", "EXG1", "Status"], numbers)


def raw_array(annotated):
    values = 1e-5 * np.random.default_rng(0).normal(size=(3, 1280))
    values[2] = 0
    values[2, 300:302] = 5
    raw = mne.io.RawArray(
        values, mne.create_info(["Fz", "Cz", "STI 014"], 128.0, ["eeg", "eeg", "stim"]), 55, verbose="error"
    )
    raw.set_annotations(mne.Annotations([1.0, 2.5], [0, 0], ["first", "second"]))
    return raw.pick(["Fz", "Cz"]) if annotated else raw


@pytest.fixture
def fif(tmp_path):
    raw_array(annotated=False).save(tmp_path / "s01_raw.fif", verbose="error")
    return tmp_path / "s01_raw.fif"


def test_a_bdf_is_read_in_volts_without_what_is_no_electrode(bdf, numbers):
    recording = read_recording(bdf)
    assert (recording.channels, recording.hertz) == (("Fz", "Cz"), HERTZ)
    step = (HIGH - LOW) / (DIGITAL[1] - DIGITAL[0])
    np.testing.assert_allclose(recording.volts, 1e-6 * (LOW + step * (numbers[:2] - DIGITAL[0])), atol=1e-15)


def test_channels_are_read_by_name_in_the_order_wanted(bdf):
    recording = read_recording(bdf, ["EXG1", "Fz"])
    assert recording.channels == ("EXG1", "Fz")
    np.testing.assert_array_equal(recording.volts[1], read_recording(bdf).volts[0])


def test_triggers_are_read_under_the_amplifier_s_flags(bdf, tmp_path, numbers):
    assert events(bdf) == [Event(300 / HERTZ, "4"), Event(512 / HERTZ, "5")]
    other = write_bdf(tmp_path / "s29.bdf", ["Fz", "Cz", "EXG1", "Marks"], numbers)
    assert events(other) == []
    assert events(other, "Marks") == events(bdf)


def test_trials_can_be_cut_at_triggers(bdf):
    recording = read_recording(bdf)
    onsets = [event.seconds for event in events(bdf) if event.code == "4"]
    subject = cut(recording, onsets, np.full((1, 4), 5.0), name="s01", seconds=2, rest=1)
    np.testing.assert_array_equal(subject.volts[0], recording.volts[:, 300 - HERTZ : 300 + 2 * HERTZ])


def test_a_fif_is_read_in_volts_with_its_triggers(fif):
    recording = read_recording(fif)
    assert (recording.channels, recording.hertz) == (("Fz", "Cz"), 128)
    np.testing.assert_allclose(recording.volts, raw_array(annotated=False).get_data()[:2], rtol=1e-6, atol=1e-12)
    assert events(fif) == [Event(300 / 128, "5")]


def test_what_a_channel_of_triggers_is_from_the_beginning_is_none(tmp_path, numbers):
    numbers[3] += 6
    path = write_bdf(tmp_path / "s02.bdf", ["Fz", "Cz", "EXG1", "Status"], numbers)
    assert events(path)[0] == Event(300 / HERTZ, "10")


def test_a_fif_has_codes_of_sixteen_bits_in_the_channel_that_composes_the_others(tmp_path):
    values = np.zeros((3, 1280))
    values[0] = 1e-5 * np.random.default_rng(0).normal(size=1280)
    values[1, 100:110], values[2, 100:110], values[2, 500:510] = 5, 0x305, 0x300
    info = mne.create_info(["Fz", "STI 001", "STI101"], 128.0, ["eeg", "stim", "stim"])
    mne.io.RawArray(values, info, verbose="error").save(tmp_path / "s01_raw.fif", verbose="error")
    assert events(tmp_path / "s01_raw.fif") == [Event(100 / 128, "773"), Event(500 / 128, "768")]
    assert events(tmp_path / "s01_raw.fif", mask=0xFF) == [Event(100 / 128, "5")]


def test_the_parts_of_a_fif_are_found(fif):
    assert read_parts(fif) == [fif]


def test_annotations_are_read_where_there_is_no_channel_of_triggers(tmp_path):
    path = tmp_path / "s01_raw.fif"
    raw_array(annotated=True).save(path, verbose="error")
    assert events(path) == [Event(1.0, "first"), Event(2.5, "second")]


def test_channels_marked_as_bad_are_left_out_unless_named(tmp_path):
    raw = raw_array(annotated=False)
    raw.info["bads"] = ["Fz"]
    raw.save(tmp_path / "s01_raw.fif", verbose="error")
    assert read_recording(tmp_path / "s01_raw.fif").channels == ("Cz",)
    assert read_recording(tmp_path / "s01_raw.fif", ["Fz"]).channels == ("Fz",)


def test_a_truncated_file_is_one_sentence(bdf, fif):
    for path, sentence in (
        (bdf, r"has 12,568 bytes, and its header promises 13,568; copy it again"),
        (fif, "cannot be read as a recording"),
    ):
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(CorruptFile, match=sentence):
            read_recording(path)


@pytest.mark.parametrize("content", [b"", b"no recording at all", b"\xffBIOSEMI" + b" " * 400])
@pytest.mark.parametrize("kind", ["bdf", "edf", "fif"])
def test_other_content_is_one_sentence(content, kind, tmp_path):
    path = tmp_path / f"s01.{kind}"
    path.write_bytes(content)
    with pytest.raises(
        CorruptFile, match=rf"s01\.{kind} cannot be read as a recording \(.+\); copy it again"
    ) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)


def test_a_recording_without_electrodes_asks_for_names(tmp_path, numbers):
    path = write_bdf(tmp_path / "s01.bdf", ["EXG1", "GSR1", "Plet", "Status"], numbers)
    with pytest.raises(CorruptFile, match="holds no electrode, only EXG1, GSR1, Plet, Status; name its channels"):
        read_recording(path)


def test_wrong_names_are_refused(bdf, tmp_path):
    with pytest.raises(UnknownName, match="no channel is called 'Fzz'; did you mean 'Fz'"):
        read_recording(bdf, ["Fzz"])
    with pytest.raises(UnknownName, match="no channel is called 'Sttus'"):
        events(bdf, "Sttus")
    with pytest.raises(InvalidInput, match=r"ends in '\.txt'; wanted \.bdf, \.edf, \.fif"):
        read_recording(tmp_path / "s01.txt")
    with pytest.raises(MissingData, match="is not there"):
        read_recording(tmp_path / "s01.bdf.edf")


def test_without_mne_the_extra_is_named(bdf, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("mne"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtra, match=r"ninefold\[eeg\]"):
        read_recording(bdf)
