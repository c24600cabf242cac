"""The native code that finds which sites of a sparse grid meet: keys, their order, and pairs of neighbours.

Everything counts in 64-bit integers, so that no grid is too large, and rows in 32-bit ones. A key is the number of a
site's cell; sorted keys are walked through once per row of a window, so nothing is hashed and no memory is as large as
the grid:

    site_keys_C      C coordinates per row -> keys; tells whether they are sorted, and the first row outside the grid
    radix_pass       one pass of a sort of (key, row) by some bits of the key
    gathered_C       rows of C coordinates in the order of sorted keys, and whether one comes twice
    neighbours_W     for every key, which of the W keys from key + delta on are there
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.record import entry_arguments, loads
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

WINDOW: Final = {"keys": "ptr", "n": "i64", "delta": "i64", "a": "ptr", "b": "ptr", "room": "i64", "counts": "ptr"}
WIDTHS: Final = (1, 2, 3, 4, 5, 7)  # of a window's row; others are put together from these

_COLUMNS: Final = range(2, 6)  # picture, and 1 to 4 axes
_KEYS: Final = """
; state = (first row outside the limits, or -1; 1 if the keys strictly increase)
define void @site_keys_{columns}(ptr %coords, i64 %n, ptr %strides, ptr %limits, ptr %keys, ptr %state) #0 {{
entry:
{axes}
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %row ]
  %outside = phi i64 [ -1, %entry ], [ %outside_next, %row ]
  %sorted = phi i1 [ true, %entry ], [ %sorted_next, %row ]
  %before = phi i64 [ -1, %entry ], [ %sum_{columns}, %row ]
  %begin = mul i64 %i, {columns}
  %site = getelementptr i32, ptr %coords, i64 %begin
{columns_of_row}
  %p_key = getelementptr i64, ptr %keys, i64 %i
  store i64 %sum_{columns}, ptr %p_key
  %none_yet = icmp eq i64 %outside, -1
  %is_out = xor i1 %inside_{columns}, true
  %is_first = and i1 %none_yet, %is_out
  %outside_next = select i1 %is_first, i64 %i, i64 %outside
  %rises = icmp sgt i64 %sum_{columns}, %before
  %sorted_next = and i1 %sorted, %rises
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %outside_all = phi i64 [ -1, %entry ], [ %outside_next, %row ]
  %sorted_all = phi i1 [ true, %entry ], [ %sorted_next, %row ]
  store i64 %outside_all, ptr %state
  %p_sorted = getelementptr i64, ptr %state, i64 1
  %flag = zext i1 %sorted_all to i64
  store i64 %flag, ptr %p_sorted
  ret void
}}
"""
_KEY_AXIS: Final = """  %p_stride_{c} = getelementptr i64, ptr %strides, i64 {c}
  %stride_{c} = load i64, ptr %p_stride_{c}
  %p_limit_{c} = getelementptr i64, ptr %limits, i64 {c}
  %limit_{c} = load i64, ptr %p_limit_{c}"""
_KEY_COLUMN: Final = """  %p_narrow_{c} = getelementptr i32, ptr %site, i64 {c}
  %narrow_{c} = load i32, ptr %p_narrow_{c}
  %coord_{c} = sext i32 %narrow_{c} to i64
  %part_{c} = mul i64 %coord_{c}, %stride_{c}
  %sum_{next} = add i64 {sum}, %part_{c}
  %fits_{c} = icmp ult i64 %coord_{c}, %limit_{c}
  %inside_{next} = and i1 {inside}, %fits_{c}"""
_GATHERED: Final = """
; rows of coords in the order of sorted keys, that order in 64 bits, and the first key that is the one before, or -1
define void @gathered_{columns}(
  ptr %coords, ptr %keys, ptr %order, i64 %n, ptr %coords_out, ptr %order_out, ptr %twice
) #0 {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %row ]
  %found = phi i64 [ -1, %entry ], [ %found_next, %row ]
  %before = phi i64 [ -1, %entry ], [ %key, %row ]
  %p_from = getelementptr i32, ptr %order, i64 %i
  %narrow_from = load i32, ptr %p_from
  %from = zext i32 %narrow_from to i64
  %p_order = getelementptr i64, ptr %order_out, i64 %i
  store i64 %from, ptr %p_order
  %begin = mul i64 %from, {columns}
  %site = getelementptr i32, ptr %coords, i64 %begin
  %begin_out = mul i64 %i, {columns}
  %site_out = getelementptr i32, ptr %coords_out, i64 %begin_out
{columns_of_row}
  %p_key = getelementptr i64, ptr %keys, i64 %i
  %key = load i64, ptr %p_key
  %same = icmp eq i64 %key, %before
  %none_yet = icmp eq i64 %found, -1
  %is_first = and i1 %same, %none_yet
  %found_next = select i1 %is_first, i64 %i, i64 %found
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %found_all = phi i64 [ -1, %entry ], [ %found_next, %row ]
  store i64 %found_all, ptr %twice
  ret void
}}
"""
_GATHERED_COLUMN: Final = """  %p_{c} = getelementptr i32, ptr %site, i64 {c}
  %coord_{c} = load i32, ptr %p_{c}
  %p_out_{c} = getelementptr i32, ptr %site_out, i64 {c}
  store i32 %coord_{c}, ptr %p_out_{c}"""
_RADIX: Final = """
; counts has 2^bits numbers
define void @radix_pass(
  ptr %keys, ptr %rows, i64 %n, i64 %shift, i64 %bits, ptr %counts, ptr %keys_out, ptr %rows_out
) #0 {
entry:
  %size = shl i64 1, %bits
  %mask = sub i64 %size, 1
  br label %clear
