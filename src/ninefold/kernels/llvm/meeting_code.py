"""The native code that finds which nodes of an input and an output meet along one axis; `meetings` tells the way.

    sort_items   pairs of parents -> for every output parent, which input parents it meets and by which path
    tally        how many pairs each kernel offset will have in a part
    sum_up       from these, where its pairs go, and how many there are in all
    count        these three, where there is one part
    meet_D       the pairs, and the output's nodes, which have D columns before the last
    renumber     turns output rows that count from the start of a part into rows of all

All are kernels that a plan can call, with the address of a record of 64-bit numbers, `FIELDS`. `tally` and `meet_D` do
the part of the output's parents whose number the first range begins with, `renumber` the part behind that one, and the
others all at once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.meeting_walk import LOW, meet
from ninefold.kernels.llvm.node_code import FIELDS
from ninefold.kernels.llvm.record import entry_arguments, loads
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

_PART: Final = """
  %before_part = mul i64 %parents, %a0
  %from = udiv i64 %before_part, %parts
  %part_next = add i64 %a0, 1
  %through_part = mul i64 %parents, %part_next
  %to = udiv i64 %through_part, %parts
  %begin_part = mul i64 %a0, %part_words
  %part = getelementptr i64, ptr %memory, i64 %begin_part
  %own_places = getelementptr i64, ptr %part, i64 %places
"""
_SORT_ITEMS: Final = """
define void @sort_items({arguments}) #0 {{
entry:
{loads}
  %p_end = getelementptr i64, ptr %pair_starts, i64 %paths
  %pairs = load i64, ptr %p_end
  %behind = getelementptr i64, ptr %item_starts, i64 2
  %cursors = getelementptr i64, ptr %item_starts, i64 1
  %some = icmp sgt i64 %pairs, 0
  br i1 %some, label %count, label %leave
count:
  %c = phi i64 [ 0, %entry ], [ %c_next, %count ]
  %p_out_c = getelementptr i32, ptr %pair_outputs, i64 %c
  %narrow_out_c = load i32, ptr %p_out_c
  %out_c = sext i32 %narrow_out_c to i64
  %p_count = getelementptr i64, ptr %behind, i64 %out_c
  %count_before = load i64, ptr %p_count
  %count_next = add i64 %count_before, 1
  store i64 %count_next, ptr %p_count
  %c_next = add i64 %c, 1
  %more_count = icmp slt i64 %c_next, %pairs
  br i1 %more_count, label %count, label %sum
sum:                                              ; counts become cursors: where the next item of each row goes
  %s = phi i64 [ 0, %count ], [ %s_next, %sum ]
  %total = phi i64 [ 0, %count ], [ %total_next, %sum ]
  %p_own = getelementptr i64, ptr %cursors, i64 %s
  %own = load i64, ptr %p_own
  %total_next = add i64 %total, %own
  store i64 %total_next, ptr %p_own
  %s_next = add i64 %s, 1
  %more_sum = icmp slt i64 %s_next, %parents
  br i1 %more_sum, label %sum, label %list
list:
  %l = phi i64 [ 0, %sum ], [ %l_next, %listed ]
  %path = shl i64 %l, 32
  %p_start = getelementptr i64, ptr %pair_starts, i64 %l
  %start = load i64, ptr %p_start
  %l_next = add i64 %l, 1
  %p_stop = getelementptr i64, ptr %pair_starts, i64 %l_next
  %stop = load i64, ptr %p_stop
  %any = icmp slt i64 %start, %stop
  br i1 %any, label %pair, label %listed
