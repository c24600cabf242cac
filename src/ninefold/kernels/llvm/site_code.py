"""The native code that numbers and sorts the sites of a sparse grid.

A key is the number of a site's cell, of 64 bits, so that no grid is too large:

    site_keys_C      C coordinates per row -> keys, and the lines of cells that they lie in
    numbered_C       the same with the row in the lowest bits; whether keys are sorted, the first row outside the grid
    radix_pass       one pass of a sort of such numbers, by some bits of the key
    gathered_C       rows of C coordinates in the order of sorted numbers, and whether one comes twice
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

_COLUMNS: Final = range(2, 6)  # picture, and 1 to 4 axes
_ENTRY: Final = """entry:
{sizes}
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave"""
_KEYS: Final = """
; sizes[c] is how many cells the grid has on axis c; that of the first one does not matter. Sites that differ in the
; last coordinate only are a line: its key is that of the axes before, and starts has one number more
define void @site_keys_{columns}(
  ptr %coords, i64 %n, ptr %sizes, ptr %keys, ptr %lines, ptr %starts, ptr %count
) #0 {{
{entry}
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %row ]
  %j = phi i64 [ 0, %entry ], [ %j_next, %row ]
  %before = phi i64 [ -1, %entry ], [ %key_{line}, %row ]
{key}
  %p_key = getelementptr i64, ptr %keys, i64 %i
  store i64 %key_{last}, ptr %p_key
  %p_line = getelementptr i64, ptr %lines, i64 %j
  store i64 %key_{line}, ptr %p_line
  %p_start = getelementptr i64, ptr %starts, i64 %j
  store i64 %i, ptr %p_start
  %differs = icmp ne i64 %key_{line}, %before
  %one = zext i1 %differs to i64
  %j_next = add i64 %j, %one
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %j_all = phi i64 [ 0, %entry ], [ %j_next, %row ]
  %p_end = getelementptr i64, ptr %starts, i64 %j_all
  store i64 %n, ptr %p_end
  store i64 %j_all, ptr %count
  ret void
}}
"""
_NUMBERED: Final = """
; numbers = key * 2^shift + row; counts of their bits behind those, as many as mask has, are added up;
; state = (1 if the keys strictly increase, the first row outside the grid or n: behind it nothing is done)
define void @numbered_{columns}(
  ptr %coords, i64 %n, ptr %sizes, ptr %numbers, i64 %shift, i64 %mask, ptr %counts, ptr %state
) #0 {{
{entry}
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %onward ]
  %sorted = phi i1 [ true, %entry ], [ %sorted_next, %onward ]
  %before = phi i64 [ -1, %entry ], [ %key_{last}, %onward ]
{key}
{inside}
  br i1 %inside_{last}, label %onward, label %leave
onward:
  %rises = icmp sgt i64 %key_{last}, %before
  %sorted_next = and i1 %sorted, %rises
  %moved = shl i64 %key_{last}, %shift
  %number = or i64 %moved, %i
  %p_number = getelementptr i64, ptr %numbers, i64 %i
  store i64 %number, ptr %p_number
  %digit = and i64 %key_{last}, %mask
  %p_count = getelementptr i32, ptr %counts, i64 %digit
  %count = load i32, ptr %p_count
  %count_next = add i32 %count, 1
  store i32 %count_next, ptr %p_count
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %sorted_all = phi i1 [ true, %entry ], [ %sorted, %row ], [ %sorted_next, %onward ]
  %done = phi i64 [ 0, %entry ], [ %i, %row ], [ %i_next, %onward ]
  %flag = zext i1 %sorted_all to i64
  store i64 %flag, ptr %state
  %p_done = getelementptr i64, ptr %state, i64 1
  store i64 %done, ptr %p_done
  ret void
}}
"""
_SIZE: Final = """  %p_size_{c} = getelementptr i64, ptr %sizes, i64 {c}
  %size_{c} = load i64, ptr %p_size_{c}"""
_KEY_FIRST: Final = """  %begin = mul i64 %i, {columns}
  %site = getelementptr i32, ptr %coords, i64 %begin
  %narrow_0 = load i32, ptr %site
  %key_0 = sext i32 %narrow_0 to i64"""
_KEY_AXIS: Final = """  %p_narrow_{c} = getelementptr i32, ptr %site, i64 {c}
  %narrow_{c} = load i32, ptr %p_narrow_{c}
  %coord_{c} = sext i32 %narrow_{c} to i64
  %cells_{c} = mul i64 %key_{before}, %size_{c}
  %key_{c} = add i64 %cells_{c}, %coord_{c}"""
_INSIDE: Final = """  %fits_{c} = icmp ult i64 {coord}, %size_{c}
  %inside_{c} = and i1 {inside}, %fits_{c}"""
_GATHERED: Final = """
; numbers = key * 2^shift + row: rows of coords in their order, that order, and the first key that comes again, or n
define void @gathered_{columns}(
  ptr %coords, ptr %numbers, i64 %n, i64 %shift, ptr %coords_out, ptr %order_out, ptr %twice
) #0 {{
entry:
  %size = shl i64 1, %shift
  %mask = sub i64 %size, 1
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %leave
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %row ]
  %found = phi i64 [ %n, %entry ], [ %found_next, %row ]
  %before = phi i64 [ -1, %entry ], [ %key, %row ]
  %p_number = getelementptr i64, ptr %numbers, i64 %i
  %number = load i64, ptr %p_number
  %key = lshr i64 %number, %shift
  %from = and i64 %number, %mask
  %p_order = getelementptr i64, ptr %order_out, i64 %i
  store i64 %from, ptr %p_order
  %begin = mul i64 %from, {columns}
  %site = getelementptr i32, ptr %coords, i64 %begin
  %begin_out = mul i64 %i, {columns}
  %site_out = getelementptr i32, ptr %coords_out, i64 %begin_out
  %whole = load <{columns} x i32>, ptr %site, align 4
  store <{columns} x i32> %whole, ptr %site_out, align 4
  %same = icmp eq i64 %key, %before
  %here = select i1 %same, i64 %i, i64 %n
  %found_next = call i64 @llvm.umin.i64(i64 %found, i64 %here)
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %found_all = phi i64 [ %n, %entry ], [ %found_next, %row ]
  store i64 %found_all, ptr %twice
  ret void
}}
"""
_RADIX: Final = """
declare i64 @llvm.umin.i64(i64, i64)
; counts are of all values of a digit, mask + 1 of them; numbers of those of the next digit are added up on the way
define void @radix_pass(
  ptr %numbers, i64 %n, i64 %shift, i64 %mask, ptr %counts, i64 %shift_next, ptr %counts_next, ptr %numbers_out
) #0 {
entry:
  br label %sum
