"""The native code that walks through a plan, on the thread that asked for it and on those that help.

A run is a list of steps, and a step is a kernel with its addresses and its grid cut into chunks. All chunks of a run
are numbered through, and whoever is free takes the next number; so a thread that the system takes away for a while
holds up one chunk and nothing else, and one that wakes late finds less to do. A step that needs the results of earlier
ones starts when so many chunks are done as come before it.

    lead(team, run)     opens the door, wakes who sleeps, takes chunks until none is left, waits for those that others
                        took, closes the door
    help(team, who)     takes chunks while the door is open
    serve(team, who)    helps again and again, and waits in between: first looking, then asleep
    pauses(count)       passes the time

The text is written by hand: it is control flow over a few atomic numbers, and no arithmetic.
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.target import Target

# The records that Python writes and the code below reads: all fields are 64 bits wide. What threads write often stands
# alone in its cache line.
_LINE: Final = 8
STEP: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kernel", "x", "weight", "bias", "y", "residual"),  # addresses; x, y and residual of the first picture
            *("x_bytes", "y_bytes", "residual_bytes"),  # from one picture to the next
            *("a", "b", "a_chunk", "b_chunk"),  # the grid of a picture, and of a chunk
            *("b_chunks", "chunks"),  # along the second axis of a picture, and of a whole picture
            *("start", "stop"),  # the numbers of its chunks in the run
            "needs",  # how many chunks must be done before it starts
        )
    ]
)
RUN: Final = np.dtype(
    {
        "names": ["next", "done", "steps", "end", "chunks", "scratch", "scratch_bytes", "threads"],
        "formats": [np.int64] * 8,
        "offsets": [8 * field for field in (0, _LINE, *range(2 * _LINE, 2 * _LINE + 6))],
        "itemsize": 8 * 3 * _LINE,
    }
)
TEAM: Final = np.dtype(
    {
        "names": ["ticket", "outside", "door", "sleepers", "quit", "patience", "give_way", "system"],
        "formats": [np.int64] * 8,
        "offsets": [8 * field for field in (0, _LINE, *range(2 * _LINE, 2 * _LINE + 6))],
        "itemsize": 8 * 3 * _LINE,
    }
)
ENTRIES: Final = ("lead", "help", "serve", "pauses")

_FUTEX: Final = {"x86_64": 202, "aarch64": 98}  # the number of Linux's system call
_TYPES: Final = """
%Step = type { ptr, ptr, ptr, ptr, ptr, ptr, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64 }
%Run  = type { i64, [7 x i64], i64, [7 x i64], ptr, ptr, i64, ptr, i64, i64, [2 x i64] }
%Team = type { i64, [7 x i64], i64, [7 x i64], ptr, i64, i64, i64, ptr, ptr, [2 x i64] }
declare i64 @llvm.smin.i64(i64, i64)
attributes #0 = { nounwind }
"""
_WALK: Final = """
; takes chunks until none is left; `give_way` lets other threads run, where the system has such a call
define internal void @walk(ptr %run, i64 %who, ptr %give_way) #0 {
entry:
  %next = getelementptr %Run, ptr %run, i32 0, i32 0
  %done = getelementptr %Run, ptr %run, i32 0, i32 2
  %p_steps = getelementptr %Run, ptr %run, i32 0, i32 4
  %p_end = getelementptr %Run, ptr %run, i32 0, i32 5
  %p_scratch = getelementptr %Run, ptr %run, i32 0, i32 7
  %p_bytes = getelementptr %Run, ptr %run, i32 0, i32 8
  %steps = load ptr, ptr %p_steps
  %end = load ptr, ptr %p_end
  %all_scratch = load ptr, ptr %p_scratch
  %bytes = load i64, ptr %p_bytes
  %before_own = mul i64 %bytes, %who
  %scratch = getelementptr i8, ptr %all_scratch, i64 %before_own
  br label %look