pair:
  %p = phi i64 [ %start, %list ], [ %p_next, %pair ]
  %p_in = getelementptr i32, ptr %pair_inputs, i64 %p
  %narrow_in = load i32, ptr %p_in
  %in = zext i32 %narrow_in to i64
  %item = or i64 %in, %path
  %p_out = getelementptr i32, ptr %pair_outputs, i64 %p
  %narrow_out = load i32, ptr %p_out
  %out = sext i32 %narrow_out to i64
  %p_cursor = getelementptr i64, ptr %cursors, i64 %out
  %cursor = load i64, ptr %p_cursor
  %cursor_next = add i64 %cursor, 1
  store i64 %cursor_next, ptr %p_cursor
  %p_item = getelementptr i64, ptr %items, i64 %cursor
  store i64 %item, ptr %p_item
  %p_next = add i64 %p, 1
  %more_pairs = icmp slt i64 %p_next, %stop
  br i1 %more_pairs, label %pair, label %listed
listed:
  %more = icmp slt i64 %l_next, %paths
  br i1 %more, label %list, label %leave
leave:
  ret void
}}
"""

_TALLY: Final = """
define void @tally({arguments}) #0 {{
entry:
{opening}
  %p_from = getelementptr i64, ptr %item_starts, i64 %from
  %first_item = load i64, ptr %p_from
  %p_to = getelementptr i64, ptr %item_starts, i64 %to
  %last_item = load i64, ptr %p_to
  %some = icmp slt i64 %first_item, %last_item
  br i1 %some, label %item, label %leave
item:
  %i = phi i64 [ %first_item, %entry ], [ %i_next, %counted ]
  %p_item = getelementptr i64, ptr %items, i64 %i
  %both = load i64, ptr %p_item
  %input = and i64 %both, {low}
  %path = lshr i64 %both, 32
  %begin_counts = mul i64 %input, %kernel
  %own_counts = getelementptr i32, ptr %entry_counts, i64 %begin_counts
  %begin = mul i64 %path, %kernel
  %own_tallies = getelementptr i64, ptr %own_places, i64 %begin
  br label %offset
offset:
  %r = phi i64 [ 0, %item ], [ %r_next, %offset ]
  %p_more = getelementptr i32, ptr %own_counts, i64 %r
  %narrow_more = load i32, ptr %p_more
  %more_pairs = zext i32 %narrow_more to i64
  %p_tally = getelementptr i64, ptr %own_tallies, i64 %r
  %tally = load i64, ptr %p_tally
  %tally_next = add i64 %tally, %more_pairs
  store i64 %tally_next, ptr %p_tally
  %r_next = add i64 %r, 1
  %more_offsets = icmp slt i64 %r_next, %kernel
  br i1 %more_offsets, label %offset, label %counted
counted:
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %last_item
  br i1 %more, label %item, label %leave
leave:
  ret void
}}
"""
_SUM_UP: Final = """
define void @sum_up({arguments}) #0 {{
entry:
{loads}
  %lists = mul i64 %paths, %kernel
  %all_places = getelementptr i64, ptr %memory, i64 %places
  store i64 0, ptr %starts
  br label %list
list:
  %l = phi i64 [ 0, %entry ], [ %l_next, %listed ]
  %start = phi i64 [ 0, %entry ], [ %sum_next, %listed ]
  br label %part
part:
  %p = phi i64 [ 0, %list ], [ %p_next, %part ]
  %sum = phi i64 [ %start, %list ], [ %sum_next, %part ]
  %begin = mul i64 %p, %part_words
  %own = add i64 %begin, %l
  %p_place = getelementptr i64, ptr %all_places, i64 %own
  %pairs = load i64, ptr %p_place
  store i64 %sum, ptr %p_place
  %sum_next = add i64 %sum, %pairs
  %p_next = add i64 %p, 1
  %p_first = getelementptr i64, ptr %first_rows, i64 %p_next
  %row_first = load i64, ptr %p_first
  %first_next = add i64 %row_first, %pairs
  store i64 %first_next, ptr %p_first
  %more_parts = icmp slt i64 %p_next, %parts
  br i1 %more_parts, label %part, label %listed
listed:
  %l_next = add i64 %l, 1
  %p_start = getelementptr i64, ptr %starts, i64 %l_next
  store i64 %sum_next, ptr %p_start
  %more_lists = icmp slt i64 %l_next, %lists
  br i1 %more_lists, label %list, label %rows
