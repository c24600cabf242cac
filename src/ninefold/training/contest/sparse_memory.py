"""How much memory a case of a sparse contest takes at most, each contestant in a process of its own.

    python -m ninefold.training.contest.sparse_memory SCAN CASE CONTESTANT THREADS

prints the bytes: the largest resident memory of two calls, less that of before them. A map that the case knows was
there before.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ninefold.errors import NinefoldError
from ninefold.training.contest.memory import in_own_process, largest_growth
from ninefold.training.contest.sparse import scan_of
from ninefold.training.contest.sparse_cases import entries

if TYPE_CHECKING:
    from ninefold.training.contest.sparse import Row


def with_peaks(row: Row) -> Row:
    """Measure the memory of a case, and of spconv's where it took part.

    Args:
        row: how the case went.
    """
    ours = in_own_process(__name__, (row.scan, row.case, "ours", str(row.threads)))
    theirs = None if row.spconv_ms is None else in_own_process(__name__, (row.scan, row.case, "spconv", "1"))
    return replace(row, peak_mib=ours, spconv_peak_mib=theirs)


def _main(scan: str, name: str, who: str, threads: str) -> int:
    torch.set_num_threads(int(threads))
    (entry,) = (entry for entry in entries(scan, scan_of(scan)) if entry.name == name)
    case = entry.make(who == "spconv")
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
