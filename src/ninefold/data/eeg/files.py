"""Recordings in the files that amplifiers write: BDF, EDF and FIF, read by MNE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ninefold.data.eeg.recording import Recording
from ninefold.errors import CorruptFile, InvalidInput, MissingData, MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BYTES: Final = {".bdf": 3, ".edf": 2}  # of a sample
_KINDS: Final = (*_BYTES, ".fif")
_BIOSEMI: Final = ("EXG", "GSR", "Erg", "Resp", "Plet", "Temp", "Ana")  # its names of what is no electrode of the cap


class Event(NamedTuple):
    """Something that was marked while the amplifier recorded.

    Args:
        seconds: from the recording's beginning.
        code: a trigger's number in digits, such as "4", or an annotation's text.
    """

    seconds: float
    code: str


def read_recording(path: Path, channels: Sequence[str] | None = None) -> Recording:
    """Read a recording, in volts.

    Args:
        path: of a .bdf, .edf or .fif file.
        channels: which, in the order wanted; None: every electrode that the file does not mark as bad. BDF and EDF do
            not tell electrodes from the rest, so that there BioSemi's names EXG, GSR, Erg, Resp, Plet, Temp and Ana
            are left out.

    Raises:
        MissingExtra: without MNE.
        MissingData: when there is no such file.
        InvalidInput: when it ends otherwise.
        UnknownName: when it holds no channel of that name.
        CorruptFile: when it cannot be read to its end, or holds no electrode.
    """
    raw = _opened(path)
    chosen = tuple(_electrodes(raw) if channels is None else (_known(name, raw) for name in channels))
    if not chosen:
        raise CorruptFile(f"{path} holds no electrode, only {', '.join(raw.ch_names) or 'nothing'}; name its channels")
    return Recording(_values(path, raw, chosen), float(raw.info["sfreq"]), chosen)


def events(path: Path, channel: str | None = None, mask: int = 0xFF) -> list[Event]:
    """Read what was marked: the triggers of a file that has a channel for them, else its annotations.

    A trigger is where the masked value of the channel changes to something other than 0.

    Args:
        path: of a .bdf, .edf or .fif file.
        channel: of the triggers; None: the one that MNE takes for it, such as "Status".
        mask: the bits that hold the code; the amplifier's own flags are above them.

    Raises:
        As `read_recording`.
    """
    raw = _opened(path, channel)
    if channel is not None:
        _known(channel, raw)
    triggers = [channel] if channel is not None else raw.copy().pick("stim").ch_names if "stim" in raw else []
    if not triggers:
        onsets, texts = raw.annotations.onset - raw.first_time, raw.annotations.description
        return [Event(float(onset), str(text)) for onset, text in zip(onsets, texts, strict=True)]
    codes = _values(path, raw, triggers[:1])[0].astype(np.int64) & mask
    starts = np.flatnonzero((np.diff(codes, prepend=0) != 0) & (codes != 0))
    return [Event(float(start / raw.info["sfreq"]), str(codes[start])) for start in starts]


def _opened(path: Path, trigger: str | None = None) -> Any:
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InvalidInput(f"{path} ends in {path.suffix!r}; wanted {', '.join(_KINDS)}")
    if not path.is_file():
        raise MissingData(f"{path} is not there; wanted a recording")
    try:
        from mne.io import read_raw_bdf, read_raw_edf, read_raw_fif
    except ImportError as error:
        raise MissingExtra.of("mne", "eeg") from error
    try:
        if kind == ".fif":
            return read_raw_fif(path, allow_maxshield=True, verbose="error")
        _check_length(path, _BYTES[kind])
        read = read_raw_bdf if kind == ".bdf" else read_raw_edf
        return read(path, stim_channel="auto" if trigger is None else [trigger], verbose="error")
    except CorruptFile:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise _damaged(path, error) from error


def _check_length(path: Path, width: int) -> None:
    with path.open("rb") as file:
        head = file.read(256)
        header, records, signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
        file.seek(256 + 216 * signals)  # behind names, units and ranges
        samples = sum(int(file.read(8)) for _ in range(signals))
    promised, size = header + records * samples * width, path.stat().st_size
    if size < promised:
        raise CorruptFile(f"{path} has {size:,} bytes, and its header promises {promised:,}; copy it again")


def _values(path: Path, raw: Any, channels: Sequence[str]) -> Any:  # (C, S)
    try:
        return raw.get_data(picks=list(channels), verbose="error")
    except Exception as error:
        raise _damaged(path, error) from error


def _electrodes(raw: Any) -> list[str]:
    typed = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    electrodes = [name for name, kind in typed if kind == "eeg" and name not in raw.info["bads"]]
    return [name for name in electrodes if not name.startswith(_BIOSEMI)]


def _known(name: str, raw: Any) -> str:
    if name not in raw.ch_names:
        raise UnknownName.among("channel", name, raw.ch_names)
    return name


def _damaged(path: Path, error: Exception) -> CorruptFile:
    reason = " ".join(str(error).split()) or type(error).__name__
    return CorruptFile(f"{path} cannot be read as a recording ({reason}); copy it again")
