"""How much memory a sparse network takes at most, each contestant in a process of its own.

    python -m ninefold.training.contest.sparse_memory SCAN NETWORK MODE CONTESTANT THREADS

prints the bytes: the largest resident memory of two calls, less that of before them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ninefold.errors import NinefoldError
from ninefold.training.contest.memory import in_own_process, largest_growth
from ninefold.training.contest.sparse import MODES, NETWORKS, Rules, network_case, scan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODES = (MODES[0], MODES[2])


@dataclass(frozen=True, slots=True)
class Peak:
    """Memory of one case.

    Args:
        scan: its name.
        case: network and mode.
        ours_mib: MiB, or why there are none.
        spconv_mib: likewise; None where it did not take part.
    """

    scan: str
    case: str
    ours_mib: float | str
    spconv_mib: float | str | None


def peaks(name: str, rules: Rules) -> Iterator[Peak]:
    """Measure all networks of a scan.

    Args:
        name: of the scan.
        rules: threads, and whether spconv takes part.
    """
    for network in NETWORKS[name]:
        for mode in _MODES:
            fixed = (name, network, mode)
            ours = in_own_process(__name__, (*fixed, "ours", str(rules.threads)))
            theirs = in_own_process(__name__, (*fixed, "spconv", "1")) if rules.against else None
            yield Peak(name, f"{network}, {mode}", ours, theirs)


def _main(name: str, network: str, mode: str, who: str, threads: str) -> int:
    torch.set_num_threads(int(threads))
    case = network_case(scan_of(name), network, mode, Rules(against=who == "spconv"))
    call = case.theirs or case.ours

    def twice() -> None:
        call()
        call()

    return largest_growth(twice)


if __name__ == "__main__":
    try:
        print(_main(*sys.argv[1:]))  # noqa: T201  # what the parent reads
    except NinefoldError as error:
        sys.exit(str(error))
