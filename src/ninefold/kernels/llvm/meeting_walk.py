"""The text of `meet_D`, which walks through the output's parents and writes down who meets whom; see `meeting_code`."""

from __future__ import annotations

from typing import Final

_HEAD: Final = """  %p_head_{c} = getelementptr i32, ptr %head, i64 {c}
  %head_{c} = load i32, ptr %p_head_{c}"""
_NODE: Final = """  %p_node_{c} = getelementptr i32, ptr %node, i64 {c}
  store i32 %head_{c}, ptr %p_node_{c}"""
LOW: Final = (1 << 32) - 1  # the bits of an item that are its input
# For every output parent: through the input parents that lead to it, a bit for every place that one of their children
# meets, a row for every bit in order, and again through the children, to write down who met which row. There are as
# many lists as offsets, too many for a processor to see where each is going to write: the next line of cache is asked
# for early.
_MEET: Final = """
define void @meet_{columns}({arguments}) #0 {{
entry:
{opening}
  %own_words = getelementptr i64, ptr %part, i64 %marks
  %own_groups = getelementptr i64, ptr %own_words, i64 %words
  %own_ranks = getelementptr i64, ptr %part, i64 %ranks
  %p_first_row = getelementptr i64, ptr %first_rows, i64 %a0
  %first_row = load i64, ptr %p_first_row
  %begin_coords = mul i64 %first_row, {wide}
  %own_coords = getelementptr i32, ptr %coords, i64 %begin_coords
  %some = icmp slt i64 %from, %to
  br i1 %some, label %parent, label %leave
parent:
  %o = phi i64 [ %from, %entry ], [ %o_next, %onward ]
  %row_parent = phi i64 [ 0, %entry ], [ %row_group, %onward ]
  %begin_head = mul i64 %o, {columns}
  %head = getelementptr i32, ptr %heads, i64 %begin_head
{head}
  %p_from_item = getelementptr i64, ptr %item_starts, i64 %o
  %from_item = load i64, ptr %p_from_item
  %p_to_item = getelementptr i64, ptr %p_from_item, i64 1
  %to_item = load i64, ptr %p_to_item
  br label %mark_input
mark_input:
  %m = phi i64 [ %from_item, %parent ], [ %m_next, %marked ]
  %low_input = phi i64 [ %groups, %parent ], [ %low_marked, %marked ]
  %high_input = phi i64 [ -1, %parent ], [ %high_marked, %marked ]
  %p_item_m = getelementptr i64, ptr %items, i64 %m
  %item_m = load i64, ptr %p_item_m
  %input_m = and i64 %item_m, {low}
  %twice_input_m = shl i64 %input_m, 1
  %p_bound_m = getelementptr i64, ptr %slot_bounds, i64 %twice_input_m
  %start_m = load i64, ptr %p_bound_m
  %p_end_m = getelementptr i64, ptr %p_bound_m, i64 1
  %stop_m = load i64, ptr %p_end_m
  %any_m = icmp slt i64 %start_m, %stop_m
  br i1 %any_m, label %mark, label %marked
mark:
  %s = phi i64 [ %start_m, %mark_input ], [ %s_next, %mark ]
  %low = phi i64 [ %low_input, %mark_input ], [ %low_next, %mark ]
  %high = phi i64 [ %high_input, %mark_input ], [ %high_next, %mark ]
  %twice_s = shl i64 %s, 1
  %p_slot = getelementptr i64, ptr %slots, i64 %twice_s
  %word = load i64, ptr %p_slot
  %p_slot_bits = getelementptr i64, ptr %p_slot, i64 1
  %slot_bits = load i64, ptr %p_slot_bits
  %p_word = getelementptr i64, ptr %own_words, i64 %word
  %word_old = load i64, ptr %p_word
  %word_new = or i64 %word_old, %slot_bits
  store i64 %word_new, ptr %p_word
  %group = lshr i64 %word, 6
  %word_bit_number = and i64 %word, 63
  %word_bit = shl i64 1, %word_bit_number
  %p_group = getelementptr i64, ptr %own_groups, i64 %group
  %group_old = load i64, ptr %p_group
  %group_new = or i64 %group_old, %word_bit
  store i64 %group_new, ptr %p_group
  %is_lower = icmp slt i64 %group, %low
  %low_next = select i1 %is_lower, i64 %group, i64 %low
  %is_higher = icmp sgt i64 %group, %high
  %high_next = select i1 %is_higher, i64 %group, i64 %high
  %s_next = add i64 %s, 1
  %more_m = icmp slt i64 %s_next, %stop_m
  br i1 %more_m, label %mark, label %marked
marked:
  %low_marked = phi i64 [ %low_input, %mark_input ], [ %low_next, %mark ]
  %high_marked = phi i64 [ %high_input, %mark_input ], [ %high_next, %mark ]
  %m_next = add i64 %m, 1
  %more_inputs = icmp slt i64 %m_next, %to_item
  br i1 %more_inputs, label %mark_input, label %scan
scan:
  %g = phi i64 [ %low_marked, %marked ], [ %g_next, %next_group ]
  %row_group = phi i64 [ %row_parent, %marked ], [ %row_group_next, %next_group ]
  %is_group = icmp sle i64 %g, %high_marked
  br i1 %is_group, label %scan_group, label %place_input
scan_group:
  %p_scanned = getelementptr i64, ptr %own_groups, i64 %g
  %scanned = load i64, ptr %p_scanned
  store i64 0, ptr %p_scanned
  %words_before = shl i64 %g, 6
  %any_word = icmp ne i64 %scanned, 0
  br i1 %any_word, label %scan_word, label %next_group
scan_word:
  %words_left = phi i64 [ %scanned, %scan_group ], [ %words_left_next, %next_word ]
  %row_word = phi i64 [ %row_group, %scan_group ], [ %row_next, %next_word ]
  %number = call i64 @llvm.cttz.i64(i64 %words_left, i1 true)
  %w = or i64 %words_before, %number
  %p_bits = getelementptr i64, ptr %own_words, i64 %w
  %bits = load i64, ptr %p_bits
  store i64 0, ptr %p_bits
  %cells_before = shl i64 %w, 6
  br label %scan_bit
scan_bit:
  %bits_left = phi i64 [ %bits, %scan_word ], [ %bits_left_next, %scan_bit ]
  %row = phi i64 [ %row_word, %scan_word ], [ %row_next, %scan_bit ]
  %cell_number = call i64 @llvm.cttz.i64(i64 %bits_left, i1 true)
  %cell = or i64 %cells_before, %cell_number
  %p_rank = getelementptr i32, ptr %own_ranks, i64 %cell
  %narrow_row = trunc i64 %row to i32
  store i32 %narrow_row, ptr %p_rank
  %begin_node = mul i64 %row, {wide}
  %node = getelementptr i32, ptr %own_coords, i64 %begin_node
{node}
  %p_last = getelementptr i32, ptr %node, i64 {columns}
  %narrow_cell = trunc i64 %cell to i32
  store i32 %narrow_cell, ptr %p_last
  %row_next = add i64 %row, 1
  %below_bit = sub i64 %bits_left, 1
  %bits_left_next = and i64 %bits_left, %below_bit
  %more_bits = icmp ne i64 %bits_left_next, 0
  br i1 %more_bits, label %scan_bit, label %next_word
next_word:
  %below_word = sub i64 %words_left, 1
  %words_left_next = and i64 %words_left, %below_word
  %more_words = icmp ne i64 %words_left_next, 0
  br i1 %more_words, label %scan_word, label %next_group
next_group:
  %row_group_next = phi i64 [ %row_group, %scan_group ], [ %row_next, %next_word ]
  %g_next = add i64 %g, 1
  br label %scan
place_input:
  %t = phi i64 [ %from_item, %scan ], [ %t_next, %placed ]
  %p_item_t = getelementptr i64, ptr %items, i64 %t
  %item_t = load i64, ptr %p_item_t
  %input_t = and i64 %item_t, {low}
  %path_t = lshr i64 %item_t, 32
  %twice_input_t = shl i64 %input_t, 1
  %p_bound_t = getelementptr i64, ptr %bounds, i64 %twice_input_t
  %start_t = load i64, ptr %p_bound_t
  %p_end_t = getelementptr i64, ptr %p_bound_t, i64 1
  %stop_t = load i64, ptr %p_end_t
  %begin_path = mul i64 %path_t, %kernel
  %path_places = getelementptr i64, ptr %own_places, i64 %begin_path
  %any_t = icmp slt i64 %start_t, %stop_t
  br i1 %any_t, label %put, label %placed
put:
  %e = phi i64 [ %start_t, %place_input ], [ %e_next, %put ]
  %p_cell = getelementptr i32, ptr %entry_places, i64 %e
  %narrow_met = load i32, ptr %p_cell
  %met = zext i32 %narrow_met to i64
  %p_met = getelementptr i32, ptr %own_ranks, i64 %met
  %out_row = load i32, ptr %p_met
  %p_row = getelementptr i64, ptr %entry_rows, i64 %e
  %both = load i64, ptr %p_row
  %in_row = trunc i64 %both to i32
  %offset = lshr i64 %both, 32
  %p_place = getelementptr i64, ptr %path_places, i64 %offset
  %place = load i64, ptr %p_place
  %place_next = add i64 %place, 1
  store i64 %place_next, ptr %p_place
  %p_in = getelementptr i32, ptr %in_rows, i64 %place
  store i32 %in_row, ptr %p_in
  %p_in_ahead = getelementptr i32, ptr %p_in, i64 16
  call void @llvm.prefetch.p0(ptr %p_in_ahead, i32 1, i32 3, i32 1)
  %p_out = getelementptr i32, ptr %out_rows, i64 %place
  store i32 %out_row, ptr %p_out
  %p_out_ahead = getelementptr i32, ptr %p_out, i64 16
  call void @llvm.prefetch.p0(ptr %p_out_ahead, i32 1, i32 3, i32 1)
  %e_next = add i64 %e, 1
  %more_t = icmp slt i64 %e_next, %stop_t
  br i1 %more_t, label %put, label %placed
placed:
  %t_next = add i64 %t, 1
  %more_placed = icmp slt i64 %t_next, %to_item
  br i1 %more_placed, label %place_input, label %onward
onward:
  %o_next = add i64 %o, 1
  %more = icmp slt i64 %o_next, %to
  br i1 %more, label %parent, label %leave
leave:
  %total = phi i64 [ 0, %entry ], [ %row_group, %onward ]
  %p_found = getelementptr i64, ptr %row_counts, i64 %a0
  store i64 %total, ptr %p_found
  ret void
}}
"""


def meet(columns: int, arguments: str, opening: str) -> str:
    """Write the function for parents of so many columns.

    Args:
        columns: picture, and the axes before.
        arguments: of the function.
        opening: what gives the record's fields and the part their names.
    """
    return _MEET.format(
        arguments=arguments,
        opening=opening,
        low=LOW,
        columns=columns,
        wide=columns + 1,
        head="\n".join(_HEAD.format(c=c) for c in range(columns)),
        node="\n".join(_NODE.format(c=c) for c in range(columns)),
    )