rows:                                             ; numbers of pairs become places
  %q = phi i64 [ 0, %listed ], [ %q_next, %rows ]
  %row = phi i64 [ 0, %listed ], [ %row_next, %rows ]
  %p_row = getelementptr i64, ptr %first_rows, i64 %q
  %more_rows = load i64, ptr %p_row
  %row_next = add i64 %row, %more_rows
  store i64 %row_next, ptr %p_row
  %q_next = add i64 %q, 1
  %more = icmp slt i64 %q_next, %parts
  br i1 %more, label %rows, label %leave
leave:
  ret void
}}
"""
_RENUMBER: Final = """
; the part behind a0; where its pairs begin is where those of a0 end
define void @renumber({arguments}) #0 {{
entry:
{opening}
  %lists = mul i64 %paths, %kernel
  br label %sum
sum:
  %s = phi i64 [ 0, %entry ], [ %s_next, %sum ]
  %base = phi i64 [ 0, %entry ], [ %base_next, %sum ]
  %p_found = getelementptr i64, ptr %row_counts, i64 %s
  %rows = load i64, ptr %p_found
  %base_next = add i64 %base, %rows
  %s_next = add i64 %s, 1
  %more_parts = icmp sle i64 %s_next, %a0
  br i1 %more_parts, label %sum, label %ready
ready:
  %narrow_base = trunc i64 %base_next to i32
  %begin = mul i64 %a0, %part_words
  %begin_places = add i64 %begin, %places
  %ends_before = getelementptr i64, ptr %memory, i64 %begin_places
  %ends = getelementptr i64, ptr %ends_before, i64 %part_words
  br label %list
list:
  %l = phi i64 [ 0, %ready ], [ %l_next, %onward ]
  %p_start = getelementptr i64, ptr %ends_before, i64 %l
  %start = load i64, ptr %p_start
  %p_stop = getelementptr i64, ptr %ends, i64 %l
  %stop = load i64, ptr %p_stop
  %any = icmp slt i64 %start, %stop
  br i1 %any, label %pair, label %onward
pair:
  %p = phi i64 [ %start, %list ], [ %p_next, %pair ]
  %p_out = getelementptr i32, ptr %out_rows, i64 %p
  %row = load i32, ptr %p_out
  %row_all = add i32 %row, %narrow_base
  store i32 %row_all, ptr %p_out
  %p_next = add i64 %p, 1
  %more_pairs = icmp slt i64 %p_next, %stop
  br i1 %more_pairs, label %pair, label %onward
onward:
  %l_next = add i64 %l, 1
  %more = icmp slt i64 %l_next, %lists
  br i1 %more, label %list, label %leave
leave:
  ret void
}}
"""


@cache
def meeting_code() -> Library:
    """Compile the native code once per process."""
    given = {"arguments": entry_arguments(), "opening": f"{loads(FIELDS)}{_PART}"}
    texts = {"tally": _TALLY.format(low=LOW, **given), "renumber": _RENUMBER.format(**given)}
    whole = {"arguments": entry_arguments(), "loads": loads(FIELDS)}
    calls = "\n".join(f"  call void @{name}({whole['arguments']})" for name in ("sort_items", "tally", "sum_up"))
    texts["count"] = f"\ndefine void @count({whole['arguments']}) #0 {{\n{calls}\n  ret void\n}}\n"
    texts |= {"sort_items": _SORT_ITEMS.format(**whole), "sum_up": _SUM_UP.format(**whole)}
    texts |= {f"meet_{columns}": meet(columns, **given) for columns in range(1, 5)}
    declared = "declare i64 @llvm.cttz.i64(i64, i1)\ndeclare void @llvm.prefetch.p0(ptr, i32, i32, i32)\n"
    return library("".join([*texts.values(), declared, "attributes #0 = { nounwind }\n"]), tuple(texts), host())
