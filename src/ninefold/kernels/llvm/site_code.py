"""The native code that finds which sites of a sparse grid meet: keys, their order, and pairs of neighbours.

Everything counts in 64-bit integers, so that no grid is too large, and rows in 32-bit ones. A key is the number of a
site's cell; sorted keys are walked through once per row of a window, so nothing is hashed and no memory is as large as
the grid:

    site_keys        coordinates -> keys; tells whether they are sorted, and the first row outside the grid
    radix_pass       one pass of a sort of (key, row) by some bits of the key
    neighbours_W     for every key, which of the W keys from key + delta on are there
    candidates       for every site, which output cells it meets under which kernel offset
    numbered         sorted (key, pair) -> the distinct keys, and for every pair the number of its key
    site_coords      keys -> coordinates
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

WIDTHS: Final = (1, 2, 3, 4, 5, 7)  # of a window's row; others are put together from these

_KEYS: Final = """
; state = (first row outside the limits, or -1; 1 if the keys strictly increase)
define void @site_keys(ptr %coords, i64 %n, i64 %axes, ptr %strides, ptr %limits, ptr %keys, ptr %state) #0 {
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %key ]
  %outside = phi i64 [ -1, %entry ], [ %outside_next, %key ]
  %sorted = phi i1 [ true, %entry ], [ %sorted_next, %key ]
  %before = phi i64 [ -1, %entry ], [ %sum_next, %key ]
  %first = mul i64 %i, %axes
  %site = getelementptr i32, ptr %coords, i64 %first
  br label %axis
axis:
  %a = phi i64 [ 0, %row ], [ %a_next, %axis ]
  %sum = phi i64 [ 0, %row ], [ %sum_next, %axis ]
  %inside = phi i1 [ true, %row ], [ %inside_next, %axis ]
  %p_narrow = getelementptr i32, ptr %site, i64 %a
  %narrow = load i32, ptr %p_narrow
  %coord = sext i32 %narrow to i64
  %p_stride = getelementptr i64, ptr %strides, i64 %a
  %stride = load i64, ptr %p_stride
  %p_limit = getelementptr i64, ptr %limits, i64 %a
  %limit = load i64, ptr %p_limit
  %part = mul i64 %coord, %stride
  %sum_next = add i64 %sum, %part
  %fits = icmp ult i64 %coord, %limit
  %inside_next = and i1 %inside, %fits
  %a_next = add i64 %a, 1
  %more_axes = icmp slt i64 %a_next, %axes
  br i1 %more_axes, label %axis, label %key
