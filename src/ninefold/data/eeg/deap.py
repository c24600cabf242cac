"""DEAP's preprocessed files: a pickle per person, 40 trials of 63 s at 128 Hz, as a user's own copy holds them.

S. Koelstra and others, DEAP: A Database for Emotion Analysis Using Physiological Signals, IEEE Transactions on
Affective Computing 3(1), 2012. The files are lent under a contract: nothing of them comes with this library.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from ninefold.data.eeg.recording import SCALES, Setup, Subject
from ninefold.data.pickles import PickledArray, load_pickle
from ninefold.errors import CorruptFile, InvalidInput, MissingData
from ninefold.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LEFT: Final = "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz"
_RIGHT: Final = "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
CHANNELS: Final = (*_LEFT.split(), *_RIGHT.split())
HERTZ: Final = 128.0
REST: Final = 3.0  # seconds
SETUP: Final = Setup(CHANNELS, HERTZ, REST)
RECORDED: Final = 40  # channels of a file: the electrodes, and eight of eyes, muscles and body
VOLTS: Final = 1e-6  # of the unit that the files are in
_LARGEST: Final = 1 << 29  # bytes; a published file has 103 million, its values as escaped text up to four times that
_FILE: Final = re.compile(r"s(\d{2,3})\.dat", re.IGNORECASE)


def deap_files(folder: Path) -> dict[int, Path]:
    """Find the files s01.dat, s02.dat, ... of a folder, by the person's number.

    Raises:
        MissingData: when there is none.
    """
    matches = {path: _FILE.fullmatch(path.name) for path in sorted(folder.glob("*.*"))}
    found = {int(match[1]): path for path, match in matches.items() if match}
    if not found:
        raise MissingData(
            f"{folder} holds no s01.dat, s02.dat, ...; name the folder data_preprocessed_python of your copy of DEAP"
        )
    return dict(sorted(found.items()))


def read_deap(path: Path) -> Subject:
    """Read one person of DEAP's preprocessed Python files, without running what the pickle says.

    Args:
        path: of a pickled dict of `data` (T, C, S), C >= 32, in microvolts, the electrodes first, and `labels` (T, 4).

    Returns:
        The 32 electrodes, in volts, called as the file without its ending.

    Raises:
        MissingData: when there is no such file.
        CorruptFile: when its content is anything else, a sample is no finite number, a channel is flat, or a rating is
            outside 1 to 9: naming file, trial and channel.
    """
    data, ratings = _arrays(path)
    if data.ndim != 3 or data.shape[1] < len(CHANNELS) or ratings.shape != (len(data), len(SCALES)):
        raise CorruptFile(
            f"{path} has data of shape {data.shape} and labels of shape {ratings.shape}; wanted (trials, {RECORDED}, "
            f"samples) and (trials, {len(SCALES)}): copy it again"
        )
    volts = np.multiply(data[:, : len(CHANNELS)], VOLTS, dtype=np.float64, order="C")
    subject = Subject(path.stem, volts, HERTZ, CHANNELS, REST, ratings.astype(np.float64))
    try:
        subject.check()
    except CorruptFile as error:
        raise CorruptFile(f"{path}: {error}") from error
    return subject


def _arrays(path: Path) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    content = load_pickle(BytesIO(_bytes(path)), str(path))
    if not isinstance(content, dict):
        raise CorruptFile(f"{path} holds a {type(content).__name__}; wanted a dict of 'data' and 'labels'")
    fields = {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in content.items()}
    if set(fields) != {"data", "labels"}:
        raise CorruptFile(f"{path} is a dict of {', '.join(sorted(fields)) or 'nothing'}; wanted data and labels only")
    return _numbers(path, "data", fields["data"]), _numbers(path, "labels", fields["labels"])


def _numbers(path: Path, name: str, field: object) -> NDArray[np.floating]:
    array = field.value if isinstance(field, PickledArray) else None
    if array is None or array.dtype.kind != "f" or array.dtype.itemsize < 4:
        came = type(field).__name__ if array is None else array.dtype
        raise CorruptFile(f"{path}: {name} is of type {came}; wanted an array of float64 or float32: copy it again")
    return array


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise MissingData(f"{path} is not there; wanted one of DEAP's s01.dat, s02.dat, ...")
    size = path.stat().st_size
    if size > _LARGEST:
        raise CorruptFile(f"{path} has {size:,} bytes, over the limit of {_LARGEST:,}; a file of DEAP has 103 million")
    return path.read_bytes()


def write_deap(path: Path, volts: NDArray[np.float64], ratings: NDArray[np.float64]) -> None:
    """Write a file in the form of DEAP's preprocessed Python files: a pickle as Python 2 wrote it.

    Python 3 reads it by `pickle.load(file, encoding="latin1")`, and not without the encoding.

    Args:
        path: of the file; its folder must exist.
        volts: float64 (T, 40, S), the electrodes in the order of `CHANNELS` first; the file holds microvolts.
        ratings: float64 (T, 4), from 1 to 9, in the order of `SCALES`.

    Raises:
        InvalidInput: when the shapes are others.
    """
    if volts.ndim != 3 or volts.shape[1] != RECORDED or ratings.shape != (len(volts), len(SCALES)):
        raise InvalidInput(
            f"volts have shape {volts.shape} and ratings {ratings.shape}; wanted (trials, {RECORDED}, samples) and "
            f"(trials, {len(SCALES)})"
        )
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"\x80\x02}(")  # protocol 2, an empty dict, a mark
        for name, values in ((b"labels", ratings), (b"data", volts / VOLTS)):
            file.write(_text(name))
            _write_array(file, values)
        file.write(b"u.")  # everything since the mark goes into the dict; the end


def _write_array(file: BinaryIO, values: NDArray[np.float64]) -> None:
    reconstruct, array, dtype = (
        b"c" + name for name in (b"numpy.core.multiarray\n_reconstruct\n", b"numpy\nndarray\n", b"numpy\ndtype\n")
    )
    file.write(reconstruct + array + b"K\x00\x85" + _text(b"b") + b"\x87R")  # an array of nothing, to be filled
    file.write(b"(K\x01(" + b"".join(map(_integer, values.shape)) + b"t")  # version 1, shape
    file.write(dtype + _text(b"f8") + b"K\x00K\x01\x87R")
    file.write(b"(K\x03" + _text(b"<") + b"NNN" + 2 * _integer(-1) + b"K\x00tb")  # little end first, no fields
    file.write(b"\x89T" + values.nbytes.to_bytes(4, "little"))  # C order; a long string of the values follows
    file.write(values.astype("<f8", order="C", copy=False).data.cast("B"))
    file.write(b"tb")


def _integer(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def _text(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text
