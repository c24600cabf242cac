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
from array import array
from functools import cache, lru_cache
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

import numpy as np

from ninefold.kernels.llvm.meeting_code import meeting_code
from ninefold.kernels.llvm.node_code import FIELDS, entry_code, node_code
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import CHUNKS_PER_THREAD, Step
from ninefold.kernels.llvm.site_lists import Lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ninefold.kernels.llvm.site_lists import Int32, Int64
    from ninefold.spec import SparseSpec

_WORD: Final = 64  # bits, each a place on a line or a word of such bits
_GAP: Final = 16  # words between the memory of two parts, so that threads share no line of cache
_THREADED: Final = 40_000  # input nodes from which on a second thread is worth waking

_NODES: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * 3)


class _Nodes(NamedTuple):
    """The nodes of a tree on one axis, sorted.

    Args:
        count: of them.
        coords: address of int32 (count, columns), of which the last column counts.
        columns: of it.
        starts: address of int64 (count + 1,): where the children of each begin, on the next axis.
    """

    count: int
    coords: int
    columns: int
    starts: int = 0


class _Met(NamedTuple):
    """What is known of one axis.

    Args:
        coords: int32 (M, columns): the output's nodes.
        rows: int32 (2, P): input's and output's nodes of all pairs, a list per offset of the axes up to this one.
        starts: int64: where each list begins, and the end.
    """

    coords: Int32
    rows: Int32
    starts: Int64


@final
class _Arrays:
    """Arrays that lie side by side in one piece of memory, and the memory of the parts.

    Args:
        zeros: 64-bit words of arrays that hold zeros.
        others: of arrays that hold anything.
        memory: words of zeros, apart: on a long axis there are many, of which the system gives those that are touched.
    """

    def __init__(self, zeros: Mapping[str, int], others: Mapping[str, int], memory: int) -> None:
        begins, end = _side_by_side({**zeros, **others})
        self._words = np.empty(end, np.int64)
        self._words[: sum(zeros.values())] = 0
        self._begins = begins
        base = _address(self._words)
        self._memory = np.zeros(memory, np.int64)
        self.addresses = {name: base + 8 * begin for name, begin in begins.items()}
        self.addresses["memory"] = _address(self._memory)

    def numbers(self, name: str, count: int) -> Int64:
        """Give the first 64-bit numbers of an array."""
        begin = self._begins[name]
        return self._words[begin : begin + count]


def meetings(coords: Int32, spec: SparseSpec, threads: int = 1) -> tuple[Int32, Lists]:
    """Give the sites of an output, sorted, and the pairs under every offset; within a list both sides increase.

    Args:
        coords: of the input's sites, sorted.
        spec: not submanifold.
        threads: how many may compute; the result is the same for any number.
    """
    if not len(coords):
        return np.empty((0, 1 + spec.dims), np.int32), Lists(*np.empty((2, 0), np.int32), (0,) * (spec.volume + 1))
    levels, met, _memory = _tree(coords)
    for nodes, axis in zip(pairwise(levels), _axes(spec), strict=True):
        met = _along(met, nodes, axis, threads if nodes[1].count >= _THREADED else 1)
    return met.coords, Lists(*met.rows, tuple(met.starts.tolist()))


def _tree(coords: Int32) -> tuple[list[_Nodes], _Met, tuple[np.ndarray, ...]]:
    """Give the nodes of all axes, pictures first; how pictures meet themselves; and what the addresses lie in."""
    n, columns = coords.shape
    places, starts = np.empty((columns - 1, n + 1), np.int32), np.empty((columns - 1, n + 1), np.int64)
    counts = np.empty(columns - 1, np.int64)
    _nodes_of(columns - 1)(_address(coords), n, *map(_address, (places, starts, counts)))
    numbers = counts.tolist()
    at, begin, row = _address(places), _address(starts), n + 1
    levels = [_Nodes(count, at + 4 * row * c, 1, begin + 8 * row * c) for c, count in enumerate(numbers)]
    levels.append(_Nodes(n, _address(coords), columns))
    pictures = numbers[0]
    every, ends = np.array([range(pictures)] * 2, np.int32), np.array([0, pictures], np.int64)
    return levels, _Met(places[0, :pictures, None], every, ends), (places, starts)


@lru_cache(maxsize=256)
def _axes(spec: SparseSpec) -> list[dict[str, int]]:
    return [_axis(spec, axis) for axis in range(spec.dims)]