key:
  %p_key = getelementptr i64, ptr %keys, i64 %i
  store i64 %sum_next, ptr %p_key
  %found = select i1 %inside_next, i64 -1, i64 %i
  %none_yet = icmp eq i64 %outside, -1
  %outside_next = select i1 %none_yet, i64 %found, i64 %outside
  %rises = icmp sgt i64 %sum_next, %before
  %sorted_next = and i1 %sorted, %rises
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %outside_all = phi i64 [ -1, %entry ], [ %outside_next, %key ]
  %sorted_all = phi i1 [ true, %entry ], [ %sorted_next, %key ]
  store i64 %outside_all, ptr %state
  %p_sorted = getelementptr i64, ptr %state, i64 1
  %flag = zext i1 %sorted_all to i64
  store i64 %flag, ptr %p_sorted
  ret void
}
"""
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
# Behind the last key there must be W numbers larger than every key looked for. Lists have room for one pair too many.
_NEIGHBOURS: Final = """
; list j gets (i, row of key[i] + delta + j) for every i where there is one; counts[j] their number
define void @neighbours_{width}(ptr %keys, i64 %n, i64 %delta, ptr %a, ptr %b, i64 %room, ptr %counts) #0 {{
entry:
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
# A table of an axis: starts[c] to starts[c + 1] are the entries of coordinate c, and an entry is (what it adds to the
# number of the kernel offset, what it adds to the output's key).
_AXIS: Final = """{axis}:
  %p_narrow_{axis} = getelementptr i32, ptr %site, i64 {column}
  %narrow_{axis} = load i32, ptr %p_narrow_{axis}
  %coord_{axis} = sext i32 %narrow_{axis} to i64
  %p_start_{axis} = getelementptr i64, ptr %starts_{axis}, i64 %coord_{axis}
  %start_{axis} = load i64, ptr %p_start_{axis}
  %p_stop_{axis} = getelementptr i64, ptr %p_start_{axis}, i64 1
  %stop_{axis} = load i64, ptr %p_stop_{axis}
  %any_{axis} = icmp slt i64 %start_{axis}, %stop_{axis}
  br i1 %any_{axis}, label %each_{axis}, label %{out}
each_{axis}:
  %e_{axis} = phi i64 [ %start_{axis}, %{axis} ], [ %e_next_{axis}, %next_{axis} ]
  %twice_{axis} = shl i64 %e_{axis}, 1
  %p_entry_{axis} = getelementptr i64, ptr %entries_{axis}, i64 %twice_{axis}
  %offset_part_{axis} = load i64, ptr %p_entry_{axis}
  %p_second_{axis} = getelementptr i64, ptr %p_entry_{axis}, i64 1
  %key_part_{axis} = load i64, ptr %p_second_{axis}
  %offset_{axis} = add i64 {offset}, %offset_part_{axis}
  %key_{axis} = add i64 {key}, %key_part_{axis}
  br label %{inside}
next_{axis}:
  %e_next_{axis} = add i64 %e_{axis}, 1
  %again_{axis} = icmp slt i64 %e_next_{axis}, %stop_{axis}
  br i1 %again_{axis}, label %each_{axis}, label %{out}
"""
_CANDIDATES: Final = """
; list k gets (i, key of the output cell) for every site i that meets one under kernel offset k
define void @candidates_{axes}(
  ptr %coords, i64 %n, i64 %picture, {tables}, ptr %a, ptr %b, i64 %room, ptr %counts
) #0 {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %look, label %leave
look:
  %i = phi i64 [ 0, %entry ], [ %i_next, %onward ]
  %first = mul i64 %i, {columns}
  %site = getelementptr i32, ptr %coords, i64 %first
  %narrow_picture = load i32, ptr %site
  %number = sext i32 %narrow_picture to i64
  %key_0 = mul i64 %number, %picture
  br label %axis1
{loops}
put:
  %p_count = getelementptr i64, ptr %counts, i64 %offset_axis{axes}
  %count = load i64, ptr %p_count
  %before = mul i64 %offset_axis{axes}, %room
  %place = add i64 %before, %count
  %p_a = getelementptr i32, ptr %a, i64 %place
  %narrow = trunc i64 %i to i32
  store i32 %narrow, ptr %p_a
  %p_b = getelementptr i64, ptr %b, i64 %place
  store i64 %key_axis{axes}, ptr %p_b
  %count_next = add i64 %count, 1
  store i64 %count_next, ptr %p_count
  br label %next_axis{axes}
onward:
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %look, label %leave
leave:
  ret void
}}
"""
_NUMBERED: Final = """
; state[0] = how many distinct keys there are
define void @numbered(ptr %keys, ptr %pairs, i64 %n, ptr %rows, ptr %distinct, ptr %state) #0 {
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %look, label %leave
look:
  %j = phi i64 [ 0, %entry ], [ %j_next, %look ]
  %row = phi i64 [ -1, %entry ], [ %row_next, %look ]
  %before = phi i64 [ -1, %entry ], [ %key, %look ]
  %p_key = getelementptr i64, ptr %keys, i64 %j
  %key = load i64, ptr %p_key
  %differs = icmp ne i64 %key, %before
  %one = zext i1 %differs to i64
  %row_next = add i64 %row, %one
  %p_distinct = getelementptr i64, ptr %distinct, i64 %row_next
  store i64 %key, ptr %p_distinct
  %p_pair = getelementptr i32, ptr %pairs, i64 %j
  %narrow_pair = load i32, ptr %p_pair
  %pair = zext i32 %narrow_pair to i64
  %p_row = getelementptr i32, ptr %rows, i64 %pair
  %narrow = trunc i64 %row_next to i32
  store i32 %narrow, ptr %p_row
  %j_next = add i64 %j, 1
  %more = icmp slt i64 %j_next, %n
  br i1 %more, label %look, label %leave
leave:
  %last = phi i64 [ -1, %entry ], [ %row_next, %look ]
  %count = add i64 %last, 1
  store i64 %count, ptr %state
  ret void
}
"""
_COORDS: Final = """
define void @site_coords(ptr %keys, i64 %n, i64 %axes, ptr %sizes, ptr %coords) #0 {
entry:
  %last_axis = sub i64 %axes, 1
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %onward ]
  %p_key = getelementptr i64, ptr %keys, i64 %i
  %key = load i64, ptr %p_key
  %first = mul i64 %i, %axes
  %site = getelementptr i32, ptr %coords, i64 %first
  br label %axis
axis:                                             ; sizes[0] is larger than any number of pictures
  %a = phi i64 [ %last_axis, %row ], [ %a_next, %axis ]
  %left = phi i64 [ %key, %row ], [ %above, %axis ]
  %p_size = getelementptr i64, ptr %sizes, i64 %a
  %size = load i64, ptr %p_size
  %above = udiv i64 %left, %size
  %whole = mul i64 %above, %size
  %coord = sub i64 %left, %whole
  %p_coord = getelementptr i32, ptr %site, i64 %a
  %narrow = trunc i64 %coord to i32
  store i32 %narrow, ptr %p_coord
  %a_next = sub i64 %a, 1
  %more_axes = icmp sge i64 %a_next, 0
  br i1 %more_axes, label %axis, label %onward
onward:
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  ret void
}
"""


