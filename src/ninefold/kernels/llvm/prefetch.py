"""Bringing scattered small objects near all at once, before somebody looks at them one after the other.

A network's weights and maps push everything else out of the near caches, so that looking at a few hundred objects
means waiting for memory several times for each. A processor that is told of all addresses beforehand waits for many of
them at the same time. Prefetching changes nothing and fails on no address, whatever lies there or no more.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.target import host

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS: Final = range(2, 6)  # of an object: behind a count of references and a type, where most keep pointers
_FETCH: Final = "call void @llvm.prefetch.p0(ptr {}, i32 0, i32 3, i32 1)"
_TEXT: Final = """
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define void @near(ptr %objects, i64 %count) {{
entry:
  br label %fetch
fetch:                                            ; the objects
  %i = phi i64 [ 0, %entry ], [ %i_next, %fetch ]
  %place = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %place
  {fetch}
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %count
  br i1 %more, label %fetch, label %follow
follow:                                           ; what they point to
  %k = phi i64 [ 0, %fetch ], [ %k_next, %follow ]
  %k_place = getelementptr ptr, ptr %objects, i64 %k
  %known = load ptr, ptr %k_place
{follow}
  %k_next = add i64 %k, 1
  %k_more = icmp slt i64 %k_next, %count
  br i1 %k_more, label %follow, label %leave
leave:
  ret void
}}
"""


@final
class Prefetch:
    """Brings objects, and what they point to, into the near caches when it is called.

    Args:
        addresses: of objects of at least 48 bytes that live as long as this value; at least one.
    """

    def __init__(self, addresses: Iterable[int]) -> None:
        self._addresses = np.fromiter(addresses, np.int64)
        self._call = _near()
        self._arguments = self._addresses.ctypes.data, len(self._addresses)

    def __call__(self) -> None:
        """Fetch them all."""
        self._call(*self._arguments)


@cache
def _near() -> Any:
    made = library(_text(), ("near",), host())
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(made.addresses["near"])
    function.library = made
    return function


def _text() -> str:
    lines = []
    for word in _WORDS:
        lines += [
            f"  %field_{word} = getelementptr ptr, ptr %known, i64 {word}",
            f"  %pointer_{word} = load ptr, ptr %field_{word}",
            f"  {_FETCH.format(f'%pointer_{word}')}",
            f"  %behind_{word} = getelementptr i8, ptr %pointer_{word}, i64 64",  # the line behind, too
            f"  {_FETCH.format(f'%behind_{word}')}",
        ]
    return _TEXT.format(fetch=_FETCH.format("%object"), follow="\n".join(lines))
