"""Kernel maps as spconv writes them down, and back.

pairs    int32 (2, K, N): input rows and output rows that meet under each offset, the rest of a line filled with -1,
         and int32 (K,): how many meet
table    int32 (K, M): the input row that meets each output row under each offset, or -1
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from ninefold.sparse.map import KernelMap
from ninefold.sparse.sites import Sites
from ninefold.sparse.spconv.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from ninefold.sparse.spconv.pytorch.rows import Placed


def padded(pairs: KernelMap, came: Placed, goes: Placed) -> tuple[Tensor, Tensor]:
    """Write a kernel map as pairs and counts, in the user's rows.

    Args:
        pairs: from N rows.
        came: the rows of its input.
        goes: the rows of its output.
    """
    device = pairs.in_rows.device
    written = torch.full((2, pairs.volume, len(pairs.inputs)), -1, dtype=torch.int32, device=device)
    counts = torch.zeros(pairs.volume, dtype=torch.int32, device=device)
    for k, (i, o) in enumerate(_all(pairs)):
        written[0, k, : len(i)], written[1, k, : len(o)] = came.users(i), goes.users(o)
        counts[k] = len(i)
    return written, counts


def tabled(pairs: KernelMap, came: Placed, goes: Placed) -> Tensor:
    """Write a kernel map as a table, in the user's rows.

    Args:
        pairs: to M rows.
        came: the rows of its input.
        goes: the rows of its output.
    """
    table = torch.full((pairs.volume, len(pairs.outputs)), -1, dtype=torch.int32, device=pairs.in_rows.device)
    for k, (i, o) in enumerate(_all(pairs)):
        table[k, goes.users(o).long()] = came.users(i)
    return table


def map_of_padded(written: Tensor, counts: Tensor, rows: tuple[int, int], kernel: Sequence[int]) -> KernelMap:
    """Read pairs and counts.

    Args:
        written: int32 (2, K, N).
        counts: int32 (K,).
        rows: of the input and of the output.
        kernel: its sizes multiply to K.
    """
    both = [written[:, k, :count] for k, count in enumerate(counts.tolist())]
    return _map(both, rows, kernel)


def map_of_table(table: Tensor, rows: int, kernel: Sequence[int]) -> KernelMap:
    """Read a table.

    Args:
        table: int32 (K, M).
        rows: of the input.
        kernel: its sizes multiply to K.
    """
    met = [(line >= 0).nonzero()[:, 0] for line in table]
    both = [torch.stack([line[o], o.to(line.dtype)]) for line, o in zip(table, met, strict=True)]
    return _map(both, (rows, table.shape[1]), kernel)


def _map(both: list[Tensor], rows: tuple[int, int], kernel: Sequence[int]) -> KernelMap:
    if len(both) != prod(kernel):
        raise Refused(f"pairs of {len(both)} offsets came for a kernel of {tuple(kernel)}; wanted {prod(kernel)}")
    starts = [0]
    for pair in both:
        starts.append(starts[-1] + pair.shape[1])
    in_rows, out_rows = torch.cat(both, dim=1).to(torch.int32)
    for side, lines in zip((in_rows, out_rows), rows, strict=True):
        if len(side) and not 0 <= int(side.min()) <= int(side.max()) < lines:
            raise Refused(f"pairs of rows {int(side.min())} to {int(side.max())} came, and there are {lines} rows")
    inputs, outputs = (_somewhere(count, in_rows.device) for count in rows)
    return KernelMap(inputs, outputs, tuple(kernel), in_rows, out_rows, tuple(starts))


def increases(pairs: KernelMap) -> bool:
    """Say whether the rows on both sides increase under every offset, as they do where users' rows are sorted.

    Args:
        pairs: as read here.
    """
    inner = torch.ones(max(len(pairs.in_rows) - 1, 0), dtype=torch.bool, device=pairs.in_rows.device)
    edges = torch.tensor(pairs.starts, device=inner.device) - 1
    inner[edges[(edges >= 0) & (edges < len(inner))]] = False  # the next row is another offset's
    return all(bool((rows[1:] > rows[:-1])[inner].all()) for rows in (pairs.in_rows, pairs.out_rows))


def _somewhere(count: int, device: torch.device) -> Sites:
    """Give rows whose places nobody knows: sums over pairs need only their number."""
    return Sites(torch.empty((count, 1), dtype=torch.int32, device=device), (), 1)


def _all(pairs: KernelMap) -> Iterator[tuple[Tensor, Tensor]]:
    return (pairs.pairs(k) for k in range(pairs.volume))
