"""The native code that prepares what `meeting_code` walks through: nodes of a tree of coordinates, and what they meet.

    heads      rows of coordinates -> the distinct rows without the last column, and where each begins
    entries    every node's last coordinate -> the places that it meets on this axis, and under which offsets; a kernel
               that a plan can call, with the address of a record, `FIELDS`, for the part of the parents a0

An entry is (place, node + offset * 2^32). The places of all children of a parent are also kept as slots (word, bits):
place p is bit p % 64 of word p / 64, and places that follow each other in one word share a slot.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.record import entry_arguments, loads
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from ninefold.kernels.llvm.compiled import Library

FIELDS: Final = {
    "parts": "i64",  # that the parents are cut into
    "parents": "i64",
    "columns": "i64",  # of coords
    "coords": "ptr",  # int32 (children, columns)
    "starts": "ptr",  # int64 (parents + 1,): where the children of each begin
    "times": "i64",  # this and the next five: see `_ENTRIES`
    "first": "i64",
    "step": "i64",
    "limit": "i64",
    "inverse": "i64",
    "rest": "i64",
    "most": "i64",  # entries that a child has at most
    "bounds": "ptr",  # int64 (parents, 2): first entry, and the one behind the last
    "entry_places": "ptr",  # int32 (children * most + parts,): of the entries; every part has room for one too many
    "entry_rows": "ptr",  # int64, likewise: node + offset * 2^32
    "entry_counts": "ptr",  # int32 (parents, offsets): how many entries
    "slot_bounds": "ptr",  # int64 (parents, 2)
    "slots": "ptr",  # int64 (children * most + parts, 2)
}
_OFFSET_BITS: Final = 32

_HEADS: Final = """
; coords have one column more than heads; count[0] = how many heads there are; starts have one more
define void @heads(ptr %coords, i64 %n, ptr %heads, ptr %starts, ptr %count) #0 {{
entry:
  br label %row
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %row ]
  %j = phi i64 [ 0, %entry ], [ %j_next, %row ]
{before}
  %begin = mul i64 %i, {wide}
  %own = getelementptr i32, ptr %coords, i64 %begin
  %begin_head = mul i64 %j, {columns}
  %head = getelementptr i32, ptr %heads, i64 %begin_head
{columns_of_row}
  %p_start = getelementptr i64, ptr %starts, i64 %j
  store i64 %i, ptr %p_start
  %one = zext i1 %differs_{columns} to i64
  %j_next = add i64 %j, %one
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
  %p_end = getelementptr i64, ptr %starts, i64 %j_next
  store i64 %n, ptr %p_end
  store i64 %j_next, ptr %count
  ret void
}}
"""
_BEFORE: Final = "  %before_{c} = phi i32 [ -1, %entry ], [ %here_{c}, %row ]"  # no coordinate is negative
_COLUMN: Final = """  %p_own_{c} = getelementptr i32, ptr %own, i64 {c}
  %here_{c} = load i32, ptr %p_own_{c}
  %p_head_{c} = getelementptr i32, ptr %head, i64 {c}
  store i32 %here_{c}, ptr %p_head_{c}
  %unlike_{c} = icmp ne i32 %here_{c}, %before_{c}
  %differs_{next} = or i1 {differs}, %unlike_{c}"""
# A place is number / (2 * divisor), number = coordinate * times + first + step * offset, where that is whole and
# number < limit; times, first, step and limit are doubled. With inverse = 2^63 / divisor rounded up, number * inverse
# is place * 2^64 + rest, and rest is at most 2 * inverse - 1 where the division has none: for numbers < 2^64 / divisor.
_ENTRIES: Final = """
define void @entries({arguments}) #0 {{
entry:
{loads}
  %before_part = mul i64 %parents, %a0
  %from = udiv i64 %before_part, %parts
  %part_next = add i64 %a0, 1
  %through_part = mul i64 %parents, %part_next
  %to = udiv i64 %through_part, %parts
  %p_child = getelementptr i64, ptr %starts, i64 %from
  %first_child = load i64, ptr %p_child
  %most_before = mul i64 %first_child, %most
  %room_before = add i64 %most_before, %a0
  %last_column = sub i64 %columns, 1
  %last_coords = getelementptr i32, ptr %coords, i64 %last_column
  %wide = zext i64 %inverse to i128
  br label %parent
parent:
  %j = phi i64 [ %from, %entry ], [ %j_next, %onward ]
  %e_parent = phi i64 [ %room_before, %entry ], [ %e_{kernel}, %onward ]
  %s_parent = phi i64 [ %room_before, %entry ], [ %s_all, %onward ]
  %twice_j = shl i64 %j, 1
  %p_start = getelementptr i64, ptr %starts, i64 %j
  %start = load i64, ptr %p_start
  %p_stop = getelementptr i64, ptr %p_start, i64 1
  %stop = load i64, ptr %p_stop
  br label %child
child:
  %i = phi i64 [ %start, %parent ], [ %i_next, %child ]
  %e_0 = phi i64 [ %e_parent, %parent ], [ %e_{kernel}, %child ]
{counts}
  %begin = mul i64 %i, %columns
  %p_coord = getelementptr i32, ptr %last_coords, i64 %begin
  %narrow_coord = load i32, ptr %p_coord
  %coord = sext i32 %narrow_coord to i64
  %moved = mul i64 %coord, %times
  %number_0 = add i64 %moved, %first
{offsets}
  %i_next = add i64 %i, 1
  %more_children = icmp slt i64 %i_next, %stop
  br i1 %more_children, label %child, label %count
