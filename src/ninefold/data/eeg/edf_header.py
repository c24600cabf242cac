"""What the header of an EDF or BDF file says of its signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ninefold.errors import CorruptFile, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BYTES: Final = {".bdf": 3, ".edf": 2}  # of a sample
_NOTES: Final = ("EDF Annotations", "BDF Annotations")  # labels of signals that are text
_VOLTS: Final = (
    "V",
    "mV",
    "uV",
    "\u00b5V",
    "\u03bcV",
    "\x83\xcaV",
)  # micro as Latin, Greek and Japanese files write it


class Signal(NamedTuple):
    """One of a file's signals.

    Args:
        label: such as "Fz", or "EEG Fz" where the file tells kinds of signals apart.
        unit: of its values.
        samples: in a record, > 0.
    """

    label: str
    unit: str
    samples: int


def read_signals(path: Path) -> list[Signal]:
    """Read what a file says of its signals, those aside that hold annotations.

    Raises:
        CorruptFile: when the file is shorter than its header promises, or has gaps.
        ValueError: when the header is none.

    Source: B. Kemp and others, "A simple format for exchange of digitized polygraphic recordings",
    Electroencephalography and Clinical Neurophysiology 82, 1992; B. Kemp, J. Olivan, "European data format 'plus'
    (EDF+)", Clinical Neurophysiology 114, 2003.
    """
    with path.open("rb") as file:
        head = file.read(256)
        bytes_before, records, count = int(head[184:192]), int(head[236:244]), int(head[252:256])

        def column(width: int) -> list[str]:
            return [file.read(width).decode("latin-1").strip() for _ in range(count)]

        labels, _transducers, units, *_ranges, _filters = (column(width) for width in (16, 80, 8, 8, 8, 8, 8, 80))
        samples = [int(text) for text in column(8)]
    promised, size = bytes_before + records * sum(samples) * BYTES[path.suffix.lower()], path.stat().st_size
    if size < promised:
        raise CorruptFile(f"{path} has {size:,} bytes, and its header promises {promised:,}; copy it again")
    if head[192:197] in (b"EDF+D", b"BDF+D"):
        raise CorruptFile(f"{path} is a recording with gaps ({head[192:197].decode()}); write each part as a file")
    every = [Signal(*each) for each in zip(labels, units, samples, strict=True)]
    return [signal for signal in every if signal.label not in _NOTES]


def check_signals(path: Path, names: Sequence[str], signals: Sequence[Signal]) -> None:
    """Refuse signals that cannot stand side by side in volts.

    Args:
        path: of the file.
        names: of the signals, as many.
        signals: at least one.

    Raises:
        CorruptFile: when one is in another unit.
        InvalidInput: when two have different rates.
    """
    for name, signal in zip(names, signals, strict=True):
        if signal.unit not in _VOLTS:
            raise CorruptFile(f"{path}: channel {name} is in {signal.unit!r}; wanted V, mV or uV: mend the header")
        if signal.samples != signals[0].samples:
            raise InvalidInput(
                f"{path}: channel {names[0]} has {signals[0].samples} samples in a record and {name} "
                f"{signal.samples}; name channels of one rate"
            )
