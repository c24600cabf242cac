"""The table that the kernels of `pairs` read: which pairs fall to which bin of output rows, per offset.

    rows, offsets, then for every offset three addresses: its input rows, its output rows, its bounds

all numbers int64, all lists int32; bound b of an offset is its first pair whose output row lies in bin b or behind.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.kernels.llvm.site_lists import Int32, Int64

BIN: Final = 256  # rows: the least that a thread takes at once
_HEAD: Final = 2  # numbers of a table before its first offset
_OF_LIST: Final = 3  # addresses

_BOUNDS: Final = """
declare i64 @llvm.smin.i64(i64, i64)
; bounds[list][edge] = how many output rows of a list are less than edge * bin; every list increases
; table[list * step] and the two behind it: addresses of the list's input rows, output rows, and bounds
define void @block_bounds(
  ptr %in_rows, ptr %rows, ptr %starts, i64 %lists, i64 %bin, i64 %edges, ptr %bounds, ptr %table, i64 %step
) nounwind {
entry:
  %some = icmp sgt i64 %lists, 0
  br i1 %some, label %list, label %leave
list:
  %l = phi i64 [ 0, %entry ], [ %l_next, %onward ]
  %p_start = getelementptr i64, ptr %starts, i64 %l
  %start = load i64, ptr %p_start
  %p_stop = getelementptr i64, ptr %p_start, i64 1
  %stop = load i64, ptr %p_stop
  %own = getelementptr i32, ptr %rows, i64 %start
  %count = sub i64 %stop, %start
  %before = mul i64 %l, %edges
  %list_bounds = getelementptr i32, ptr %bounds, i64 %before
  %inputs = getelementptr i32, ptr %in_rows, i64 %start
  %begin = mul i64 %l, %step
  %p_inputs = getelementptr ptr, ptr %table, i64 %begin
  store ptr %inputs, ptr %p_inputs
  %p_outputs = getelementptr ptr, ptr %p_inputs, i64 1
  store ptr %own, ptr %p_outputs
  %p_bounds = getelementptr ptr, ptr %p_inputs, i64 2
  store ptr %list_bounds, ptr %p_bounds
  br label %edge
edge:
  %e = phi i64 [ 0, %list ], [ %e_next, %found ]
  %from = phi i64 [ 0, %list ], [ %low, %found ]
  %wanted = mul i64 %e, %bin
  %most = add i64 %from, %bin                     ; no row comes twice
  %last = call i64 @llvm.smin.i64(i64 %most, i64 %count)
  br label %half
half:                                             ; rows before low are less, rows from high on are not
  %low = phi i64 [ %from, %edge ], [ %low_next, %look ]
  %high = phi i64 [ %last, %edge ], [ %high_next, %look ]
  %open = icmp slt i64 %low, %high
  br i1 %open, label %look, label %found
look:
  %sum = add i64 %low, %high
  %middle = lshr i64 %sum, 1
  %p_row = getelementptr i32, ptr %own, i64 %middle
  %narrow_row = load i32, ptr %p_row
  %row = sext i32 %narrow_row to i64
  %less = icmp slt i64 %row, %wanted
  %behind = add i64 %middle, 1
  %low_next = select i1 %less, i64 %behind, i64 %low
  %high_next = select i1 %less, i64 %high, i64 %middle
  br label %half
found:
  %p_bound = getelementptr i32, ptr %list_bounds, i64 %e
  %narrow = trunc i64 %low to i32
  store i32 %narrow, ptr %p_bound
  %e_next = add i64 %e, 1
  %more_edges = icmp slt i64 %e_next, %edges
  br i1 %more_edges, label %edge, label %onward
onward:
  %l_next = add i64 %l, 1
  %more = icmp slt i64 %l_next, %lists
  br i1 %more, label %list, label %leave
leave:
  ret void
}
"""


class PairTable(NamedTuple):
    """A table, and the lists that it points to and nobody else keeps.

    Args:
        numbers: as above.
        lists: bounds, and rows that meet themselves.
    """

    numbers: Int64
    lists: tuple[Int32, ...]

    @property
    def nbytes(self) -> int:
        """Memory of all of it."""
        return self.numbers.nbytes + sum(rows.nbytes for rows in self.lists)


def pair_table(rows: int, sides: tuple[Int32, Int32], starts: Sequence[int], *, mirrored: bool) -> PairTable:
    """Give the table of some lists of pairs; both sides must stay where they are for as long as it is used.

    Args:
        rows: of the output.
        sides: input rows and output rows of all lists, one list behind the other.
        starts: where each list begins, and the end.
        mirrored: whether these are the offsets before the middle one of a submanifold convolution: then every row
            meets itself under that one, and the offsets behind it are those before it, read from their other side.
    """
    lists, edges, (first, last) = len(starts) - 1, -(-rows // BIN) + 1, map(_address, sides)
    offsets = 2 * lists + 1 if mirrored else lists
    places, bounds = np.array(starts, np.int64), np.empty((offsets, edges), np.int32)
    numbers = np.empty(_HEAD + _OF_LIST * offsets, np.int64)
    numbers[:_HEAD] = rows, offsets
    table, own, given = _address(numbers) + 8 * _HEAD, _address(bounds), (_address(places), lists, BIN, edges)
    _block_bounds()(*map(ctypes.c_int64, (first, last, *given, own, table, _OF_LIST)))
    if not mirrored:
        return PairTable(numbers, (bounds,))
    every, middle = np.arange(rows, dtype=np.int32), _HEAD + _OF_LIST * lists
    bounds[lists] = np.minimum(np.arange(edges) * BIN, rows)
    numbers[middle : middle + _OF_LIST] = _address(every), _address(every), own + 4 * edges * lists
    behind, end = own + 4 * edges * (lists + 1), table + 8 * _OF_LIST * (offsets - 1)
    _block_bounds()(*map(ctypes.c_int64, (last, first, *given, behind, end, -_OF_LIST)))
    return PairTable(numbers, (bounds, every))


def _address(numbers: np.ndarray) -> int:
    address: int = numbers.__array_interface__["data"][0]
    return address


@cache
def _block_bounds() -> Any:
    made = library(_BOUNDS, ("block_bounds",), host())
    function = ctypes.CFUNCTYPE(None)(made.addresses["block_bounds"])
    function.library = made
    return function
