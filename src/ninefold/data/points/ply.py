"""PLY files: the properties of points by name, as text or binary.

    ply
    format ascii 1.0                       or binary_little_endian 1.0, or binary_big_endian 1.0
    comment anything
    element vertex 2                       how many points
    property float x                       a column; as text, a number per column and point
    property float y
    property float z
    end_header

Other elements, such as faces, may follow the points and are left unread.

Source: G. Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ninefold.errors import CorruptFile, InvalidInput, MissingData
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TYPES: Final = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "<i2"),
    **dict.fromkeys(("ushort", "uint16"), "<u2"),
    **dict.fromkeys(("int", "int32"), "<i4"),
    **dict.fromkeys(("uint", "uint32"), "<u4"),
    **dict.fromkeys(("float", "float32"), "<f4"),
    **dict.fromkeys(("double", "float64"), "<f8"),
}
_NAMES: Final = {"u1": "uchar", "<i4": "int", "<f4": "float", "<f8": "double"}
_ORDERS: Final = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER: Final = 1 << 16


def read_ply(path: Path) -> dict[str, np.ndarray]:
    """Read the points of a file.

    Args:
        path: of a `.ply`.

    Returns:
        For every property its values, (P,) in the file's own type.

    Raises:
        MissingData: when the file is not there.
        CorruptFile: when it is no PLY, of another format, has no points, or ends too early.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingData(f"{path} is not there; check the path") from error
    except OSError as error:
        raise CorruptFile(f"{path} cannot be read ({error.strerror}); copy it again") from error
    lines, body = _header(path, content)
    form, count, columns = _described(path, lines)
    if form == "ascii":
        table = _from_text(path, body, count, columns)
    else:
        table = _from_bytes(path, body, count, columns.newbyteorder(_ORDERS[form])).astype(columns)
    return {name: table[name].copy() for name in columns.names or ()}


def write_ply(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write points as little-endian binary.

    Args:
        path: of the `.ply`.
        columns: per property its values, (P,), all of one length: float32, float64, int32 or uint8.

    Raises:
        InvalidInput: when lengths differ, or a type cannot be kept.
        StorageFull: when the disk has no room; an older file is as it was.
    """
    kept = {name: _kept(name, values) for name, values in columns.items()}
    if len({len(values) for values in kept.values()}) != 1:
        raise InvalidInput(
            f"columns of { ({n: len(v) for n, v in kept.items()}) } values came; give all the same number"
        )
    table = np.empty(len(next(iter(kept.values()))), [(name, values.dtype) for name, values in kept.items()])
    for name, values in kept.items():
        table[name] = values
    properties = [f"property {_NAMES[_code(values)]} {name}" for name, values in kept.items()]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}", *properties, "end_header", ""]
    write_bytes(path, "\n".join(lines).encode("ascii") + table.tobytes())


def _kept(name: str, values: np.ndarray) -> np.ndarray:
    if _code(values) not in _NAMES:
        raise InvalidInput(f"column {name!r} is {values.dtype}; PLY files take float32, float64, int32 and uint8")
    return values.astype(_code(values))


def _code(values: np.ndarray) -> str:
    size = values.dtype.itemsize
    return f"{'<' if size > 1 else ''}{values.dtype.kind}{size}"


def _header(path: Path, content: bytes) -> tuple[list[str], bytes]:
    if content[:4] not in (b"ply\n", b"ply\r"):
        raise CorruptFile(f"{path} starts with {content[:4]!r}; a PLY file starts with a line 'ply'")
    end = content.find(b"\nend_header", 0, _LONGEST_HEADER)
    start = content.find(b"\n", end + 1) + 1
    if end < 0 or start == 0:
        raise CorruptFile(f"{path} has no line 'end_header'; copy or download it again")
    return content[:end].decode("latin-1").splitlines(), content[start:]


def _described(path: Path, lines: list[str]) -> tuple[str, int, np.dtype]:
    """Give the format, the number of points and their columns."""
    form, element, count, columns = "", "", -1, []
    for words in map(str.split, lines):
        match words:
            case ["format", name, "1.0"]:
                form = name
            case ["element", name, number] if number.isdigit():
                if count < 0 and name != "vertex":
                    raise CorruptFile(f"{path} has the element {name!r} before its points; put 'vertex' first")
                element, count = name, int(number) if name == "vertex" else count
            case ["property", kind, name] if element == "vertex" and kind in _TYPES:
                columns.append((name, _TYPES[kind]))
            case ["property", *rest] if element == "vertex":
                came = " ".join(rest)
                raise CorruptFile(f"{path}: points have the property {came!r}; wanted a type of {', '.join(_TYPES)}")
            case _:
                pass
    if form not in _ORDERS:
        raise CorruptFile(f"{path} has the format {form!r}; wanted {' or '.join(_ORDERS)}: convert it")
    if count < 0 or not columns or len({name for name, _ in columns}) < len(columns):
        raise CorruptFile(f"{path} describes no points: wanted an element 'vertex' with properties of different names")
    return form, count, np.dtype(columns)


def _from_bytes(path: Path, body: bytes, count: int, columns: np.dtype) -> np.ndarray:
    if len(body) < count * columns.itemsize:
        raise CorruptFile(
            f"{path} promises {count:,} points of {columns.itemsize} bytes and holds {len(body):,} bytes of them; copy "
            "or download it again"
        )
    return np.frombuffer(body, columns, count)


def _from_text(path: Path, body: bytes, count: int, columns: np.dtype) -> np.ndarray:
    lines = body.splitlines()[:count]
    if len(lines) < count:
        raise CorruptFile(f"{path} promises {count:,} points and holds {len(lines):,}; copy or download it again")
    table, whole = np.empty(count, columns), [i for i in range(len(columns)) if columns[i].kind in "iu"]
    with np.errstate(over="raise"):
        for i, line in enumerate(lines):
            try:
                values = [float(word) for word in line.split()]
                table[i] = tuple(values)
                fits = all(values[place].is_integer() for place in whole)
            except (ValueError, ArithmeticError):
                fits = False
            if not fits:
                came = line[:60].decode("latin-1")
                raise CorruptFile(f"{path}: point {i} is {came!r}; wanted {len(columns)} numbers in range")
    return table