@cache
def site_code() -> Library:
    """Compile the native code once per process."""
    names = ["site_keys", "radix_pass", "numbered", "site_coords"]
    names += [*(f"neighbours_{width}" for width in WIDTHS), *(f"candidates_{axes}" for axes in range(1, 5))]
    parts = [_KEYS, _RADIX, _NUMBERED, _COORDS]
    parts += [*map(_neighbours, WIDTHS), *map(_candidates, range(1, 5)), "attributes #0 = { nounwind }\n"]
    return library("".join(parts), tuple(names), host())


def _neighbours(width: int) -> str:
    every = range(width)
    rows = ["%at", *(f"%at_{j}" for j in range(1, width))]

    def lines(template: str) -> str:
        return "\n".join(template.format(j=j, row=rows[j], next=j + 1) for j in every)

    return _NEIGHBOURS.format(
        width=width,
        places=lines(_PLACE),
        counts=lines(_COUNT),
        window=lines(_ONE),
        totals=lines(_TOTAL),
        kept=lines(_KEEP),
    )


def _candidates(axes: int) -> str:
    names = [f"axis{number}" for number in range(1, axes + 1)]
    loops = [
        _AXIS.format(
            axis=name,
            column=number,
            offset=f"%offset_{names[number - 2]}" if number > 1 else "0",
            key=f"%key_{names[number - 2]}" if number > 1 else "%key_0",
            inside=names[number] if number < axes else "put",
            out=f"next_{names[number - 2]}" if number > 1 else "onward",
        )
        for number, name in enumerate(names, start=1)
    ]
    tables = ", ".join(f"ptr %starts_{name}, ptr %entries_{name}" for name in names)
    return _CANDIDATES.format(axes=axes, columns=axes + 1, tables=tables, loops="".join(loops))
