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

_BOUNDS: Final = """
declare i64 @llvm.smin.i64(i64, i64)
; bounds[list][edge] = how many rows of a list are less than edge * bin; every list increases
define void @block_bounds(ptr %rows, ptr %starts, i64 %lists, i64 %bin, i64 %edges, ptr %bounds) nounwind {
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
    places = np.array(starts, np.int64)
    first, own = _addressed(rows, sides, places)
    if not mirrored:
        return PairTable(_numbers(rows, first), (own,))
    every = np.arange(rows, dtype=np.int32)
    ends = np.minimum(np.arange(-(-rows // BIN) + 1) * BIN, rows).astype(np.int32)
    middle = np.array([[every.ctypes.data, every.ctypes.data, ends.ctypes.data]], np.int64)
    last, others = _addressed(rows, (sides[1], sides[0]), places)
    return PairTable(_numbers(rows, np.concatenate([first, middle, last[::-1]])), (own, every, ends, others))


def _numbers(rows: int, addresses: Int64) -> Int64:
    return np.concatenate([np.array([rows, len(addresses)], np.int64), addresses.ravel()])


def _addressed(rows: int, sides: tuple[Int32, Int32], starts: Int64) -> tuple[Int64, Int32]:
    """Give the three addresses of every list, and its bounds."""
    lists, edges = len(starts) - 1, -(-rows // BIN) + 1
    bounds = np.empty((lists, edges), np.int32)
    arguments = sides[1].ctypes.data, starts.ctypes.data, lists, BIN, edges, bounds.ctypes.data
    _block_bounds()(*map(ctypes.c_int64, arguments))
    addresses = np.empty((lists, 3), np.int64)
    addresses[:, 0] = sides[0].ctypes.data + 4 * starts[:-1]
    addresses[:, 1] = sides[1].ctypes.data + 4 * starts[:-1]
    addresses[:, 2] = bounds.ctypes.data + 4 * edges * np.arange(lists)
    return addresses, bounds


@cache
def _block_bounds() -> Any:
    made = library(_BOUNDS, ("block_bounds",), host())
    function = ctypes.CFUNCTYPE(None)(made.addresses["block_bounds"])
    function.library = made
    return function
