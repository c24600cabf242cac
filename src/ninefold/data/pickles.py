"""Read the pickles that data sets are published as, without running what they say.

A pickle is a program. The only names it may call here are those that NumPy arrays are written with, and even these are
answered by the small classes below: nothing of NumPy and nothing of the file's choosing is run.
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from ninefold.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BytesIO

_CODES = frozenset({"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"})


def load_pickle(content: BytesIO, name: str) -> Any:
    """Read a pickle of plain values and NumPy arrays of numbers.

    Args:
        content: the pickle.
        name: what to call the file in an error.

    Returns:
        The value; text written by Python 2 comes as bytes, arrays as `PickledArray`.

    Raises:
        CorruptFile: when the pickle is damaged, or names anything outside the list.
    """
    try:
        return _Reader(content, encoding="bytes").load()
    except CorruptFile as error:
        raise CorruptFile(f"{name} {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise CorruptFile(f"{name} is a damaged pickle ({error}); copy or download it again") from error


@final
class PickledArray:
    """An array as a pickle describes it; `value` is the array, None if the pickle never said."""

    def __init__(self, *_: Any) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _, shape, dtype, fortran, data = state
        flat = np.frombuffer(data, dtype.order + dtype.code)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _from_buffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, *axes: Any) -> PickledArray:
    array = PickledArray()  # protocol 5 says all of an array at once
    array.__setstate__((1, shape, dtype, order == "F", data))
    if order == "K" and axes and array.value is not None:
        array.value = array.value.transpose(axes[0])
    return array


@final
class _Dtype:
    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code
        self.order = "="
        if self.code not in _CODES:
            raise CorruptFile(f"holds an array of {self.code!r}; wanted numbers ({', '.join(sorted(_CODES))})")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise CorruptFile(f"holds an array of byte order {order!r}; wanted '<', '>', '|' or '='")
        self.order = order


@final
class _Latin1:
    """Bytes as Python 3 writes them into protocol 2: text and the name of its code."""

    def __new__(cls, text: str, _code: str) -> bytes:  # type: ignore[misc]
        return text.encode("latin-1")

    def __setstate__(self, _state: Any) -> None:
        raise CorruptFile("sets the state of bytes, which have none; replace the file")


@final
class _Reader(pickle._Unpickler):  # noqa: SLF001
    """The unpickler written in Python: the one in C lets four bytes of the file ask for any amount of memory."""

    _names: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        ("numpy", "ndarray"): PickledArray,
        ("numpy", "dtype"): _Dtype,
        ("numpy.core.multiarray", "_reconstruct"): PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): PickledArray,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy._core.numeric", "_frombuffer"): _from_buffer,
        ("_codecs", "encode"): _Latin1,
    }

    def load_bytearray8(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(length))  # what is there; the one inherited makes room for what the file promises

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,  # noqa: SLF001
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in self._names:
            raise CorruptFile(
                f"is a pickle that calls {module}.{name}; only arrays and plain values are read, so get the file from "
                "its publisher"
            )
        return self._names[module, name]
