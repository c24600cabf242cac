"""How often sums come out wrong when two threads compute one sparse convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ninefold.training.contest.sparse import on_threads, scan_of
from ninefold.training.contest.sparse_cases import MAPS, MODES, layer_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

WIDTH: Final = 64  # channels in and out
THREADS: Final = 2
CALLS: Final = 20
_ROUNDING: Final = 1e-5  # in parts of the largest value: no order of adding gives more


@dataclass(frozen=True, slots=True)
class Race:
    """What many calls with two threads gave, beside one call with one thread.

    Args:
        scan: its name.
        contestant: "ninefold" or "spconv".
        calls: with two threads.
        other_calls: of them, with a bit that differs.
        wrong_calls: with a row that differs by more than 1e-5 of the largest value.
        most_wrong_rows: of a call.
        max_rel_error: largest difference, relative to the largest value.
    """

    scan: str
    contestant: str
    calls: int
    other_calls: int
    wrong_calls: int
    most_wrong_rows: int
    max_rel_error: float


def races(name: str, calls: int = CALLS) -> Iterator[Race]:
    """Compute a submanifold convolution, 64 -> 64, again and again on two threads.

    Args:
        name: of a scan.
        calls: of each contestant, >= 1.

    Raises:
        UnknownName: when there is no such scan.
        MissingExtra: when spconv is not installed.
    """
    case = layer_case(scan_of(name), WIDTH, MODES[0], MAPS[1], against=True)
    for contestant, call in (("ninefold", case.ours), ("spconv", case.theirs or case.ours)):
        yield _race(name, contestant, call, calls)


def _race(name: str, contestant: str, call: Callable[[], Tensor], calls: int) -> Race:
    right: Tensor = on_threads(1, call)()
    largest = right.abs().max()
    others, wrong = 0, [0]
    error = 0.0
    for _ in range(calls):
        difference = (on_threads(THREADS, call)() - right).abs().amax(dim=1) / largest  # (sites,)
        others += bool(difference.any())
        wrong.append(int((difference > _ROUNDING).sum()))
        error = max(error, difference.max().item())
    return Race(name, contestant, calls, others, sum(map(bool, wrong)), max(wrong), error)
