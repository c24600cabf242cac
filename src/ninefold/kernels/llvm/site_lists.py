"""Finding sites and pairs on a CPU: what `site_code` and `neighbour_code` compute, for NumPy arrays.

Coordinates are int32 (N, 1 + D), picture first. Sorted means by picture, then by the coordinates, the first axis first.
"""

from __future__ import annotations

import ctypes
from array import array
from functools import cache, lru_cache
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ninefold.kernels.llvm.neighbour_code import WIDTHS, WINDOW, neighbour_code
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.site_code import site_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.spec import Axes, SparseSpec

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_LAST = np.iinfo(np.int64).max
_BITS = 64
_DIGIT = 12  # bits that a pass of the sort looks at, at most
_THREADED = 40_000  # sites from which on a second thread is worth waking


class Sorted(NamedTuple):
    """Sites in the order of their keys; where one is outside the grid, nothing but that is known.

    Args:
        coords: int32 (N, 1 + D), not those that came.
        order: int64 (N,): the row that each was; equal sites keep their order.
        outside: the first row outside the grid, or -1.
        twice: the first row that is the same site as the one before, or -1.
    """

    coords: Int32
    order: Int64
    outside: int = -1
    twice: int = -1


def can_sort(rows: int, sizes: Axes) -> bool:
    """Say whether `sorted_sites` can: whether a number of 64 bits has room for key and row."""
    return (prod(sizes) - 1).bit_length() + rows.bit_length() < _BITS


