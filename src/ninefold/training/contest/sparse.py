"""Sparse convolutions in contest with spconv.

Both are called in turn in this process, spconv on one thread: with more, its sums on a CPU are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ninefold.errors import UnknownName
from ninefold.kernels.llvm.peak import PeakMeter
from ninefold.training.contest.rounds import alternate, torch_threads
from ninefold.training.contest.scans import SCANS
from ninefold.training.contest.sparse_cases import FIRST_CALLS, KINDS, entries
from ninefold.training.contest.sparse_first import first_calls
from ninefold.training.contest.spconv_networks import load_spconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ninefold.training.contest.scans import Scan
    from ninefold.training.contest.sparse_cases import Case, Entry

    Call = Callable[[], Any]


class Rules(NamedTuple):
    """How a contest goes.

    Args:
        kinds: of `KINDS`.
        parts: only cases whose names have one of these in them; () for all.
        against: whether spconv takes part.
        threads: of ours, >= 1.
        rounds: of three timed calls of both, >= 1.
    """

    kinds: tuple[str, ...] = KINDS
    parts: tuple[str, ...] = ()
    against: bool = True
    threads: int = 1
    rounds: int = 4

    def take(self, entry: Entry) -> bool:
        """Say whether a case is part of the contest."""
        return entry.kind in self.kinds and (not self.parts or any(part in entry.name for part in self.parts))


@dataclass(frozen=True, slots=True)
class Row:
    """How one case went.

    Args:
        scan: its name.
        sites: active cells.
        case: what was computed.
        threads: of ours; spconv has one.
        ours_ms: median of the timed calls.
        ours_min_ms: the shortest.
        fma_peak_gflops: of as many threads, measured between the rounds.
        later_ms: median of the calls behind the first ones, where those are timed.
        spconv_ms: as ours; None where it did not take part, as in the others.
        spconv_min_ms: as ours.
        ratio: spconv's median in parts of ours: above 1 we are faster.
        max_rel_error: largest difference between both results, relative to the largest value; of a map, of the numbers
            of pairs; of a backward pass, of the gradients of the first weight.
        gflops: of a layer: 10^9 multiplications and additions of existing pairs per second, in the median.
        spconv_gflops: of spconv.
        map_bytes: of a map: memory of our pairs.
        spconv_map_bytes: of spconv's.
        peak_mib: MiB that two calls take at most, or why there are none; None where it was not asked for.
        spconv_peak_mib: of spconv.
    """

    scan: str
    sites: int
    case: str
    threads: int
    ours_ms: float
    ours_min_ms: float
    fma_peak_gflops: float
    later_ms: float | None = None
    spconv_ms: float | None = None
    spconv_min_ms: float | None = None
    ratio: float | None = None
    max_rel_error: float | None = None
    gflops: float | None = None
    spconv_gflops: float | None = None
    map_bytes: int | None = None
    spconv_map_bytes: int | None = None
    peak_mib: float | str | None = None
    spconv_peak_mib: float | str | None = None


def contest(name: str, rules: Rules) -> Iterator[Row]:
    """Compare on one scan, case by case.

    Args:
        name: of `SCANS`.
        rules: cases, threads and rounds.

    Raises:
        UnknownName: when there is no such scan or kind of case.
        MissingExtra: when spconv is to take part and is not installed.
    """
    for kind in rules.kinds:
        if kind not in KINDS:
            raise UnknownName.among("kind of sparse contest", kind, KINDS)
    scan = scan_of(name)
    if rules.against:
        load_spconv()
    for entry in filter(rules.take, entries(name, scan)):
        yield (_first_row if entry.kind == FIRST_CALLS else _row)(name, scan, entry, rules)


def scan_of(name: str) -> Scan:
    """Make a scan.

    Raises:
        UnknownName: when there is none of that name.
    """
    if name not in SCANS:
        raise UnknownName.among("scan", name, SCANS)
    return SCANS[name]()


def _row(name: str, scan: Scan, entry: Entry, rules: Rules) -> Row:
    case = entry.make(rules.against)
    calls = {"ours": on_threads(rules.threads, case.ours)}
    if case.theirs is not None:
        calls["spconv"] = on_threads(1, case.theirs)
    error = None if case.theirs is None else _error(case)
    meter, peaks = PeakMeter(rules.threads), []
    times = alternate(calls, rules.rounds, lambda: peaks.append(meter.gflops()))
    ours, theirs = times["ours"], times.get("spconv")
    map_bytes, their_bytes = (None, None) if case.sizes is None else case.sizes()
    return Row(
        scan=name,
        sites=len(scan.coords),
        case=entry.name,
        threads=rules.threads,
        ours_ms=1e3 * ours.median,
        ours_min_ms=1e3 * ours.least,
        fma_peak_gflops=max(peaks),
        spconv_ms=None if theirs is None else 1e3 * theirs.median,
        spconv_min_ms=None if theirs is None else 1e3 * theirs.least,
        ratio=None if theirs is None else theirs.median / ours.median,
        max_rel_error=error,
        gflops=None if case.flops is None else case.flops / ours.median / 1e9,
        spconv_gflops=None if case.flops is None or theirs is None else case.flops / theirs.median / 1e9,
        map_bytes=map_bytes,
        spconv_map_bytes=their_bytes,
    )


def _first_row(name: str, scan: Scan, entry: Entry, rules: Rules) -> Row:
    """Time first calls, each in a process of its own; as many as there are rounds."""
    network, _, _ = entry.name.partition(",")
    first, least, later = (1e3 * seconds for seconds in first_calls(name, network, rules.threads, rules.rounds))
    peak = PeakMeter(rules.threads).gflops()
    return Row(name, len(scan.coords), entry.name, rules.threads, first, least, peak, later)


def _error(case: Case) -> float:
    ours, theirs = case.ours(), on_threads(1, case.theirs or case.ours)()
    theirs = theirs if case.order is None else theirs[case.order()]
    return float((ours - theirs).abs().max() / theirs.abs().max())


def on_threads(count: int, call: Call) -> Call:
    """Give a call during which torch, spconv and our engines have so many threads."""

    def run() -> Any:
        with torch_threads(count):
            return call()

    return run
