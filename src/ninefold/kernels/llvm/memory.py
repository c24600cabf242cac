"""Memory as kernels want it: float32 zeros that begin at a multiple of 64 bytes, in huge pages where there are any."""

from __future__ import annotations

import ctypes
import mmap
import sys
from contextlib import suppress
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

ALIGNMENT: Final = 64  # bytes: a cache line, and the widest vector
_LARGEST_LEARNT_FROM: Final = 2**25 - 2**16  # bytes, and some that the library needs itself
HUGE: Final = 2**21  # bytes of a huge page on x86; elsewhere it only decides from which size on to ask for some


def buffer(numbers: int) -> Float32:
    """Give zeros that no other value shares.

    Memory of two megabytes or more comes from the system page by page when first written, in huge pages where Linux
    allows: fewer addresses to translate, which is what streaming through large weights waits for.

    Args:
        numbers: how many, >= 0.

    >>> values = buffer(5)
    >>> values.sum(), values.ctypes.data % 64
    (np.float32(0.0), 0)
    """
    size = 4 * numbers
    if size < HUGE:
        return _aligned(bytearray(size + ALIGNMENT), ALIGNMENT, numbers)
    return _aligned(_pages(size), HUGE, numbers)


def copied(values: np.ndarray) -> Float32:
    """Give the numbers of an array, flat, in a buffer."""
    flat = buffer(values.size)
    flat[:] = values.ravel()
    return flat


def give_back(freed: int = HUGE) -> None:
    """Give memory that was freed back to the system, where the C library keeps it for later.

    Args:
        freed: bytes; few are not worth the system's time.
    """
    if sys.platform == "linux" and freed >= HUGE:
        with suppress(AttributeError):  # another library than glibc
            ctypes.CDLL(None).malloc_trim(0)


@cache
def keep_freed() -> None:
    """Let the C library keep up to 64 MiB of what is freed, where new memory comes from the system page by page.

    glibc keeps as much as twice the largest block that it was given back so far, and learns from blocks of up to
    32 MiB: it is given one. Where its environment variables say what to keep, they count.
    """
    if sys.platform == "linux":
        np.empty(_LARGEST_LEARNT_FROM, np.uint8)


def _pages(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size + HUGE)
    pages = mmap.mmap(-1, size + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared would be, with forks
    if sys.platform == "linux":
        with suppress(OSError):  # a kernel without huge pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


def _aligned(memory: bytearray | mmap.mmap, alignment: int, numbers: int) -> Float32:
    everything = np.frombuffer(memory, np.uint8)
    start = -everything.ctypes.data % alignment
    return everything[start : start + 4 * numbers].view(np.float32)