look:                                             ; which chunk is next, and of which step
  %from = phi ptr [ %steps, %entry ], [ %step, %take ], [ %step, %compute ]
  %chunk = load atomic i64, ptr %next monotonic, align 8
  br label %find
find:
  %step = phi ptr [ %from, %look ], [ %following, %onward ]
  %over = icmp eq ptr %step, %end
  br i1 %over, label %leave, label %compare
compare:
  %p_stop = getelementptr %Step, ptr %step, i32 0, i32 16
  %stop = load i64, ptr %p_stop
  %inside = icmp slt i64 %chunk, %stop
  br i1 %inside, label %ready, label %onward
onward:
  %following = getelementptr %Step, ptr %step, i64 1
  br label %find
ready:                                            ; wait before taking: who waits holds nothing
  %p_needs = getelementptr %Step, ptr %step, i32 0, i32 17
  %needs = load i64, ptr %p_needs
  call void @wait(ptr %done, i64 %needs, ptr %give_way)
  br label %take
take:
  %after = add i64 %chunk, 1
  %exchange = cmpxchg ptr %next, i64 %chunk, i64 %after acquire monotonic
  %mine = extractvalue { i64, i1 } %exchange, 1
  br i1 %mine, label %compute, label %look
compute:
  call void @compute(ptr %step, i64 %chunk, ptr %scratch)
  %counted = atomicrmw add ptr %done, i64 1 release
  br label %look
leave:
  ret void
}
"""
_COMPUTE: Final = """
; calls the step's kernel on the part of the grid that the chunk stands for
define internal void @compute(ptr %step, i64 %chunk, ptr %scratch) #0 {{
{fields}
  %nth = sub i64 %chunk, %start
  %picture = udiv i64 %nth, %chunks
  %in_picture = urem i64 %nth, %chunks
  %a_nth = udiv i64 %in_picture, %b_chunks
  %b_nth = urem i64 %in_picture, %b_chunks
  %a0 = mul i64 %a_nth, %a_chunk
  %b0 = mul i64 %b_nth, %b_chunk
  %a_after = add i64 %a0, %a_chunk
  %b_after = add i64 %b0, %b_chunk
  %a1 = call i64 @llvm.smin.i64(i64 %a_after, i64 %a)
  %b1 = call i64 @llvm.smin.i64(i64 %b_after, i64 %b)
  %x_ahead = mul i64 %x_bytes, %picture
  %y_ahead = mul i64 %y_bytes, %picture
  %residual_ahead = mul i64 %residual_bytes, %picture
  %x_here = getelementptr i8, ptr %x, i64 %x_ahead
  %y_here = getelementptr i8, ptr %y, i64 %y_ahead
  %residual_here = getelementptr i8, ptr %residual, i64 %residual_ahead
  call void %kernel(ptr %x_here, ptr %weight, ptr %bias, ptr %y_here, ptr %residual_here, ptr %scratch,
    i64 %a0, i64 %a1, i64 %b0, i64 %b1)
  ret void
}}
"""
_WAIT: Final = """
; whether the counter reaches a number within so many looks
define internal i1 @reached(ptr %counter, i64 %wanted, i64 %looks) #0 {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %i_next, %again ]
  %seen = load atomic i64, ptr %counter seq_cst, align 8
  %enough = icmp sge i64 %seen, %wanted
  br i1 %enough, label %leave, label %again
again:
  call void @pause()
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %looks
  br i1 %more, label %look, label %leave
leave:
  ret i1 %enough
}
; waits for it; now and then another thread may have the processor, which may be the one that is waited for
define internal void @wait(ptr %counter, i64 %wanted, ptr %give_way) #0 {
entry:
  br label %look
look:
  %enough = call i1 @reached(ptr %counter, i64 %wanted, i64 1000)
  br i1 %enough, label %leave, label %busy
busy:
  %can = icmp ne ptr %give_way, null
  br i1 %can, label %give, label %look
give:
  %ignored = call i32 %give_way()
  br label %look
