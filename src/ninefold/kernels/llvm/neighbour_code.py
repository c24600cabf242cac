"""The native code that finds which sites of a sparse grid are neighbours.

Sorted keys are walked through once per row of a window, so nothing is hashed and no memory is as large as the grid:

    neighbours_W     for every key, which of the W keys from key + delta on are there

Lines of cells are walked through first: most sites of a scan have no line beside them in which to look.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.record import entry_arguments, loads
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

WINDOW: Final = {
    "keys": "ptr",  # int64: of sites, increasing; behind the last, W numbers larger than every one looked for
    "lines": "ptr",  # int64 (count,): keys of lines, as `site_keys_C` gives them; behind the last, a number likewise
    "starts": "ptr",  # int64 (count + 1,)
    "count": "i64",
    "line_delta": "i64",  # from a site's line to the one to look in
    "delta": "i64",  # from a site's key to the first one to look for
    "a": "ptr",  # int32: a site's row, for every pair of the first list; every list has room for one pair too many
    "b": "ptr",  # int32: the row of the site that was looked for
    "room": "i64",  # numbers from one list to the next
    "counts": "ptr",  # int64: behind W - 1 others, how many pairs the first list has; backwards those of the others
}
WIDTHS: Final = (1, 2, 3, 4, 5, 7)  # of a window's row; others are put together from these

# A kernel that a plan can call, with the address of a record of 64-bit numbers, `WINDOW`.
_NEIGHBOURS: Final = """
; list j gets (i, row of key[i] + delta + j) for every i where there is one
define void @neighbours_{width}({arguments}) #0 {{
entry:
{loads}
  %some = icmp sgt i64 %count, 0
{places}
  br i1 %some, label %line, label %leave
line:
  %l = phi i64 [ 0, %entry ], [ %l_next, %onward ]
  %from_line = phi i64 [ 0, %entry ], [ %at_line, %onward ]
{line_counts}
  %p_line = getelementptr i64, ptr %lines, i64 %l
  %own_line = load i64, ptr %p_line
  %wanted_line = add i64 %own_line, %line_delta
  %l_next = add i64 %l, 1
  br label %walk_lines
walk_lines:
  %at_line = phi i64 [ %from_line, %line ], [ %at_line_next, %walk_lines ]
  %p_there = getelementptr i64, ptr %lines, i64 %at_line
  %there_line = load i64, ptr %p_there
  %at_line_next = add i64 %at_line, 1
  %below_line = icmp slt i64 %there_line, %wanted_line
  br i1 %below_line, label %walk_lines, label %found_line
found_line:
  %is_line = icmp eq i64 %there_line, %wanted_line
  br i1 %is_line, label %look_along, label %onward
look_along:
  %p_first = getelementptr i64, ptr %starts, i64 %l
  %first = load i64, ptr %p_first
  %p_end = getelementptr i64, ptr %p_first, i64 1
  %end = load i64, ptr %p_end
  %p_from = getelementptr i64, ptr %starts, i64 %at_line
  %from_first = load i64, ptr %p_from
  br label %look
look:
  %i = phi i64 [ %first, %look_along ], [ %i_next, %found ]
  %from = phi i64 [ %from_first, %look_along ], [ %at, %found ]
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
  %more_sites = icmp slt i64 %i_next, %end
  br i1 %more_sites, label %look, label %onward
onward:
{merged}
  %more = icmp slt i64 %l_next, %count
  br i1 %more, label %line, label %leave
leave:
{totals}
{kept}
  ret void
}}
"""
_PLACE: Final = """  %before_{j} = mul i64 %room, {j}
  %a_{j} = getelementptr i32, ptr %a, i64 %before_{j}
  %b_{j} = getelementptr i32, ptr %b, i64 %before_{j}"""
_LINE_COUNT: Final = "  %count_line_{j} = phi i64 [ 0, %entry ], [ %count_on_{j}, %onward ]"
_COUNT: Final = "  %count_{j} = phi i64 [ %count_line_{j}, %look_along ], [ %count_next_{j}, %found ]"
_MERGED: Final = "  %count_on_{j} = phi i64 [ %count_line_{j}, %found_line ], [ %count_next_{j}, %found ]"
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
_TOTAL: Final = "  %all_{j} = phi i64 [ 0, %entry ], [ %count_on_{j}, %onward ]"
_KEEP: Final = """  %p_all_{j} = getelementptr i64, ptr %counts, i64 -{j}
  store i64 %all_{j}, ptr %p_all_{j}"""


@cache
def neighbour_code() -> Library:
    """Compile the native code once per process."""
    texts = {f"neighbours_{width}": _neighbours(width) for width in WIDTHS}
    return library("".join(texts.values()) + "attributes #0 = { nounwind }\n", tuple(texts), host())


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
        line_counts=lines(_LINE_COUNT),
        counts=lines(_COUNT),
        merged=lines(_MERGED),
        window=lines(_ONE),
        totals=lines(_TOTAL),
        kept=lines(_KEEP),
    )