count:
  %begin_counts = mul i64 %j, {kernel}
  %own_counts = getelementptr i32, ptr %entry_counts, i64 %begin_counts
{totals}
  %any = icmp slt i64 %e_parent, %e_{kernel}
  br i1 %any, label %slot, label %onward
slot:
  %e = phi i64 [ %e_parent, %count ], [ %e_next, %slot ]
  %s = phi i64 [ %s_parent, %count ], [ %s_own, %slot ]
  %word = phi i64 [ -1, %count ], [ %word_next, %slot ]
  %bits = phi i64 [ 0, %count ], [ %bits_next, %slot ]
  %p_entry = getelementptr i32, ptr %entry_places, i64 %e
  %narrow_entry = load i32, ptr %p_entry
  %entry_place = zext i32 %narrow_entry to i64
  %word_next = lshr i64 %entry_place, 6
  %bit_number = and i64 %entry_place, 63
  %bit = shl i64 1, %bit_number
  %is_same = icmp eq i64 %word, %word_next
  %kept = select i1 %is_same, i64 %bits, i64 0
  %bits_next = or i64 %kept, %bit
  %is_second = icmp ne i64 %e, %e_parent
  %is_other = xor i1 %is_same, true
  %moves = and i1 %is_second, %is_other
  %slot_step = zext i1 %moves to i64
  %s_own = add i64 %s, %slot_step
  %twice = shl i64 %s_own, 1
  %p_slot = getelementptr i64, ptr %slots, i64 %twice
  store i64 %word_next, ptr %p_slot
  %p_bits = getelementptr i64, ptr %p_slot, i64 1
  store i64 %bits_next, ptr %p_bits
  %e_next = add i64 %e, 1
  %more_entries = icmp slt i64 %e_next, %e_{kernel}
  br i1 %more_entries, label %slot, label %slotted
slotted:
  %s_next = add i64 %s_own, 1
  br label %onward
onward:
  %s_all = phi i64 [ %s_parent, %count ], [ %s_next, %slotted ]
  %p_bound = getelementptr i64, ptr %bounds, i64 %twice_j
  store i64 %e_parent, ptr %p_bound
  %p_end = getelementptr i64, ptr %p_bound, i64 1
  store i64 %e_{kernel}, ptr %p_end
  %p_slot_bound = getelementptr i64, ptr %slot_bounds, i64 %twice_j
  store i64 %s_parent, ptr %p_slot_bound
  %p_slot_end = getelementptr i64, ptr %p_slot_bound, i64 1
  store i64 %s_all, ptr %p_slot_end
  %j_next = add i64 %j, 1
  %more = icmp slt i64 %j_next, %to
  br i1 %more, label %parent, label %leave
leave:
  ret void
}}
"""
_COUNT: Final = "  %count_{r} = phi i32 [ 0, %parent ], [ %count_next_{r}, %child ]"
_OFFSET: Final = """  %row_{r} = or i64 %i, {offset}
  %below_{r} = icmp ult i64 %number_{r}, %limit
  %long_{r} = zext i64 %number_{r} to i128
  %product_{r} = mul i128 %long_{r}, %wide
  %high_{r} = lshr i128 %product_{r}, 64
  %place_{r} = trunc i128 %high_{r} to i64
  %low_{r} = trunc i128 %product_{r} to i64
  %is_whole_{r} = icmp ule i64 %low_{r}, %rest
  %meets_{r} = and i1 %below_{r}, %is_whole_{r}
  %p_place_{r} = getelementptr i32, ptr %entry_places, i64 %e_{r}
  %narrow_place_{r} = trunc i64 %place_{r} to i32
  store i32 %narrow_place_{r}, ptr %p_place_{r}
  %p_row_{r} = getelementptr i64, ptr %entry_rows, i64 %e_{r}
  store i64 %row_{r}, ptr %p_row_{r}
  %narrow_one_{r} = zext i1 %meets_{r} to i32
  %count_next_{r} = add i32 %count_{r}, %narrow_one_{r}
  %one_{r} = zext i1 %meets_{r} to i64
  %e_{next} = add i64 %e_{r}, %one_{r}
  %number_{next} = add i64 %number_{r}, %step"""
_TOTAL: Final = """  %p_count_{r} = getelementptr i32, ptr %own_counts, i64 {r}
  store i32 %count_next_{r}, ptr %p_count_{r}"""


@cache
def head_code(columns: int) -> Library:
    """Compile `heads` for rows of so many columns without the last."""
    differs = ["false", *(f"%differs_{c}" for c in range(1, columns + 1))]
    text = _HEADS.format(
        columns=columns,
        wide=columns + 1,
        before="\n".join(_BEFORE.format(c=c) for c in range(columns)),
        columns_of_row="\n".join(_COLUMN.format(c=c, next=c + 1, differs=differs[c]) for c in range(columns)),
    )
    return _library(text, "heads")


@cache
def entry_code(kernel: int) -> Library:
    """Compile `entries` for an axis with so many offsets."""
    every = range(kernel)
    text = _ENTRIES.format(
        kernel=kernel,
        arguments=entry_arguments(),
        loads=loads(FIELDS),
        counts="\n".join(_COUNT.format(r=r) for r in every),
        offsets="\n".join(_OFFSET.format(r=r, next=r + 1, offset=r << _OFFSET_BITS) for r in every),
        totals="\n".join(_TOTAL.format(r=r) for r in every),
    )
    return _library(text, "entries")


def _library(text: str, name: str) -> Library:
    return library(text + "attributes #0 = { nounwind }\n", (name,), host())
