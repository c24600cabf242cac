"""Timing in alternation: every contestant in every round, and none beside another one's threads."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import get_native_id
from time import perf_counter, process_time, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CALLS: Final = 3  # timed ones of a round, behind one that is not
_THREADS: Final = Path("/proc/self/task")
_LOOKS: Final = 3
_LOOK_SECONDS: Final = 0.001
_TICKS_SECONDS: Final = 0.02  # several ticks of the clock that counts processor time
_LONGEST_SECONDS: Final = 1.0
_LONG_SECONDS: Final = 0.5  # a call: what a cache holds from the one before is nothing beside it


class Times(NamedTuple):
    """Seconds of all timed calls of a contestant."""

    median: float
    least: float


def alternate(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, between: Callable[[], None] = lambda: None
) -> dict[str, Times]:
    """Time contestants in turn.

    In every round each of them waits until the process is idle (see `settle`), is called once to fill the caches and
    to wake its threads, and then `CALLS` times on the clock. Each round begins with the next one, so that nobody always
    follows the same neighbour. Whose calls take long needs no call off the clock after the first round.

    Args:
        contestants: what to call, by name.
        rounds: >= 1.
        between: called before every round, when the process is idle.

    Raises:
        InvalidInput: when there is no round.
    """
    if rounds < 1:
        raise InvalidInput(f"rounds={rounds} came; wanted at least 1")
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for first in range(rounds):
        settle()
        between()
        for name in [*names[first % len(names) :], *names[: first % len(names)]] if names else ():
            settle()
            if min(seconds[name], default=0.0) < _LONG_SECONDS:
                contestants[name]()
            seconds[name] += [_timed(contestants[name]) for _ in range(CALLS)]
    return {name: Times(median(own), min(own)) for name, own in seconds.items()}


def settle() -> None:
    """Wait until no other thread of this process computes.

    Workers of several runtimes look for more work for a while after a call, for a millisecond or for a hundred, and
    would take processors away from whoever comes next. When several looks in a row find all of them asleep, they are
    idle. After a second somebody computes for good, and waiting is over.
    """
    end, quiet = perf_counter() + _LONGEST_SECONDS, 0
    while quiet < _LOOKS and perf_counter() < end:
        quiet = 0 if _others_compute() else quiet + 1


def _others_compute() -> bool:
    """Wait a moment and say whether another thread wants a processor, even one that other programs keep from it."""
    if not _THREADS.is_dir():  # not Linux
        used = process_time()
        sleep(_TICKS_SECONDS)
        return process_time() - used > 0.1 * _TICKS_SECONDS
    sleep(_LOOK_SECONDS)
    own = str(get_native_id())
    return any(_state(thread) == "R" for thread in _THREADS.iterdir() if thread.name != own)


def _state(thread: Path) -> str:
    """Give the letter of a thread's state: R runs or waits for a processor, S sleeps."""
    try:
        return (thread / "stat").read_text("utf-8").rpartition(") ")[2][:1]
    except OSError:  # it has ended since it was listed
        return ""


def _timed(call: Callable[[], Any]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch's operators, and what inductor compiles, so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