leave:
  ret void
}
; so many pauses: how workers learn what their patience is in seconds
define void @pauses(i64 %count) #0 {
entry:
  %never = alloca i64
  store i64 0, ptr %never
  %ignored = call i1 @reached(ptr %never, i64 1, i64 %count)
  ret void
}
"""
_TEAM: Final = """
; the thread that asked: number 0
define void @lead(ptr %team, ptr %run) #0 {
entry:
  %ticket = getelementptr %Team, ptr %team, i32 0, i32 0
  %outside = getelementptr %Team, ptr %team, i32 0, i32 2
  %door = getelementptr %Team, ptr %team, i32 0, i32 4
  %p_give_way = getelementptr %Team, ptr %team, i32 0, i32 8
  %give_way = load ptr, ptr %p_give_way
  %done = getelementptr %Run, ptr %run, i32 0, i32 2
  %p_chunks = getelementptr %Run, ptr %run, i32 0, i32 6
  %chunks = load i64, ptr %p_chunks
  %p_threads = getelementptr %Run, ptr %run, i32 0, i32 9
  %threads = load i64, ptr %p_threads
  %alone = icmp slt i64 %threads, 2
  %mode = call i32 @flush_denormals()
  br i1 %alone, label %walk, label %open
open:
  store atomic ptr %run, ptr %door seq_cst, align 8
  %drawn = atomicrmw add ptr %ticket, i64 1 seq_cst
  call void @wake(ptr %team)
  br label %walk
walk:
  call void @walk(ptr %run, i64 0, ptr %give_way)
  call void @wait(ptr %done, i64 %chunks, ptr %give_way)
  br i1 %alone, label %leave, label %close
close:                                            ; after this nobody looks at the run any more
  store atomic ptr null, ptr %door seq_cst, align 8
  call void @wait(ptr %outside, i64 0, ptr %give_way)
  br label %leave
leave:
  call void @restore_mode(i32 %mode)
  ret void
}
; one round of another thread
define void @help(ptr %team, i64 %who) #0 {
entry:
  %outside = getelementptr %Team, ptr %team, i32 0, i32 2
  %door = getelementptr %Team, ptr %team, i32 0, i32 4
  %p_give_way = getelementptr %Team, ptr %team, i32 0, i32 8
  %give_way = load ptr, ptr %p_give_way
  %mode = call i32 @flush_denormals()
  %in = atomicrmw sub ptr %outside, i64 1 seq_cst  ; below zero: somebody is inside
  %run = load atomic ptr, ptr %door seq_cst, align 8
  %open = icmp ne ptr %run, null
  br i1 %open, label %count, label %leave
count:
  %p_threads = getelementptr %Run, ptr %run, i32 0, i32 9
  %threads = load i64, ptr %p_threads
  %wanted = icmp slt i64 %who, %threads
  br i1 %wanted, label %walk, label %leave
walk:
  call void @walk(ptr %run, i64 %who, ptr %give_way)
  br label %leave
leave:
  %out = atomicrmw add ptr %outside, i64 1 seq_cst
  call void @restore_mode(i32 %mode)
  ret void
}
; the whole life of another thread
define void @serve(ptr %team, i64 %who) #0 {
entry:
  %ticket = getelementptr %Team, ptr %team, i32 0, i32 0
  %p_quit = getelementptr %Team, ptr %team, i32 0, i32 6
  %p_patience = getelementptr %Team, ptr %team, i32 0, i32 7
  %patience = load i64, ptr %p_patience
  br label %idle
idle:
  %seen = phi i64 [ 0, %entry ], [ %seen, %sleep ], [ %now, %work ]
  %wanted = add i64 %seen, 1
  %called = call i1 @reached(ptr %ticket, i64 %wanted, i64 %patience)
  br i1 %called, label %rise, label %sleep
sleep:
  call void @sleep(ptr %team, i64 %seen)
  br label %idle
