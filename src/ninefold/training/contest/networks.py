"""A network in contest: Ninefold's compiled form beside its peers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from ninefold import compiler
from ninefold.errors import InvalidInput, NinefoldError, UnknownName
from ninefold.kernels.llvm.peak import PeakMeter
from ninefold.training.contest.peers import PEERS, Task
from ninefold.training.contest.rounds import alternate, torch_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ninefold.compiler.choice import Precision
    from ninefold.training.contest.peers import Call
    from ninefold.training.contest.rounds import Times

OURS: Final = "ninefold"
# A result further than this from float64 is wrong, not inexact: what computes it does not compete.
MOST_ERROR: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Standing:
    """How a contestant did.

    Args:
        ms: median of its calls, in milliseconds; None when it did not run.
        min_ms: the shortest one.
        max_rel_error: largest difference from torch in float64, relative to the largest value of the result.
        absent: why it did not run; "" when it did.
    """

    ms: float | None = None
    min_ms: float | None = None
    max_rel_error: float | None = None
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A contest.

    Args:
        network: its name.
        threads: that could compute.
        batch: pictures per call.
        ours_ms: median of ours, in milliseconds; None when it did not run.
        ours_min_ms: the shortest call of ours.
        max_rel_error: ours; see `Standing`.
        ours_absent: as `Standing.absent`, ours.
        peers: the others by name.
        best_peer: the one of the least median; "" when none ran.
        ratio: its median in parts of ours: above 1 we are faster. None when none ran.
        ratio_min: the least time of any peer in parts of our least.
        fma_peak_gflops: what these threads can multiply and add; the largest of a sample per round.
        rounds: of three timed calls per contestant.
        left_to_torch: how many operations of the network no kernel computes.
    """

    network: str
    threads: int
    batch: int
    ours_ms: float | None
    ours_min_ms: float | None
    max_rel_error: float | None
    ours_absent: str
    peers: dict[str, Standing]
    best_peer: str
    ratio: float | None
    ratio_min: float | None
    fma_peak_gflops: float
    rounds: int
    left_to_torch: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How a contest is held.

    Args:
        against: names of `PEERS`.
        threads: that may compute, >= 1.
        rounds: >= 1.
        precision: of ours; see `ninefold.compile`.

    Raises:
        UnknownName: when there is no peer of a name.
        InvalidInput: when there is no thread or no round.
    """

    against: Sequence[str] = field(default_factory=lambda: tuple(PEERS))
    threads: int = 1
    rounds: int = 10
    precision: Precision = "fast"

    def __post_init__(self) -> None:
        for name in self.against:
            if name not in PEERS:
                raise UnknownName.among("peer", name, PEERS)
        if self.threads < 1 or self.rounds < 1:
            raise InvalidInput(f"threads={self.threads}, rounds={self.rounds} came; wanted at least 1 of each")


def contest(name: str, model: nn.Module, x: torch.Tensor, rules: Rules = Rules()) -> Result:
    """Run a network everywhere, compare the results with torch in float64, then time who was right.

    Args:
        name: of the network.
        model: in evaluation mode.
        x: float32 (N, C, H, W).
        rules: how.
    """
    with TemporaryDirectory() as folder, torch_threads(rules.threads), torch.no_grad():
        ours = compiler.compile(model, x, threads=rules.threads, precision=rules.precision)
        truth = deepcopy(model).double()(x.double()).numpy()
        task = Task(model, x, rules.threads, Path(folder))
        entered: dict[str, Call | str] = {OURS: ours.plan.reason or (lambda: ours(x))}
        entered |= {peer: _prepared(peer, task) for peer in rules.against}
        standings = {who: _judged(call, truth) for who, call in entered.items()}
        right = {who: call for who, call in entered.items() if callable(call) and not standings[who].absent}
        meter, peaks = PeakMeter(rules.threads), list[float]()
        times = alternate(right, rules.rounds, lambda: peaks.append(meter.gflops()))
    standings = {who: _timed(standing, times.get(who)) for who, standing in standings.items()}
    left = sum(line.runs == "torch" for line in ours.plan.lines)
    return _result(name, len(x), standings, rules, max(peaks), left)


def _prepared(name: str, task: Task) -> Call | str:
    """Give a peer's call, or why there is none."""
    try:
        return PEERS[name].prepare(task)
    except NinefoldError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # every library fails in its own way
        return f"it cannot take the network: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _judged(call: Call | str, truth: np.ndarray) -> Standing:
    if isinstance(call, str):
        return Standing(absent=call)
    try:
        y = np.asarray(call())
    except Exception as error:  # noqa: BLE001  # as above
        return Standing(absent=f"it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    if y.shape != truth.shape:
        return Standing(absent=f"its result has the shape {y.shape}, and that of torch {truth.shape}")
    gap = float(np.abs(y - truth).max() / np.abs(truth).max())
    wrong = not gap <= MOST_ERROR  # what is no number is wrong too
    return Standing(max_rel_error=gap, absent=f"its result is wrong by {gap:.1e} of the largest value" * wrong)


def _timed(standing: Standing, times: Times | None) -> Standing:
    if times is None:
        return standing
    return Standing(times.median * 1e3, times.least * 1e3, standing.max_rel_error)


def _result(name: str, batch: int, standings: dict[str, Standing], rules: Rules, peak: float, left: int) -> Result:
    ours, peers = standings[OURS], {peer: standings[peer] for peer in rules.against}
    medians = {peer: standing.ms for peer, standing in peers.items() if standing.ms is not None}
    least = [standing.min_ms for standing in peers.values() if standing.min_ms is not None]
    best = min(medians, key=lambda peer: medians[peer], default="")
    return Result(
        network=name,
        threads=rules.threads,
        batch=batch,
        ours_ms=ours.ms,
        ours_min_ms=ours.min_ms,
        max_rel_error=ours.max_rel_error,
        ours_absent=ours.absent,
        peers=peers,
        best_peer=best,
        ratio=_ratio(medians.get(best), ours.ms),
        ratio_min=_ratio(min(least, default=None), ours.min_ms),
        fma_peak_gflops=peak,
        rounds=rules.rounds,
        left_to_torch=left,
    )


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return theirs / ours if theirs and ours else None
