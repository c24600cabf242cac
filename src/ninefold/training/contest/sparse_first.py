"""How long the first call of a sparse network takes: in a new process, whose kernels an earlier one has compiled.

    python -m ninefold.training.contest.sparse_first SCAN NETWORK THREADS

prints the seconds of a forward pass in evaluation, which finds its maps, and of those behind it. The network is built
and the scan is made before; no kernel is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ninefold.sparse import SparseTensor
from ninefold.training.contest.scans import SCANS
from ninefold.training.contest.sparse_cases import sparse_network

if TYPE_CHECKING:
    from torch import nn

    from ninefold.training.contest.scans import Scan

_LATER: Final = 3  # calls behind the first


class Seconds(NamedTuple):
    """What some processes took.

    Args:
        first: median of their first calls.
        least: the shortest of these.
        later: median of all calls behind.
    """

    first: float
    least: float
    later: float


def first_calls(scan: str, network: str, threads: int, processes: int) -> Seconds:
    """Time the first call of a network, after a process that fills the cache of kernels.

    Args:
        scan: its name.
        network: of this scan's.
        threads: that may compute, >= 1.
        processes: >= 1.
    """
    command = [sys.executable, "-m", __name__, scan, network, str(threads)]
    _, *timed = (_told(command) for _ in range(1 + processes))
    firsts, later = [seconds[0] for seconds in timed], [seconds[1:] for seconds in timed]
    return Seconds(median(firsts), min(firsts), median(chain(*later)))


def _told(command: list[str]) -> list[float]:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # ourselves
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def timed_calls(model: nn.Module, scan: Scan) -> list[float]:
    """Call a network again and again, and give the seconds of each call.

    Args:
        model: in evaluation.
        scan: what it reads.
    """
    x = torch.randn(len(scan.coords), next(model.parameters()).shape[-1])
    seconds = []
    for _ in range(1 + _LATER):
        start = perf_counter()
        with torch.no_grad():
            model(SparseTensor.of(x, scan.coords, scan.size, 1))
        seconds.append(perf_counter() - start)
    return seconds


def _main(scan: str, network: str, threads: str) -> list[float]:
    torch.set_num_threads(int(threads))
    return timed_calls(sparse_network(network).eval(), SCANS[scan]())


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))  # noqa: T201  # what the parent reads