rise:
  %now = load atomic i64, ptr %ticket seq_cst, align 8
  %quit = load atomic i64, ptr %p_quit seq_cst, align 8
  %stays = icmp eq i64 %quit, 0
  br i1 %stays, label %work, label %leave
work:
  call void @help(ptr %team, i64 %who)
  br label %idle
leave:
  ret void
}
"""
_SLEEP: Final = """
; sleeps unless the ticket has changed since; the system looks at its lower half
define internal void @sleep(ptr %team, i64 %seen) #0 {{
  %sleepers = getelementptr %Team, ptr %team, i32 0, i32 5
  %p_system = getelementptr %Team, ptr %team, i32 0, i32 9
  %system = load ptr, ptr %p_system
  %more = atomicrmw add ptr %sleepers, i64 1 seq_cst
  %ignored = call i64 (i64, ...) %system(i64 {number}, ptr %team, i64 128, i64 %seen, ptr null)
  %fewer = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  ret void
}}
define internal void @wake(ptr %team) #0 {{
entry:
  %sleepers = getelementptr %Team, ptr %team, i32 0, i32 5
  %p_system = getelementptr %Team, ptr %team, i32 0, i32 9
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %some = icmp sgt i64 %asleep, 0
  br i1 %some, label %call, label %leave
call:
  %system = load ptr, ptr %p_system
  %ignored = call i64 (i64, ...) %system(i64 {number}, ptr %team, i64 129, i64 2147483647)
  br label %leave
leave:
  ret void
}}
"""
_NO_SLEEP: Final = """
define internal void @sleep(ptr %team, i64 %seen) #0 {
  ret void
}
define internal void @wake(ptr %team) #0 {
  ret void
}
"""
_X86: Final = """
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal void @pause() #0 {
  call void @llvm.x86.sse2.pause()
  ret void
}
; numbers too small for a float's full precision count as zero: they would take a hundred times as long
define internal i32 @flush_denormals() #0 {
  %memory = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %memory)
  %mode = load i32, ptr %memory
  %flushing = or i32 %mode, 32832
  store i32 %flushing, ptr %memory
  call void @llvm.x86.sse.ldmxcsr(ptr %memory)
  ret i32 %mode
}
define internal void @restore_mode(i32 %mode) #0 {
  %memory = alloca i32
  store i32 %mode, ptr %memory
  call void @llvm.x86.sse.ldmxcsr(ptr %memory)
  ret void
}
"""
_NOT_X86: Final = """
define internal void @pause() #0 {
  ret void
}
define internal i32 @flush_denormals() #0 {
  ret i32 0
}
define internal void @restore_mode(i32 %mode) #0 {
  ret void
}
"""


@cache
def interpreter() -> Library:
    """Compile the native code once per process; it exports `ENTRIES`."""
    return library(_text(host()), ENTRIES, host())


def sleeps_natively() -> bool:
    """Tell whether a thread can sleep without Python: with Linux's futex, on processors whose call number is known."""
    return sys.platform == "linux" and platform.machine() in _FUTEX


def _text(target: Target) -> str:
    machine = _X86 if target.is_x86 else _NOT_X86
    sleep = _SLEEP.format(number=_FUTEX[platform.machine()]) if sleeps_natively() else _NO_SLEEP
    compute = _COMPUTE.format(fields="\n".join(_loads("step", STEP)))
    parts = [_TYPES, machine, sleep, compute, _WAIT, _WALK, _TEAM]
    return "\n".join(parts)


def _loads(record: str, fields: np.dtype[np.void]) -> Iterator[str]:
    addresses = ("kernel", "x", "weight", "bias", "y", "residual")
    for place, field in enumerate(fields.names or ()):
        kind = "ptr" if field in addresses else "i64"
        yield f"  %p_{field} = getelementptr %{record.title()}, ptr %{record}, i32 0, i32 {place}"
        yield f"  %{field} = load {kind}, ptr %p_{field}"