clear:
  %c = phi i64 [ 0, %entry ], [ %c_next, %clear ]
  %p_clear = getelementptr i64, ptr %counts, i64 %c
  store i64 0, ptr %p_clear
  %c_next = add i64 %c, 1
  %more_clear = icmp slt i64 %c_next, %size
  br i1 %more_clear, label %clear, label %ready
ready:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %count, label %leave
count:
  %i = phi i64 [ 0, %ready ], [ %i_next, %count ]
  %p_key = getelementptr i64, ptr %keys, i64 %i
  %key = load i64, ptr %p_key
  %moved = lshr i64 %key, %shift
  %digit = and i64 %moved, %mask
  %p_count = getelementptr i64, ptr %counts, i64 %digit
  %old = load i64, ptr %p_count
  %new = add i64 %old, 1
  store i64 %new, ptr %p_count
  %i_next = add i64 %i, 1
  %more_count = icmp slt i64 %i_next, %n
  br i1 %more_count, label %count, label %sum
sum:                                              ; counts become places
  %d = phi i64 [ 0, %count ], [ %d_next, %sum ]
  %place = phi i64 [ 0, %count ], [ %place_next, %sum ]
  %p_place = getelementptr i64, ptr %counts, i64 %d
  %own = load i64, ptr %p_place
  store i64 %place, ptr %p_place
  %place_next = add i64 %place, %own
  %d_next = add i64 %d, 1
  %more_sum = icmp slt i64 %d_next, %size
  br i1 %more_sum, label %sum, label %move
move:
  %j = phi i64 [ 0, %sum ], [ %j_next, %move ]
  %p_from = getelementptr i64, ptr %keys, i64 %j
  %moving = load i64, ptr %p_from
  %p_row = getelementptr i32, ptr %rows, i64 %j
  %row = load i32, ptr %p_row
  %high = lshr i64 %moving, %shift
  %bucket = and i64 %high, %mask
  %p_to = getelementptr i64, ptr %counts, i64 %bucket
  %to = load i64, ptr %p_to
  %to_next = add i64 %to, 1
  store i64 %to_next, ptr %p_to
  %p_key_out = getelementptr i64, ptr %keys_out, i64 %to
  store i64 %moving, ptr %p_key_out
  %p_row_out = getelementptr i32, ptr %rows_out, i64 %to
  store i32 %row, ptr %p_row_out
  %j_next = add i64 %j, 1
  %more = icmp slt i64 %j_next, %n
  br i1 %more, label %move, label %leave
leave:
  ret void
}
"""
# A kernel that a plan can call, with the address of a record of 64-bit numbers, `WINDOW`.
# Behind the last key there must be W numbers larger than every key looked for. Lists have room for one pair too many.
_NEIGHBOURS: Final = """
; list j gets (i, row of key[i] + delta + j) for every i where there is one; counts[j] their number
define void @neighbours_{width}({arguments}) #0 {{
entry:
{loads}
  %some = icmp sgt i64 %n, 0
{places}
  br i1 %some, label %look, label %leave
