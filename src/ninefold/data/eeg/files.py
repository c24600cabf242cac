"""Recordings in the files that amplifiers write: BDF, EDF and FIF, read by MNE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ninefold.data.eeg.edf_header import BYTES, Signal, check_signals, read_signals
from ninefold.data.eeg.recording import Recording
from ninefold.errors import CorruptFile, InvalidInput, MissingData, MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KINDS: Final = (*BYTES, ".fif")
"""Endings of the files that are read."""

# What files without kinds of signals call what is no electrode: BioSemi's sockets beside the cap; eyes, heart, muscles.
_OTHERS: Final = re.compile(r"(EXG|GSR|Erg|Resp|Plet|Temp|Ana)|.*(EOG|ECG|EKG|EMG|TRIG)", re.IGNORECASE)
_KIND: Final = "EEG "  # how EDF+ begins the label of an electrode
_COMPOSED: Final = ("STI101", "STI 014")  # channels of Neuromag's files that compose the single bits of the others
_EDF_BITS, _FIF_BITS = 0xFF, 0xFFFF  # BioSemi's amplifiers set flags above the low bits of an EDF or BDF file


class Event(NamedTuple):
    """Something that was marked while the amplifier recorded.

    Args:
        seconds: from the recording's beginning.
        code: a trigger's number in digits, such as "4", or an annotation's text.
    """

    seconds: float
    code: str


def read_recording(path: Path, channels: Sequence[str] = ()) -> Recording:
    """Read a recording, in volts, at the rate that its channels have in the file.

    Args:
        path: of a .bdf, .edf or .fif file.
        channels: which, in the order wanted; (): every electrode that the file does not mark as bad. BDF and EDF tell
            electrodes from the rest only where labels begin with a kind, such as "EEG Fz": those are then called "Fz",
            and all others are left out. Else channels are left out that begin as BioSemi's EXG, GSR, Erg, Resp, Plet,
            Temp or Ana, or have EOG, ECG, EKG, EMG or TRIG in their name. Of names that occur twice, the first ends
            in -0, the second in -1.

    Raises:
        MissingExtra: without MNE.
        MissingData: when there is no such file.
        InvalidInput: when it ends otherwise, or the channels have different rates.
        UnknownName: when it holds no channel of that name.
        CorruptFile: when it cannot be read to its end, holds no electrode, has gaps, or a channel is not in volts.
    """
    raw, chosen = _chosen(path, channels)
    return Recording(_values(path, raw, chosen), float(raw.info["sfreq"]), chosen)


def read_electrodes(path: Path, channels: Sequence[str] = ()) -> tuple[tuple[str, ...], float]:
    """Read which channels `read_recording` would give, and how many samples per second; raises as it does."""
    raw, chosen = _chosen(path, channels)
    return chosen, float(raw.info["sfreq"])


def read_parts(path: Path) -> list[Path]:
    """Find the files of a recording: FIF goes on in another one where a file would be too large."""
    return [type(path)(part) for part in _opened(path).filenames]


def events(path: Path, channel: str | None = None, mask: int | None = None) -> list[Event]:
    """Read what was marked: the triggers of a file that has a channel for them, else its annotations.

    A trigger is where the masked value of the channel changes to something other than 0; what it is when the recording
    begins is none.

    Args:
        path: of a .bdf, .edf or .fif file.
        channel: of the triggers; None: STI101 or STI 014 where the file has one of them, else the first that MNE takes
            for such a channel, as it does "Status".
        mask: the bits that hold the code; None: 8 of EDF and BDF, where the amplifier's own flags are above them, 16 of
            FIF.

    Raises:
        As `read_recording`.
    """
    raw = _opened(path, channel)
    if channel is not None:
        _known(channel, raw)
    marked = [channel] if channel is not None else raw.copy().pick("stim").ch_names if "stim" in raw else []
    triggers = [*(name for name in _COMPOSED if name in marked), *marked]
    if not triggers:
        onsets, texts = raw.annotations.onset - raw.first_time, raw.annotations.description
        return [Event(float(onset), str(text)) for onset, text in zip(onsets, texts, strict=True)]
    bits = mask if mask is not None else _FIF_BITS if path.suffix.lower() == ".fif" else _EDF_BITS
    codes = _values(path, raw, triggers[:1])[0].astype(np.int64) & bits
    starts = np.flatnonzero((np.diff(codes, prepend=codes[:1]) != 0) & (codes != 0))
    return [Event(float(start / raw.info["sfreq"]), str(codes[start])) for start in starts]


def _chosen(path: Path, channels: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Open a recording with the rate of the channels that are wanted, and name them."""
    raw = _opened(path)
    signals = {} if path.suffix.lower() == ".fif" else dict(zip(raw.ch_names, read_signals(path), strict=True))
    chosen = tuple(_known(name, raw) for name in channels) or _electrodes(raw, signals)
    if not chosen:
        raise CorruptFile(f"{path} holds no electrode, only {', '.join(raw.ch_names) or 'nothing'}; name its channels")
    if signals:
        check_signals(path, chosen, [signals[name] for name in chosen])
        if len({signal.samples for signal in signals.values()}) > 1:  # MNE brings all to the highest rate
            raw = _opened(path, only=chosen)
    return raw, chosen


def _opened(path: Path, trigger: str | None = None, only: Sequence[str] | None = None) -> Any:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InvalidInput(f"{path} ends in {path.suffix!r}; wanted {', '.join(KINDS)}")
    if not path.is_file():
        raise MissingData(f"{path} is not there; wanted a recording")
    try:
        from mne.io import read_raw_bdf, read_raw_edf, read_raw_fif
    except ImportError as error:
        raise MissingExtra.of("mne", "eeg") from error
    try:
        if kind == ".fif":
            return read_raw_fif(path, allow_maxshield=True, verbose="error")
        read_signals(path)
        return (read_raw_bdf if kind == ".bdf" else read_raw_edf)(
            path,
            stim_channel="auto" if trigger is None else [trigger],
            include=None if only is None else list(only),
            infer_types=True,
            exclude_after_unique=True,
            verbose="error",
        )
    except CorruptFile:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise _damaged(path, error) from error


def _values(path: Path, raw: Any, channels: Sequence[str]) -> Any:  # (C, S)
    try:
        return raw.get_data(picks=list(channels), verbose="error")
    except Exception as error:  # likewise
        raise _damaged(path, error) from error


def _electrodes(raw: Any, signals: dict[str, Signal]) -> tuple[str, ...]:
    typed = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    electrodes = [name for name, kind in typed if kind == "eeg" and name not in raw.info["bads"]]
    told = [name for name in electrodes if name in signals and signals[name].label.upper().startswith(_KIND)]
    return tuple(told or (name for name in electrodes if not _OTHERS.match(name)))


def _known(name: str, raw: Any) -> str:
    if name not in raw.ch_names:
        raise UnknownName.among("channel", name, raw.ch_names)
    return name


def _damaged(path: Path, error: Exception) -> CorruptFile:
    reason = " ".join(str(error).split()) or type(error).__name__
    return CorruptFile(f"{path} cannot be read as a recording ({reason}); copy it again")
