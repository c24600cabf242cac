"""Which sites of an input and an output meet, on a CPU, where the output's sites are to be found as well.

Sorted sites are a tree: pictures, in every picture the coordinates on the first axis that are there, under each of
these those on the second, down to the sites. The output's tree is grown axis by axis. On one axis,

    parents are known       output parent o meets input parent i under the offsets k of the axes before
    their children          the places on this axis that children of all these i meet under the offsets r of this axis

so that child p of o meets child c of i under (k, r) where the axis says that p meets c under r. The places of one
parent are marked as bits of one line of cells, which are then counted: that sorts them and tells equal ones at once.
On the last axis children are sites. Memory is that of the pairs and of one such line per part.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ninefold.kernels.llvm.meeting_code import FIELDS, meeting_code
from ninefold.kernels.llvm.node_code import FIELDS as NODE_FIELDS
from ninefold.kernels.llvm.node_code import entry_code, head_code
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import CHUNKS_PER_THREAD, Step
from ninefold.kernels.llvm.site_lists import Lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ninefold.kernels.llvm.site_lists import Int32, Int64
    from ninefold.spec import SparseSpec

_WORD: Final = 64  # bits, each a place on a line or a word of such bits
_GAP: Final = 16  # words between the memory of two parts, so that threads share no line of cache
_THREADED: Final = 40_000  # input nodes from which on a second thread is worth waking

_HEADS: Final = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)


class _Nodes(NamedTuple):
    """The nodes of a tree on one axis.

    Args:
        coords: int32 (N, columns), sorted: of the axes up to this one.
        starts: int64 (N + 1,): where the children of each begin, on the next axis.
    """

    coords: Int32
    starts: Int64


class _Met(NamedTuple):
    """What is known of one axis.

    Args:
        coords: int32 (M, columns): the output's nodes.
        in_rows: int32: the input's nodes of all pairs, a list per offset of the axes up to this one. Behind the last
            there is room for one more, because the native code looks before it knows that a list is at its end.
        out_rows: int32: the output's.
        starts: int64: where each list begins, and the end.
    """

    coords: Int32
    in_rows: Int32
    out_rows: Int32
    starts: Int64


def meetings(coords: Int32, spec: SparseSpec, threads: int = 1) -> tuple[Int32, Lists]:
    """Give the sites of an output, sorted, and the pairs under every offset; within a list both sides increase.

    Args:
        coords: of the input's sites, sorted.
        spec: not submanifold.
        threads: how many may compute; the result is the same for any number.
    """
    if not len(coords):
        return np.empty((0, 1 + spec.dims), np.int32), Lists(*np.empty((2, 0), np.int32), (0,) * (spec.volume + 1))
    levels = [_Nodes(coords, np.empty(0, np.int64))]
    for _ in range(spec.dims):
        levels.insert(0, _heads(levels[0].coords))
    pictures = np.arange(len(levels[0].coords) + 1, dtype=np.int32)
    met = _Met(levels[0].coords, pictures, pictures, np.array([0, len(levels[0].coords)], np.int64))
    for axis, (parents, nodes) in enumerate(pairwise(levels)):
        helpers = threads if len(nodes.coords) >= _THREADED else 1
        entries = _entries(parents.starts, nodes.coords, _axis(spec, axis), helpers)
        met = _along(met, entries, spec.out_size[axis], helpers)
    return met.coords, Lists(met.in_rows[:-1], met.out_rows[:-1], tuple(met.starts.tolist()))


def _heads(coords: Int32) -> _Nodes:
    n, columns = coords.shape[0], coords.shape[1] - 1
    heads, starts, count = np.empty((n, columns), np.int32), np.empty(n + 1, np.int64), np.empty(1, np.int64)
    _heads_of(columns)(_address(coords), n, *map(_address, (heads, starts, count)))
    return _Nodes(heads[: count[0]], starts[: count[0] + 1])


@lru_cache(maxsize=256)
def _axis(spec: SparseSpec, axis: int) -> dict[str, int]:
    """Give those of `node_code.FIELDS` that the geometry decides, and the offsets."""
    kernel, stride, dilation = spec.kernel[axis], spec.stride[axis], spec.dilation[axis]
    if spec.kind == "transposed":
        times, first, step, divisor, most = stride, -spec.padding[axis], dilation, 1, kernel
    else:
        times, first, step, divisor = 1, spec.padding[axis], -dilation, stride
        most = -(-kernel * gcd(stride, dilation) // stride)
    limit, inverse = (spec.out_size[axis] - 1) * divisor + 1, -(-(1 << 63) // divisor)
    given = {"times": 2 * times, "first": 2 * first, "step": 2 * step, "limit": 2 * limit, "most": most}
    return given | {"inverse": _signed(inverse), "rest": _signed(2 * inverse - 1), "kernel": kernel}


class _Entries(NamedTuple):
    """Which places the nodes of an input meet on an axis, parent by parent, as `node_code` tells.

    Args:
        kernel: offsets along the axis.
        addresses: of what the record of `meeting_code` points to.
        memory: in which all of it lies.
    """

    kernel: int
    addresses: dict[str, int]
    memory: Int64


def _entries(starts: Int64, coords: Int32, axis: dict[str, int], threads: int) -> _Entries:
    """Give the entries of nodes whose parents' children begin at `starts`."""
    parents, kernel, parts = len(starts) - 1, axis["kernel"], _parts(len(starts) - 1, threads)
    room = len(coords) * axis["most"] + parts
    sizes = {"bounds": 2 * parents, "slot_bounds": 2 * parents, "entry_rows": room, "slots": 2 * room}
    sizes |= {"entry_places": _halved(room), "entry_counts": _halved(parents * kernel)}
    begins, words = _side_by_side(sizes)
    memory = np.empty(words, np.int64)
    base = _address(memory)
    addresses = {name: base + 8 * begin for name, begin in begins.items()}
    given = {"parts": parts, "parents": parents, "columns": coords.shape[1], **axis, **addresses}
    given |= {"coords": _address(coords), "starts": _address(starts)}
    _run([_entries_of(kernel)], given, NODE_FIELDS, threads)
    return _Entries(kernel, addresses, memory)


