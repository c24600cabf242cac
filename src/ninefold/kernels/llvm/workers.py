"""The threads that help with plans: started once, then always in native code.

A worker is a Python thread that calls the interpreter and does not come back: it looks for work for about a
millisecond, then sleeps until the system wakes it, and never takes Python's lock again. Where the system has no futex
it waits in Python instead, and begins later. No worker is tied to a processor, and nobody waits for a worker that was
called and has not begun: see `interpreter`.

One run at a time has the workers; one that comes meanwhile from another Python thread is computed by that thread
alone, with the same result. A process made by fork starts with no workers and gets its own when it needs them.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Final, final

from ninefold.kernels.llvm.interpreter import RUN, TEAM, interpreter, sleeps_natively
from ninefold.kernels.llvm.memory import buffer

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS: Final = 1e-3
_END_SECONDS: Final = 2.0
_LEAD: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_WORK: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
_PAUSES: Final = ctypes.CFUNCTYPE(None, ctypes.c_int64)


@final
class Team:
    """Workers, none at first.

    Args:
        native: whether they wait in native code; else in Python.
    """

    def __init__(self, *, native: bool) -> None:
        self._native = native
        self._memory = buffer(TEAM.itemsize // 4)
        self._record = self._memory.view(TEAM)[0]
        self._record["patience"] = _patience()
        self._record["give_way"] = _give_way()
        self._record["system"] = _system_call() if native else 0
        self._address = self._memory.ctypes.data
        self._lead = _LEAD(interpreter().addresses["lead"])
        self._busy = threading.Lock()
        self._workers: list[_Worker] = []

    def run(self, run: int, threads: int) -> bool:
        """Compute a run with up to so many threads, this one among them; returns when all is done.

        Args:
            run: address of a record `interpreter.RUN` whose `threads` is `threads`.
            threads: >= 2.

        Returns:
            False if the team is busy with another run: then nothing was done.
        """
        if not self._busy.acquire(blocking=False):
            return False
        try:
            self._grow(threads - 1)
            self._open(run, threads - 1)
        finally:
            self._busy.release()
        return True

    def run_alone(self, run: int) -> None:
        """Compute a run whose `threads` is 1, on this thread."""
        self._lead(self._address, run)

    def dismiss(self) -> None:
        """End the workers; a run that comes later starts new ones. A team that stays busy is left alone."""
        if not self._busy.acquire(timeout=_END_SECONDS):
            return
        try:
            nothing = buffer(RUN.itemsize // 4)
            nothing.view(RUN)["threads"] = len(self._workers) + 1
            self._record["quit"] = 1
            self._open(nothing.ctypes.data, len(self._workers))
            for worker in self._workers:
                worker.thread.join(_END_SECONDS)
            self._workers = []
            self._record["quit"] = 0
        finally:
            self._busy.release()

    def _open(self, run: int, workers: int) -> None:
        for worker in self._workers[:workers]:
            worker.called.release()
        self._lead(self._address, run)

    def _grow(self, workers: int) -> None:
        for who in range(len(self._workers) + 1, workers + 1):
            self._workers.append(_Worker(self._work, who))

    def _work(self, who: int, called: threading.Semaphore) -> None:
        if self._native:
            _WORK(interpreter().addresses["serve"])(self._address, who)
            return
        help_once = _WORK(interpreter().addresses["help"])
        while called.acquire() and not self._record["quit"]:
            help_once(self._address, who)


@final
class _Worker:
    """A thread, and what wakes it where it waits in Python."""

    def __init__(self, work: Callable[[int, threading.Semaphore], None], who: int) -> None:
        self.called = threading.Semaphore(0)
        self.thread = threading.Thread(target=work, args=(who, self.called), name=f"ninefold-{who}", daemon=True)
        self.thread.start()


@cache
def team() -> Team:
    """Give the workers of this process."""
    return Team(native=sleeps_natively())


@cache
def _patience() -> int:
    """Count the pauses in `PATIENCE_SECONDS`: a pause takes 10 to 140 cycles, depending on the processor."""
    pauses, count = _PAUSES(interpreter().addresses["pauses"]), 10_000
    pauses(count)
    least = min(_seconds(pauses, count) for _ in range(3))  # the longer ones were interrupted
    return max(1, round(count * PATIENCE_SECONDS / least))


def _seconds(pauses: Callable[[int], None], count: int) -> float:
    start = perf_counter()
    pauses(count)
    return perf_counter() - start


def _give_way() -> int:
    """Give the address of the system's call that lets another thread have the processor; 0 where none is known."""
    if sys.platform == "win32":
        return 0
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0


def _system_call() -> int:
    return ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value or 0


def _end() -> None:
    if team.cache_info().currsize:
        team().dismiss()


atexit.register(_end)  # while Python ends, no worker may look at memory that is being given back
if sys.platform != "win32":
    os.register_at_fork(after_in_child=team.cache_clear)