def sorted_sites(coords: Int32, sizes: Axes) -> Sorted:
    """Sort sites by their keys, passing over the bits that keys in such grids have.

    Args:
        coords: (N, 1 + D), contiguous.
        sizes: (pictures, *size of the grid), such that `can_sort`.
    """
    n, columns = coords.shape
    shift, bits = n.bit_length(), (prod(sizes) - 1).bit_length()
    passes = max(-(-bits // _DIGIT), 1)
    digit = -(-bits // passes)
    mask = (1 << digit) - 1
    counts = np.zeros((passes + 1, 1 << digit), np.int32)  # the last pass counts nothing in particular
    numbers, state = np.empty((2, n), np.int64), np.empty(2, np.int64)
    _call(f"numbered_{columns}", coords, n, np.array(sizes, np.int64), numbers[0], shift, mask, counts, state)
    are_sorted, done = state.tolist()
    if done < n:
        return Sorted(coords, state, outside=done)
    if are_sorted:
        return Sorted(coords.copy(), np.arange(n))
    for one in range(passes):
        here, there = numbers if one % 2 == 0 else numbers[::-1]
        first, behind = shift + one * digit, min(shift + (one + 1) * digit, _BITS - 1)
        _call("radix_pass", here, n, first, mask, counts[one], behind, counts[one + 1], there)
    found, order = np.empty((n, columns), np.int32), np.empty(n, np.int64)
    _call(f"gathered_{columns}", coords, numbers[passes % 2], n, shift, found, order, state)
    twice = int(state[0])
    return Sorted(found, order, twice=twice if twice < n else -1)


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

    Keys count in a grid that is wider by what the kernel reaches, so that no window leaves a line of cells and meets
    the next one. Where a window leads to a line without sites, no site of its own line is looked at.

    Args:
        coords: of the sites, sorted.
        spec: submanifold.
        threads: how many may compute, each a window; the result is the same for any number.
    """
    n, places, room = len(coords), spec.volume // 2, max(WIDTHS)
    sizes, windows = _reaches(spec)
    numbers = np.empty(3 * (n + room) + 1, np.int64)  # keys, and more that is larger than all; lines; where they start
    numbers[n : n + room] = _LAST
    keys, lines, starts, end = (_address(numbers) + 8 * part * (n + room) for part in range(4))
    _call(f"site_keys_{coords.shape[1]}", coords, n, sizes, keys, lines, starts, end)
    count = int(numbers[-1])
    numbers[n + room + count] = _LAST
    lists, counts = np.empty((2, places, n + 1), np.int32), np.empty(places, np.int64)
    first, tally, (side, row, _) = _address(lists), _address(counts), lists.strides
    record: list[int] = []
    for last, _, line_delta, delta in windows:
        a = first + last * row
        record += (keys, lines, starts, count, line_delta, delta, a, a + side, -(n + 1), tally + 8 * last)
    _look(array("q", record), [window.width for window in windows], threads if n >= _THREADED else 1)
    return _packed(lists, counts.tolist())


def _look(records: array[int], widths: Sequence[int], threads: int) -> None:
    """Look through windows, each by a function of its width."""
    first, _ = records.buffer_info()
    addresses = [first + 8 * len(WINDOW) * window for window in range(len(widths))]
    if threads == 1 or len(widths) < 2:
        for x, width in zip(addresses, widths, strict=True):
            _kernel(f"neighbours_{width}")(x, None, None, None, None, None, 0, 1, 0, 1)
        return
    functions = [neighbour_code().addresses[f"neighbours_{width}"] for width in widths]
    compute([Step(f, (1, 1), x=x, waits=False) for f, x in zip(functions, addresses, strict=True)], threads)


class _Window(NamedTuple):
    """Offsets whose keys follow each other, backwards: they count up where keys count down.

    Args:
        last: of the offsets; it leads to the first key.
        width: how many.
        line_delta: from a site's line to the one that they lead to.
        delta: from a site's key to the first key.
    """

    last: int
    width: int
    line_delta: int
    delta: int


@lru_cache(maxsize=256)
def _reaches(spec: SparseSpec) -> tuple[Int64, list[_Window]]:
    """Give the grid in which keys count, and where the offsets before the middle one lead."""
    reach = [d * (k // 2) for k, d in zip(spec.kernel, spec.dilation, strict=True)]
    sizes = np.array([1 << 31, *(size + r for size, r in zip(spec.size, reach, strict=True))], np.int64)
    deltas = []
    for offset in spec.offsets[: spec.volume // 2]:
        line = 0
        for r, k, d, size in zip(offset, spec.kernel, spec.dilation, sizes[1:].tolist(), strict=True):
            before, line = line, line * size + d * (k // 2 - r)
        deltas.append((before, line))
    return sizes, _windows(deltas)


def _windows(deltas: Sequence[tuple[int, int]]) -> list[_Window]:
    """Cut offsets into runs in one line whose keys follow each other, given to which line and key each leads."""
    runs: list[_Window] = []
    start = 0
    while start < len(deltas):
        line, delta = deltas[start]
        width = max(w for w in WIDTHS if deltas[start : start + w] == [(line, delta - j) for j in range(w)])
        start += width
        runs.append(_Window(start - 1, width, line, delta - width + 1))
    return runs


def _packed(lists: Int32, counts: Sequence[int]) -> Lists:
    """Put the filled parts of lists one behind the other: first those of the inputs, then those of the outputs."""
    starts = (0, *accumulate(counts))
    filled = [row[:count] for side in lists for row, count in zip(side, counts, strict=True)]
    rows = np.concatenate([lists[0, :0].ravel(), *filled])
    return Lists(rows[: starts[-1]], rows[starts[-1] :], starts)


def _call(name: str, *arguments: Any) -> None:
    """Call a function of `site_code`; arrays go by their address."""
    numbers = [_address(a) if isinstance(a, np.ndarray) else a for a in arguments]
    _function(name, len(numbers))(*numbers)


def _address(numbers: np.ndarray) -> int:
    address: int = numbers.__array_interface__["data"][0]
    return address


@cache
def _function(name: str, arguments: int) -> Any:
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(site_code().addresses[name])


@cache
def _kernel(name: str) -> Any:
    return neighbour_code().kernel(name)