look:
  %i = phi i64 [ 0, %entry ], [ %i_next, %found ]
  %from = phi i64 [ 0, %entry ], [ %at, %found ]
{counts}
  %p_key = getelementptr i64, ptr %keys, i64 %i
  %key = load i64, ptr %p_key
  %wanted = add i64 %key, %delta
  br label %walk
walk:
  %at = phi i64 [ %from, %look ], [ %at_next, %walk ]
  %p_at = getelementptr i64, ptr %keys, i64 %at
  %there = load i64, ptr %p_at
  %at_next = add i64 %at, 1
  %below = icmp slt i64 %there, %wanted
  br i1 %below, label %walk, label %found
found:
  %narrow = trunc i64 %i to i32
{window}
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %look, label %leave
leave:
{totals}
{kept}
  ret void
}}
"""
_PLACE: Final = """  %before_{j} = mul i64 %room, {j}
  %a_{j} = getelementptr i32, ptr %a, i64 %before_{j}
  %b_{j} = getelementptr i32, ptr %b, i64 %before_{j}"""
_COUNT: Final = "  %count_{j} = phi i64 [ 0, %entry ], [ %count_next_{j}, %found ]"
_ONE: Final = """  %p_{j} = getelementptr i64, ptr %keys, i64 {row}
  %key_{j} = load i64, ptr %p_{j}
  %want_{j} = add i64 %wanted, {j}
  %is_{j} = icmp eq i64 %key_{j}, %want_{j}
  %p_a_{j} = getelementptr i32, ptr %a_{j}, i64 %count_{j}
  store i32 %narrow, ptr %p_a_{j}
  %p_b_{j} = getelementptr i32, ptr %b_{j}, i64 %count_{j}
  %row_{j} = trunc i64 {row} to i32
  store i32 %row_{j}, ptr %p_b_{j}
  %one_{j} = zext i1 %is_{j} to i64
  %count_next_{j} = add i64 %count_{j}, %one_{j}
  %at_{next} = add i64 {row}, %one_{j}"""
_TOTAL: Final = "  %all_{j} = phi i64 [ 0, %entry ], [ %count_next_{j}, %found ]"
_KEEP: Final = """  %p_all_{j} = getelementptr i64, ptr %counts, i64 {j}
  store i64 %all_{j}, ptr %p_all_{j}"""


@cache
def site_code() -> Library:
    """Compile the native code once per process."""
    texts = {"radix_pass": _RADIX}
    texts |= {f"neighbours_{width}": _neighbours(width) for width in WIDTHS}
    texts |= {f"site_keys_{columns}": _site_keys(columns) for columns in _COLUMNS}
    texts |= {f"gathered_{columns}": _gathered(columns) for columns in _COLUMNS}
    return library("".join(texts.values()) + "attributes #0 = { nounwind }\n", tuple(texts), host())


def _site_keys(columns: int) -> str:
    every = range(columns)
    sums, inside = ["0", *(f"%sum_{c}" for c in every[1:])], ["true", *(f"%inside_{c}" for c in every[1:])]
    rows = [_KEY_COLUMN.format(c=c, next=c + 1, sum=sums[c], inside=inside[c]) for c in every]
    axes = [_KEY_AXIS.format(c=c) for c in every]
    return _KEYS.format(columns=columns, axes="\n".join(axes), columns_of_row="\n".join(rows))


def _gathered(columns: int) -> str:
    rows = [_GATHERED_COLUMN.format(c=c) for c in range(columns)]
    return _GATHERED.format(columns=columns, columns_of_row="\n".join(rows))


def _neighbours(width: int) -> str:
    every = range(width)
    rows = ["%at", *(f"%at_{j}" for j in range(1, width))]

    def lines(template: str) -> str:
        return "\n".join(template.format(j=j, row=rows[j], next=j + 1) for j in every)

    return _NEIGHBOURS.format(
        width=width,
        arguments=entry_arguments(),
        loads=loads(WINDOW),
        places=lines(_PLACE),
        counts=lines(_COUNT),
        window=lines(_ONE),
        totals=lines(_TOTAL),
        kept=lines(_KEEP),
    )