sum:                                              ; counts become places
  %d = phi i64 [ 0, %entry ], [ %d_next, %sum ]
  %place = phi i32 [ 0, %entry ], [ %place_next, %sum ]
  %p_place = getelementptr i32, ptr %counts, i64 %d
  %own = load i32, ptr %p_place
  store i32 %place, ptr %p_place
  %place_next = add i32 %place, %own
  %d_next = add i64 %d, 1
  %more_sum = icmp sle i64 %d_next, %mask
  br i1 %more_sum, label %sum, label %ready
ready:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %move, label %leave
move:
  %i = phi i64 [ 0, %ready ], [ %i_next, %move ]
  %p_from = getelementptr i64, ptr %numbers, i64 %i
  %number = load i64, ptr %p_from
  %high = lshr i64 %number, %shift
  %bucket = and i64 %high, %mask
  %p_to = getelementptr i32, ptr %counts, i64 %bucket
  %to = load i32, ptr %p_to
  %to_next = add i32 %to, 1
  store i32 %to_next, ptr %p_to
  %to_wide = zext i32 %to to i64
  %p_out = getelementptr i64, ptr %numbers_out, i64 %to_wide
  store i64 %number, ptr %p_out
  %high_next = lshr i64 %number, %shift_next
  %bucket_next = and i64 %high_next, %mask
  %p_count = getelementptr i32, ptr %counts_next, i64 %bucket_next
  %count = load i32, ptr %p_count
  %count_next = add i32 %count, 1
  store i32 %count_next, ptr %p_count
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %move, label %leave
leave:
  ret void
}
"""


@cache
def site_code() -> Library:
    """Compile the native code once per process."""
    texts = {"radix_pass": _RADIX}
    texts |= {f"site_keys_{columns}": _site_keys(columns) for columns in _COLUMNS}
    texts |= {f"numbered_{columns}": _numbered(columns) for columns in _COLUMNS}
    texts |= {f"gathered_{columns}": _GATHERED.format(columns=columns) for columns in _COLUMNS}
    return library("".join(texts.values()) + "attributes #0 = { nounwind }\n", tuple(texts), host())


def _site_keys(columns: int) -> str:
    return _KEYS.format(columns=columns, last=columns - 1, line=columns - 2, **_rows(columns))


def _numbered(columns: int) -> str:
    coords = ["%key_0", *(f"%coord_{c}" for c in range(1, columns))]
    inside = ["true", *(f"%inside_{c}" for c in range(columns))]
    tests = "\n".join(_INSIDE.format(c=c, coord=coords[c], inside=inside[c]) for c in range(columns))
    return _NUMBERED.format(columns=columns, last=columns - 1, inside=tests, **_rows(columns))


def _rows(columns: int) -> dict[str, str]:
    """Write what loads the grid's sizes and makes the key of a row."""
    sizes = "\n".join(_SIZE.format(c=c) for c in range(columns))
    axes = (_KEY_AXIS.format(c=c, before=c - 1) for c in range(1, columns))
    return {"entry": _ENTRY.format(sizes=sizes), "key": "\n".join([_KEY_FIRST.format(columns=columns), *axes])}
