"""Finding sites and pairs on a CPU: what `site_code` computes, for NumPy arrays.

Coordinates are int32 (N, 1 + D), picture first. Sorted means by picture, then by the coordinates, the first axis first.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.site_code import WIDTHS, WINDOW, site_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.spec import Axes, SparseSpec

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_LAST = np.iinfo(np.int64).max
_DIGIT = 12  # bits that a pass of the sort looks at, at most
_THREADED = 40_000  # sites from which on a second thread is worth waking


class Keys(NamedTuple):
    """The keys of sites, and what was found on the way.

    Args:
        keys: int64 (N,), behind which there is room.
        outside: the first row outside the grid, or -1.
        are_sorted: whether keys strictly increase.
    """

    keys: Int64
    outside: int
    are_sorted: bool


def site_keys(coords: Int32, sizes: Axes, room: int = 0) -> Keys:
    """Number the cells of sites.

    Args:
        coords: (N, 1 + D), contiguous.
        sizes: (pictures, *size of the grid in which keys count).
        room: further numbers behind the keys, larger than all of them.
    """
    n, axes = coords.shape
    strides = np.ones(axes, np.int64)
    strides[:-1] = np.cumprod(np.array(sizes[:0:-1], np.int64))[::-1]
    keys, state = np.empty(n + room, np.int64), np.empty(2, np.int64)
    keys[n:] = _LAST
    _call(f"site_keys_{axes}", coords, n, strides, np.array(sizes, np.int64), keys, state)
    return Keys(keys, int(state[0]), bool(state[1]))


def sorted_with_rows(keys: Int64) -> tuple[Int64, Int32]:
    """Sort keys, and give for each the row that it was; equal keys keep their order."""
    n = len(keys)
    rows, counts = np.arange(n, dtype=np.int32), np.empty(1 << _DIGIT, np.int64)
    there, there_rows, spare = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int64)
    bits = int(keys.max()).bit_length() if n else 0
    digit = -(-bits // -(-bits // _DIGIT)) if bits else 1
    for shift in range(0, bits, digit):
        _call("radix_pass", keys, rows, n, shift, digit, counts, there, there_rows)
        keys, there = there, spare if shift == 0 else keys
        rows, there_rows = there_rows, rows
    return keys, rows


class Gathered(NamedTuple):
    """Sites in the order of their keys.

    Args:
        coords: int32 (N, 1 + D).
        order: int64 (N,): the row that each was.
        twice: the first row that is the same site as the one before, or -1.
    """

    coords: Int32
    order: Int64
    twice: int


def gathered(coords: Int32, keys: Int64, rows: Int32) -> Gathered:
    """Bring sites into an order that was found.

    Args:
        coords: (N, 1 + D), contiguous.
        keys: of the sites, sorted.
        rows: that they were.
    """
    n, columns = coords.shape
    found, order, twice = np.empty((n, columns), np.int32), np.empty(n, np.int64), np.empty(1, np.int64)
    _call(f"gathered_{columns}", coords, keys, rows, n, found, order, twice)
    return Gathered(found, order, int(twice[0]))


class Lists(NamedTuple):
    """Pairs (input row, output row), one list behind the other.

    Args:
        in_rows: int32 (P,).
        out_rows: int32 (P,).
        starts: where each list begins, and the end.
    """

    in_rows: Int32
    out_rows: Int32
    starts: tuple[int, ...]


def neighbours(coords: Int32, spec: SparseSpec, threads: int = 1) -> Lists:
    """Give the pairs of a submanifold convolution under the offsets before the middle one.

    Keys count in a grid that is wider by what the kernel reaches, so that no window leaves a row of cells and meets
    the next one.

    Args:
        coords: of the sites, sorted.
        spec: submanifold.
        threads: how many may compute, each a window; the result is the same for any number.
    """
    n, places = len(coords), spec.volume // 2
    sizes, deltas, windows = _reaches(spec)
    keys = site_keys(coords, sizes, max(WIDTHS)).keys
    lists, counts = np.empty((2, places, n + 1), np.int32), np.zeros(places, np.int64)
    # Offsets count up where keys count down: a window begins at the last of them, and its lists lie backwards.
    lasts, own = [start + width - 1 for start, width in windows], np.zeros((len(windows), max(WIDTHS)), np.int64)
    records = np.empty((len(windows), len(WINDOW)), np.int64)
    base, stride = lists.ctypes.data, lists.strides[0]
    for record, last, found in zip(records, lasts, own, strict=True):
        first = base + last * lists.strides[1]
        record[:] = (keys.ctypes.data, n, deltas[last], first, first + stride, -(n + 1), found.ctypes.data)
    _look(records, [width for _, width in windows], threads if n >= _THREADED else 1)
    for (start, width), last, found in zip(windows, lasts, own, strict=True):
        counts[start : last + 1] = found[:width][::-1]
    return Lists(*_packed(*lists, counts))


def _look(records: Int64, widths: Sequence[int], threads: int) -> None:
    """Look through windows, each by a function of its width."""
    addresses = [record.ctypes.data for record in records]
    if threads == 1 or len(widths) < 2:
        for x, width in zip(addresses, widths, strict=True):
            _kernel(f"neighbours_{width}")(x, None, None, None, None, None, 0, 1, 0, 1)
        return
    functions = [site_code().addresses[f"neighbours_{width}"] for width in widths]
    compute([Step(f, (1, 1), x=x, waits=False) for f, x in zip(functions, addresses, strict=True)], threads)


@lru_cache(maxsize=256)
def _reaches(spec: SparseSpec) -> tuple[tuple[int, ...], list[int], list[tuple[int, int]]]:
    """Give the grid in which keys count, how far each offset before the middle one leads, and their windows."""
    reach = [d * (k // 2) for k, d in zip(spec.kernel, spec.dilation, strict=True)]
    sizes = (1 << 31, *(size + r for size, r in zip(spec.size, reach, strict=True)))
    strides = np.cumprod([1, *sizes[:1:-1]])[::-1]
    deltas = []
    for offset in spec.offsets[: spec.volume // 2]:
        steps = [d * (k // 2 - r) for r, k, d in zip(offset, spec.kernel, spec.dilation, strict=True)]
        deltas.append(int(np.dot(steps, strides)))
    return sizes, deltas, _windows(deltas)


def _windows(deltas: Sequence[int]) -> list[tuple[int, int]]:
    """Cut offsets into runs whose keys follow each other: (first, how many)."""
    runs: list[tuple[int, int]] = []
    start = 0
    while start < len(deltas):
        width = max(w for w in WIDTHS if list(deltas[start : start + w]) == [deltas[start] - j for j in range(w)])
        runs.append((start, width))
        start += width
    return runs


def _packed(first: Any, second: Any, counts: Int64) -> tuple[Any, Any, tuple[int, ...]]:
    """Put the filled parts of lists one behind the other."""
    starts = (0, *np.cumsum(counts).tolist())
    filled = [[row[:count] for row, count in zip(side, counts, strict=True)] for side in (first, second)]
    sides = (np.concatenate([side[:0].ravel(), *rows]) for side, rows in zip((first, second), filled, strict=True))
    return (*sides, starts)


def _call(name: str, *arguments: Any) -> None:
    """Call a function of `site_code`; arrays go by their address."""
    _function(name)(*(ctypes.c_int64(a.ctypes.data if isinstance(a, np.ndarray) else a) for a in arguments))


@cache
def _function(name: str) -> Any:
    return ctypes.CFUNCTYPE(None)(site_code().addresses[name])


@cache
def _kernel(name: str) -> Any:
    return site_code().kernel(name)
