"""Finding sites and pairs on a CPU: what `site_code` computes, for NumPy arrays.

Coordinates are int32 (N, 1 + D), picture first. Sorted means by picture, then by the coordinates, the first axis first.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ninefold.kernels.llvm.site_code import WIDTHS, site_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.spec import Axes, SparseSpec

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_LAST = np.iinfo(np.int64).max
_DIGIT = 12  # bits that a pass of the sort looks at, at most


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
    _call("site_keys", coords, n, axes, strides, np.array(sizes, np.int64), keys, state)
    return Keys(keys, int(state[0]), bool(state[1]))


def sorted_with_rows(keys: Int64, rows: Int32 | None = None) -> tuple[Int64, Int32]:
    """Sort keys, and give for each the row that it was, or what `rows` says of that; equal keys keep their order."""
    n = len(keys)
    here = np.arange(n, dtype=np.int32) if rows is None else rows
    there, spare, counts = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(1 << _DIGIT, np.int64)
    bits = int(keys.max()).bit_length() if n else 0
    passes = -(-bits // _DIGIT)
    digit = -(-bits // passes) if passes else 0
    for shift in range(0, bits, max(digit, 1)):
        if shift == 0:
            _call("radix_pass", keys, here, n, shift, digit, counts, there, spare)
            keys, there, here, spare = there, np.empty(n, np.int64), spare, np.empty(n, np.int32)
        else:
            _call("radix_pass", keys, here, n, shift, digit, counts, there, spare)
            keys, there, here, spare = there, keys, spare, here
    return keys, here


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


def neighbours(coords: Int32, spec: SparseSpec) -> Lists:
    """Give the pairs of a submanifold convolution under the offsets before the middle one.

    Keys count in a grid that is wider by what the kernel reaches, so that no window leaves a row of cells and meets
    the next one.

    Args:
        coords: of the sites, sorted.
        spec: submanifold.
    """
    n, places = len(coords), spec.volume // 2
    sizes, deltas, windows = _reaches(spec)
    found = site_keys(coords, sizes, max(WIDTHS))
    first, second = np.empty((places, n + 1), np.int32), np.empty((places, n + 1), np.int32)
    counts = np.zeros(places, np.int64)
    for start, width in windows:
        # Offsets count up where keys count down: a window begins at the last of them, and its lists lie backwards.
        last, own = start + width - 1, np.empty(width, np.int64)
        _call(f"neighbours_{width}", found.keys, n, deltas[last], first[last], second[last], -(n + 1), own)
        counts[start : last + 1] = own[::-1]
    return Lists(*_packed(first, second, counts))


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


def meetings(coords: Int32, spec: SparseSpec) -> tuple[Int32, Lists]:
    """Give the output's sites of a sparse or transposed convolution, sorted, and the pairs under all offsets.

    Args:
        coords: of the input's sites, sorted.
        spec: sparse or transposed.
    """
    n = len(coords)
    tables = [table for axis in range(spec.dims) for table in _axis_table(spec, axis)]
    picture = int(np.prod(spec.out_size, dtype=np.int64))
    first, second = np.empty((spec.volume, n + 1), np.int32), np.empty((spec.volume, n + 1), np.int64)
    counts = np.zeros(spec.volume, np.int64)
    _call(f"candidates_{spec.dims}", coords, n, picture, *tables, first, second, n + 1, counts)
    in_rows, keys, starts = _packed(first, second, counts)
    ordered, pairs = sorted_with_rows(keys)
    out_rows, distinct, state = np.empty(len(keys), np.int32), np.empty(len(keys), np.int64), np.empty(1, np.int64)
    _call("numbered", ordered, pairs, len(keys), out_rows, distinct, state)
    sites = np.empty((int(state[0]), 1 + spec.dims), np.int32)
    sizes = np.array((1 << 62, *spec.out_size), np.int64)
    _call("site_coords", distinct, len(sites), 1 + spec.dims, sizes, sites)
    return sites, Lists(in_rows, out_rows, starts)


@lru_cache(maxsize=256)
def _axis_table(spec: SparseSpec, axis: int) -> tuple[Int64, Int64]:
    """Give what each coordinate meets: where its entries begin, and (part of offset, part of key) of each."""
    size, kernel, stride = spec.size[axis], spec.kernel[axis], spec.stride[axis]
    padding, dilation, out_size = spec.padding[axis], spec.dilation[axis], spec.out_size[axis]
    coord, offset = np.arange(size)[:, None], np.arange(kernel)[None]
    if spec.kind == "transposed":
        out = coord * stride - padding + dilation * offset
        meets = (out >= 0) & (out < out_size)
    else:
        out, rest = np.divmod(coord + padding - dilation * offset, stride)
        meets = (rest == 0) & (out >= 0) & (out < out_size)
    starts = np.concatenate([[0], np.cumsum(meets.sum(axis=1))])
    parts = np.prod(spec.kernel[axis + 1 :], dtype=np.int64), np.prod(spec.out_size[axis + 1 :], dtype=np.int64)
    entries = np.stack([np.broadcast_to(offset, out.shape)[meets] * parts[0], out[meets] * parts[1]], axis=1)
    return starts.astype(np.int64), np.ascontiguousarray(entries, np.int64)


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
