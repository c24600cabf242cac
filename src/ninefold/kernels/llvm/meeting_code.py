"""The native code that finds which nodes of an input and an output meet along one axis; `meetings` tells the way.

    tally        how many pairs each kernel offset will have
    meet_D       the pairs, and the output's nodes, which have D columns before the last
    renumber     turns output rows that count from the start of a part into rows of all

All take the address of a record of 64-bit numbers, `FIELDS`, and do the part of the output's parents whose number the
first range begins with, as kernels that a plan can call. `renumber` does the part behind that one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.meeting_walk import meet
from ninefold.kernels.llvm.record import entry_arguments, loads
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

# P paths lead from input parents to output parents, and K offsets along this axis from their children to each other.
FIELDS: Final = {
    "parts": "i64",  # that the output's parents are cut into
    "parents": "i64",  # of the output
    "paths": "i64",  # P
    "kernel": "i64",  # K
    "pair_starts": "ptr",  # int64 (P + 1,): where the pairs of parents of every path begin
    "pair_inputs": "ptr",  # int32: input parents; one more than there are, as in pair_outputs
    "pair_outputs": "ptr",  # int32: output parents
    "bounds": "ptr",  # int64 (input parents, 2): first entry of each, and the one behind its last
    "entry_places": "ptr",  # int32: places on the output's axis; see `node_code`
    "entry_rows": "ptr",  # int64: node of the input + offset along this axis * 2^32
    "slot_bounds": "ptr",  # int64 (input parents, 2): likewise of the slots
    "slots": "ptr",  # int64 (slots, 2): word, and its bits
    "entry_counts": "ptr",  # int32 (input parents, K): how many entries each has under an offset
    "heads": "ptr",  # int32 (output parents, D): their coordinates
    "memory": "ptr",  # of the parts, one behind the other
    "part_words": "i64",  # 64-bit words of a part's memory; below: where in it each array begins
    "positions": "i64",  # (P,): where the part's pairs of parents begin, then where it is
    "places": "i64",  # (P * K,): how many pairs there will be; then where the next one goes
    "taken": "i64",  # (P, 2): for use on the way
    "marks": "i64",  # (words + groups,): zeros, and left so
    "ranks": "i64",  # int32 (places on the output's axis,): for use on the way
    "words": "i64",  # 64-bit words that hold a bit for every place on the output's axis
    "groups": "i64",  # 64-bit words that hold a bit for every such word
    "first_rows": "ptr",  # int64 (parts,): where each part's output nodes go
    "coords": "ptr",  # int32 (rows, D + 1): the output's nodes
    "in_rows": "ptr",  # int32: of all pairs
    "out_rows": "ptr",  # int32: of all pairs, counted from the start of the part
    "row_counts": "ptr",  # int64 (parts,): how many output nodes each part has
}
_PART: Final = """
  %before_part = mul i64 %parents, %a0
  %from = udiv i64 %before_part, %parts
  %part_next = add i64 %a0, 1
  %through_part = mul i64 %parents, %part_next
  %to = udiv i64 %through_part, %parts
  %begin_part = mul i64 %a0, %part_words
  %part = getelementptr i64, ptr %memory, i64 %begin_part
  %own_positions = getelementptr i64, ptr %part, i64 %positions
  %own_places = getelementptr i64, ptr %part, i64 %places
"""
_TALLY: Final = """
define void @tally({arguments}) #0 {{
entry:
{opening}
  br label %path
path:
  %k = phi i64 [ 0, %entry ], [ %k_next, %onward ]
  %p_start = getelementptr i64, ptr %pair_starts, i64 %k
  %start = load i64, ptr %p_start
  %p_stop = getelementptr i64, ptr %p_start, i64 1
  %stop = load i64, ptr %p_stop
  %begin = mul i64 %k, %kernel
  %own_tallies = getelementptr i64, ptr %own_places, i64 %begin
  br label %half
half:                                             ; pairs before low are of earlier parts, those from high on are not
  %low = phi i64 [ %start, %path ], [ %low_next, %look ]
  %high = phi i64 [ %stop, %path ], [ %high_next, %look ]
  %open = icmp slt i64 %low, %high
  br i1 %open, label %look, label %found
look:
  %sum = add i64 %low, %high
  %middle = lshr i64 %sum, 1
  %p_middle = getelementptr i32, ptr %pair_outputs, i64 %middle
  %narrow_middle = load i32, ptr %p_middle
  %output_middle = sext i32 %narrow_middle to i64
  %less = icmp slt i64 %output_middle, %from
  %behind = add i64 %middle, 1
  %low_next = select i1 %less, i64 %behind, i64 %low
  %high_next = select i1 %less, i64 %high, i64 %middle
  br label %half
found:
  %p_position = getelementptr i64, ptr %own_positions, i64 %k
  store i64 %low, ptr %p_position
  br label %pair
pair:
  %p = phi i64 [ %low, %found ], [ %p_next, %next_pair ]
  %is_there = icmp slt i64 %p, %stop
  %p_output = getelementptr i32, ptr %pair_outputs, i64 %p
  %narrow_output = load i32, ptr %p_output
  %output = sext i32 %narrow_output to i64
  %is_inside = icmp slt i64 %output, %to
  %counts = and i1 %is_there, %is_inside
  br i1 %counts, label %count, label %onward
count:
  %p_input = getelementptr i32, ptr %pair_inputs, i64 %p
  %narrow_input = load i32, ptr %p_input
  %input = sext i32 %narrow_input to i64
  %begin_counts = mul i64 %input, %kernel
  %own_counts = getelementptr i32, ptr %entry_counts, i64 %begin_counts
  br label %offset
offset:
  %r = phi i64 [ 0, %count ], [ %r_next, %offset ]
  %p_more = getelementptr i32, ptr %own_counts, i64 %r
  %narrow_more = load i32, ptr %p_more
  %more_pairs = zext i32 %narrow_more to i64
  %p_tally = getelementptr i64, ptr %own_tallies, i64 %r
  %tally = load i64, ptr %p_tally
  %tally_next = add i64 %tally, %more_pairs
  store i64 %tally_next, ptr %p_tally
  %r_next = add i64 %r, 1
  %more_offsets = icmp slt i64 %r_next, %kernel
  br i1 %more_offsets, label %offset, label %next_pair
next_pair:
  %p_next = add i64 %p, 1
  br label %pair
onward:
  %k_next = add i64 %k, 1
  %more = icmp slt i64 %k_next, %paths
  br i1 %more, label %path, label %leave
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
    texts = {"tally": _TALLY.format(**given), "renumber": _RENUMBER.format(**given)}
    texts |= {f"meet_{columns}": meet(columns, **given) for columns in range(1, 5)}
    declared = "declare i64 @llvm.cttz.i64(i64, i1)\ndeclare void @llvm.prefetch.p0(ptr, i32, i32, i32)\n"
    return library("".join([*texts.values(), declared, "attributes #0 = { nounwind }\n"]), tuple(texts), host())