def _along(met: _Met, entries: _Entries, cells: int, threads: int) -> _Met:
    """Go on by one axis, on which the output has so many cells."""
    parts, columns = _parts(len(met.coords), threads), met.coords.shape[1]
    given = _given(met, entries, cells)
    memory, counts = np.zeros((parts, given["part_words"]), np.int64), np.zeros((2, parts), np.int64)
    given |= {"parts": parts, "memory": _address(memory)} | _where({"first_rows": counts[0], "row_counts": counts[1]})
    _run([_met_by("tally")], given, FIELDS, threads)
    tallies = memory[:, given["places"] : given["taken"]]
    ends = np.cumsum(tallies.T).reshape(-1, parts)  # of every part's pairs, where those of a list lie together
    starts = np.concatenate([[0], ends[:, -1]])
    counts[0, 1:] = np.cumsum(tallies.sum(axis=1))[:-1]  # every output node has a pair
    tallies[:] = ends.T - tallies
    coords, rows = np.empty((starts[-1], columns + 1), np.int32), np.empty((2, starts[-1] + 1), np.int32)
    given |= _where({"coords": coords, "in_rows": rows[0], "out_rows": rows[1]})
    _run([_met_by(f"meet_{columns}"), _met_by("renumber")], given, FIELDS, threads)
    found = [coords[first : first + count] for first, count in counts.T.tolist()]
    return _Met(np.concatenate(found), *rows, starts)


def _given(met: _Met, entries: _Entries, cells: int) -> dict[str, int]:
    """Give what the record holds before anything is counted."""
    paths, words = len(met.starts) - 1, -(-cells // _WORD)
    groups = -(-words // _WORD)
    given = {"parents": len(met.coords), "paths": paths, "kernel": entries.kernel, "words": words, "groups": groups}
    given |= _where({"heads": met.coords, "pair_inputs": met.in_rows, "pair_outputs": met.out_rows})
    given |= {"pair_starts": _address(met.starts), **entries.addresses}
    sizes = {"positions": paths, "places": paths * entries.kernel, "taken": 2 * paths, "marks": words + groups}
    begins, end = _side_by_side({**sizes, "ranks": _halved(cells)})
    return given | begins | {"part_words": end + _GAP}


def _run(kernels: list[Any], given: dict[str, int], fields: Iterable[str], threads: int) -> None:
    """Do all parts with some kernels, each when the one before is done; behind the first there is one part less."""
    record = np.array([given.get(name, 0) for name in fields], np.int64)
    x, parts = _address(record), given["parts"]
    if parts == 1:
        kernels[0](x, None, None, None, None, None, 0, 1, 0, 1)
        return
    addresses = [ctypes.cast(kernel, ctypes.c_void_p).value or 0 for kernel in kernels]
    compute([Step(a, (parts - i, 1), x=x, chunk=(1, 1)) for i, a in enumerate(addresses)], threads)


def _parts(parents: int, threads: int) -> int:
    return max(1, min(parents, CHUNKS_PER_THREAD * threads)) if threads > 1 else 1


def _side_by_side(sizes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Give where arrays begin that lie one behind the other, and the end."""
    begins, end = {}, 0
    for name, size in sizes.items():
        begins[name], end = end, end + size
    return begins, end


def _halved(numbers: int) -> int:
    """Give how many 64-bit words hold so many 32-bit numbers."""
    return -(-numbers // 2)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _where(arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    return {name: _address(array) for name, array in arrays.items()}


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


@cache
def _heads_of(columns: int) -> Any:
    return _HEADS(head_code(columns).addresses["heads"])


@cache
def _entries_of(kernel: int) -> Any:
    return entry_code(kernel).kernel("entries")


@cache
def _met_by(name: str) -> Any:
    return meeting_code().kernel(name)
