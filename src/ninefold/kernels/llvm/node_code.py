"""The native code that prepares what `meeting_code` walks through: nodes of a tree of coordinates, and what they meet.

    nodes      sites -> the nodes of all axes before the last one, and where the children of each begin
    entries    every node's last coordinate -> the places that it meets on this axis, and under which offsets; a kernel
               that a plan can call, with the address of a record, `FIELDS`, for the part of input parents a0

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

# One record is for all kernels of an axis. P paths lead from input parents to output parents, and K offsets along this
# axis from their children to each other.
FIELDS: Final = {
    "inputs": "i64",  # parents of the input
    "input_parts": "i64",  # that they are cut into
    "children": "ptr",  # int32 (children, columns), of which the last column counts
    "columns": "i64",
    "child_starts": "ptr",  # int64 (inputs + 1,): where the children of each begin
    "times": "i64",  # this and the next four: see `_ENTRIES`
    "first": "i64",
    "step": "i64",
    "turn": "i64",
    "cells": "i64",  # on the output's axis
    "most": "i64",  # entries that a child has at most
    "bounds": "ptr",  # int64 (inputs, 2): first entry of each, and the one behind its last
    "entry_places": "ptr",  # int32 (children * most + parts,): of the entries; every part has room for one too many
    "entry_rows": "ptr",  # int64, likewise: node + offset * 2^32
    "entry_counts": "ptr",  # int32 (inputs, K): how many entries each has under an offset
    "slot_bounds": "ptr",  # int64 (inputs, 2): likewise of the slots
    "slots": "ptr",  # int64 (children * most + parts, 2): word, and its bits
    "parents": "i64",  # of the output
    "parts": "i64",  # that they are cut into
    "paths": "i64",  # P
    "kernel": "i64",  # K
    "pair_inputs": "ptr",  # int32: input parents of all pairs of parents, path by path
    "pair_outputs": "ptr",  # int32: likewise output parents
    "pair_starts": "ptr",  # int64 (P + 1,): where the pairs of each path begin, and the end
    "items": "ptr",  # int64: input parent + path * 2^32, for every output parent in the order of paths
    "item_starts": "ptr",  # int64 (output parents + 2,): zeros; then where those of each begin
    "heads": "ptr",  # int32 (output parents, D): their coordinates
    "memory": "ptr",  # of the parts, one behind the other
    "part_words": "i64",  # 64-bit words of a part's memory; below: where in it each array begins
    "places": "i64",  # (P * K,): how many pairs there will be; then where the next one goes
    "marks": "i64",  # (words + groups,): zeros, and left so
    "ranks": "i64",  # int32 (places on the output's axis,): for use on the way
    "words": "i64",  # 64-bit words that hold a bit for every place on the output's axis
    "groups": "i64",  # 64-bit words that hold a bit for every such word
    "starts": "ptr",  # int64 (P * K + 1,): where each list of pairs begins, and the end
    "first_rows": "ptr",  # int64 (parts + 1,): zeros; then where each part's output nodes go, each having a pair
    "row_counts": "ptr",  # int64 (parts,): how many output nodes each part has
    "coords": "ptr",  # int32 (rows, D + 1): the output's nodes
    "in_rows": "ptr",  # int32: of all pairs
    "out_rows": "ptr",  # int32: of all pairs, by `meet_D` counted from the start of the part
}
_OFFSET_BITS: Final = 32

_NODES: Final = """
; level c has the distinct rows of the first c + 1 columns: counts[c] of them, their last coordinates places[c][..], and
; where their children begin, starts[c][..]
define void @nodes(ptr %coords, i64 %n, ptr %places, ptr %starts, ptr %counts) #0 {{
entry:
  %room = add i64 %n, 1
{levels}
  br label %row
row:
  %i = phi i64 [ 0, %entry ], [ %i_next, %lowest ]
{before}
  %begin = mul i64 %i, {columns}
  %own = getelementptr i32, ptr %coords, i64 %begin
{compared}
  br i1 {upper_differs}, label %upper, label %lowest
upper:                                            ; rarely: most rows differ from the one before on the last axes only
{upper_levels}
  br label %lowest
lowest:
{merged}
{lowest_level}
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %n
  br i1 %more, label %row, label %leave
