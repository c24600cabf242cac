"""Which engine is fastest, found by running them."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.ops.engine import Engine

ROUNDS = 5
ROUNDS_SECONDS = 0.5
HOPELESS_FACTOR = 10.0
HOPELESS_SECONDS = 0.01

Attempt: TypeAlias = "Callable[[Engine[Any]], torch.Tensor]"


# --8<-- [start:fastest]
def fastest(engines: Sequence[Engine[Any]], attempt: Attempt, device: torch.device) -> Engine[Any]:
    """Run every engine once, drop the hopeless, then time the others in turn and give the one with the least median.

    The first run holds what happens only once (threads start, plans are made), so it only serves to drop an engine that
    takes `HOPELESS_SECONDS` longer than `HOPELESS_FACTOR` times the best. No round starts after `ROUNDS_SECONDS`.

    Args:
        engines: at least one, best first; among equals the first wins.
        attempt: computes with an engine what is to be measured.
        device: where it computes.
    """
    first = [_seconds(engine, attempt, device) for engine in engines]
    limit = HOPELESS_FACTOR * min(first) + HOPELESS_SECONDS
    left = [engine for engine, seconds in zip(engines, first, strict=True) if seconds <= limit]
    times: list[list[float]] = [[] for _ in left]
    end = perf_counter() + ROUNDS_SECONDS
    for _ in range(ROUNDS):
        for engine, own in zip(left, times, strict=True):
            own.append(_seconds(engine, attempt, device))
        if len(left) == 1 or perf_counter() > end:
            break
    return min(zip(left, times, strict=True), key=lambda pair: median(pair[1]))[0]


# --8<-- [end:fastest]


def _seconds(engine: Engine[Any], attempt: Attempt, device: torch.device) -> float:
    _wait(device)
    start = perf_counter()
    attempt(engine)
    _wait(device)
    return perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":  # accelerators compute while Python goes on
        torch.accelerator.synchronize(device)