def _axis(spec: SparseSpec, axis: int) -> dict[str, int]:
    """Give those fields of the record that the geometry decides."""
    kernel, stride, dilation = spec.kernel[axis], spec.stride[axis], spec.dilation[axis]
    if spec.kind == "transposed":
        times, first, step, divisor, most = stride, -spec.padding[axis], dilation, 1, kernel
    else:
        times, first, step, divisor = 1, spec.padding[axis], -dilation, stride
        most = -(-kernel * gcd(stride, dilation) // stride)
    words, turn = -(-spec.out_size[axis] // _WORD), (divisor & -divisor).bit_length() - 1
    inverse = pow(divisor >> turn, -1, 1 << 64)
    given = {"kernel": kernel, "words": words, "groups": -(-words // _WORD), "most": most}
    given |= {"times": _signed(times * inverse), "first": _signed(first * inverse), "step": _signed(step * inverse)}
    return given | {"turn": turn, "cells": spec.out_size[axis]}


def _along(met: _Met, nodes: tuple[_Nodes, _Nodes], axis: dict[str, int], threads: int) -> _Met:
    """Go on by one axis, to the children of the input's parents."""
    given, arrays = _given(met, nodes, axis, threads)
    parts, columns, kernel = given["parts"], met.coords.shape[1], axis["kernel"]
    record = array("q", [given.get(name, 0) for name in FIELDS])  # NumPy takes several times as long to make one
    x, _ = record.buffer_info()
    entries, count = ("entries", given["input_parts"]), ("count", 1)
    before = [entries, count] if parts == 1 else [entries, ("sort_items", 1), ("tally", parts), ("sum_up", 1)]
    _run([_Part(_kernel(name, kernel), units) for name, units in before], x, threads)
    starts = arrays.numbers("starts", given["paths"] * kernel + 1)
    pairs = int(starts[-1])
    coords, rows = np.empty((pairs, columns + 1), np.int32), np.empty((2, pairs), np.int32)
    first = _address(rows)
    record[-3:] = array("q", [_address(coords), first, first + rows.strides[0]])
    _run([_Part(_kernel(f"meet_{columns}", 0), parts), _Part(_kernel("renumber", 0), parts - 1)], x, threads)
    firsts, counts = arrays.numbers("first_rows", parts), arrays.numbers("row_counts", parts)
    return _Met(_joined(coords, firsts, counts), rows, starts)


def _joined(coords: Int32, firsts: Int64, counts: Int64) -> Int32:
    """Give the rows that the parts wrote, each from its first row on."""
    if len(counts) > 1:
        parts = zip(firsts.tolist(), counts.tolist(), strict=True)
        return np.concatenate([coords[first : first + count] for first, count in parts])
    coords.resize((int(counts[0]), coords.shape[1]), refcheck=False)  # gives back the memory behind them
    return coords


def _given(
    met: _Met, nodes: tuple[_Nodes, _Nodes], axis: dict[str, int], threads: int
) -> tuple[dict[str, int], _Arrays]:
    """Give what the record holds before anything is counted, and what its addresses lie in."""
    (parents, children), kernel = nodes, axis["kernel"]
    outputs, pairs, paths = len(met.coords), met.rows.shape[1], len(met.starts) - 1
    inputs, parts = _parts(parents.count, threads), _parts(outputs, threads)
    own = {"places": paths * kernel, "marks": axis["words"] + axis["groups"], "ranks": 32 * axis["words"]}
    begins, end = _side_by_side(own)
    zeros = {"item_starts": outputs + 2, "first_rows": parts + 1}
    room = children.count * axis["most"] + inputs
    others = {"items": pairs, "starts": paths * kernel + 1, "row_counts": parts, "bounds": 2 * parents.count}
    others |= {"slot_bounds": 2 * parents.count, "entry_rows": room, "slots": 2 * room}
    others |= {"entry_places": _halved(room), "entry_counts": _halved(parents.count * kernel)}
    arrays, first = _Arrays(zeros, others, parts * (end + _GAP)), _address(met.rows)
    given = {**axis, **begins, **arrays.addresses, "part_words": end + _GAP, "parts": parts, "paths": paths}
    given |= {"pair_inputs": first, "pair_outputs": first + met.rows.strides[0], "pair_starts": _address(met.starts)}
    given |= {"inputs": parents.count, "child_starts": parents.starts, "input_parts": inputs, "parents": outputs}
    given |= {"children": children.coords, "columns": children.columns, "heads": _address(met.coords)}
    return given, arrays


class _Part(NamedTuple):
    """A kernel, and how many parts it does."""

    kernel: Any
    parts: int


def _run(kernels: Sequence[_Part], x: int, threads: int) -> None:
    """Do all parts with some kernels, each when the one before is done."""
    if threads == 1:
        for kernel in (kernel for kernel, parts in kernels if parts):
            kernel(x, None, None, None, None, None, 0, 1, 0, 1)
        return
    addresses = [ctypes.cast(kernel, ctypes.c_void_p).value or 0 for kernel, _ in kernels]
    steps = [Step(a, (parts, 1), x=x, chunk=(1, 1)) for a, (_, parts) in zip(addresses, kernels, strict=True) if parts]
    compute(steps, threads)


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
    """Give the number of 64 bits with a sign that is the same modulo 2^64."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


@cache
def _nodes_of(axes: int) -> Any:
    made = node_code(axes)
    function = _NODES(made.addresses["nodes"])
    function.library = made
    return function


@cache
def _kernel(name: str, offsets: int) -> Any:
    """Give a kernel; of all of them, only `entries` is made for so many offsets along the axis."""
    return (entry_code(offsets) if name == "entries" else meeting_code()).kernel(name)