leave:
{ends}
  ret void
}}
"""
_LEVEL: Final = """  %begin_{c} = mul i64 %room, {c}
  %places_{c} = getelementptr i32, ptr %places, i64 %begin_{c}
  %starts_{c} = getelementptr i64, ptr %starts, i64 %begin_{c}"""
_BEFORE: Final = """  %j_{c} = phi i64 [ 0, %entry ], [ %j_{c}_next, %lowest ]
  %before_{c} = phi i32 [ -1, %entry ], [ %here_{c}, %lowest ]"""  # no coordinate is negative
_COMPARED: Final = """  %p_own_{c} = getelementptr i32, ptr %own, i64 {c}
  %here_{c} = load i32, ptr %p_own_{c}
  %unlike_{c} = icmp ne i32 %here_{c}, %before_{c}
  %differs_{c} = or i1 {differs}, %unlike_{c}"""
# What is written at j is a node when it differs from the one before; else the next row is written over it.
_LEVEL_OF_ROW: Final = """  %p_place_{c} = getelementptr i32, ptr %places_{c}, i64 %j_{c}
  store i32 %here_{c}, ptr %p_place_{c}
  %p_start_{c} = getelementptr i64, ptr %starts_{c}, i64 %j_{c}
  store i64 {child}, ptr %p_start_{c}
  %one_{c} = zext i1 %differs_{c} to i64
  %j_{c}_{then} = add i64 %j_{c}, %one_{c}"""
_MERGED: Final = "  %j_{c}_next = phi i64 [ %j_{c}, %row ], [ %j_{c}_up, %upper ]"
_END: Final = """  %p_end_{c} = getelementptr i64, ptr %starts_{c}, i64 %j_{c}_next
  store i64 {children}, ptr %p_end_{c}
  %p_count_{c} = getelementptr i64, ptr %counts, i64 {c}
  store i64 %j_{c}_next, ptr %p_count_{c}"""
# A place is (coordinate * a + b + c * offset) / divisor, where that is whole and on the axis. All counts modulo 2^64:
# numbers come multiplied by the inverse of the divisor's odd part, so that turned right by as many bits as the divisor
# is even, a multiple of it is the quotient, and any other number larger than every quotient of 64 bits.
_ENTRIES: Final = """
define void @entries({arguments}) #0 {{
entry:
{loads}
  %before_part = mul i64 %inputs, %a0
  %from = udiv i64 %before_part, %input_parts
  %part_next = add i64 %a0, 1
  %through_part = mul i64 %inputs, %part_next
  %to = udiv i64 %through_part, %input_parts
  %p_child = getelementptr i64, ptr %child_starts, i64 %from
  %first_child = load i64, ptr %p_child
  %most_before = mul i64 %first_child, %most
  %room_before = add i64 %most_before, %a0
  %last_column = sub i64 %columns, 1
  %last_coords = getelementptr i32, ptr %children, i64 %last_column
  br label %parent
parent:
  %j = phi i64 [ %from, %entry ], [ %j_next, %onward ]
  %e_parent = phi i64 [ %room_before, %entry ], [ %e_{kernel}, %onward ]
  %s_parent = phi i64 [ %room_before, %entry ], [ %s_all, %onward ]
  %twice_j = shl i64 %j, 1
  %p_start = getelementptr i64, ptr %child_starts, i64 %j
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
  br i1 %any, label %first_slot, label %onward
first_slot:
  %p_first = getelementptr i32, ptr %entry_places, i64 %e_parent
  %narrow_first = load i32, ptr %p_first
  %first_place = zext i32 %narrow_first to i64
  %first_word = lshr i64 %first_place, 6
  br label %slot
slot:
  %e = phi i64 [ %e_parent, %first_slot ], [ %e_next, %slot ]
  %s = phi i64 [ %s_parent, %first_slot ], [ %s_own, %slot ]
  %word = phi i64 [ %first_word, %first_slot ], [ %word_next, %slot ]
  %bits = phi i64 [ 0, %first_slot ], [ %bits_next, %slot ]
  %p_entry = getelementptr i32, ptr %entry_places, i64 %e
  %narrow_entry = load i32, ptr %p_entry
  %entry_place = zext i32 %narrow_entry to i64
  %word_next = lshr i64 %entry_place, 6
  %bit_number = and i64 %entry_place, 63
  %bit = shl i64 1, %bit_number
  %is_same = icmp eq i64 %word, %word_next
  %kept = select i1 %is_same, i64 %bits, i64 0
  %bits_next = or i64 %kept, %bit
  %is_other = xor i1 %is_same, true
  %slot_step = zext i1 %is_other to i64
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
  %place_{r} = call i64 @llvm.fshr.i64(i64 %number_{r}, i64 %number_{r}, i64 %turn)
  %meets_{r} = icmp ult i64 %place_{r}, %cells
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
def node_code(axes: int) -> Library:
    """Compile `nodes` for sites on so many axes."""
    levels, upper = range(axes), range(axes - 1)
    children = [f"%j_{c}" for c in range(1, axes)]
    differs = ["false", *(f"%differs_{c}" for c in levels)]
    ends = zip(levels, [*(f"{child}_next" for child in children), "%n"], strict=True)
    text = _NODES.format(
        columns=axes + 1,
        levels="\n".join(_LEVEL.format(c=c) for c in levels),
        before="\n".join(_BEFORE.format(c=c) for c in levels),
        compared="\n".join(_COMPARED.format(c=c, differs=differs[c]) for c in levels),
        upper_differs=differs[axes - 1],
        upper_levels="\n".join(_LEVEL_OF_ROW.format(c=c, child=children[c], then="up") for c in upper),
        merged="\n".join(_MERGED.format(c=c) for c in upper),
        lowest_level=_LEVEL_OF_ROW.format(c=axes - 1, child="%i", then="next"),
        ends="\n".join(_END.format(c=c, children=number) for c, number in ends),
    )
    return _library(text, "nodes")


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
    return _library(f"declare i64 @llvm.fshr.i64(i64, i64, i64)\n{text}", "entries")


def _library(text: str, name: str) -> Library:
    return library(text + "attributes #0 = { nounwind }\n", (name,), host())
