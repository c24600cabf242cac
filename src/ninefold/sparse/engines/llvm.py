"""The engine `llvm`: kernels generated for this processor, block of rows by block of rows.

Output rows are filled up to whole vectors, so that every channel count works; threads take blocks of output rows, or
offsets for the weight's gradient, so results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

import torch
from torch.nn import functional as F

from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.pairs import BLOCK, PairGradient, PairSum, table
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import host
from ninefold.sparse.engine import Engine

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.sparse.engine import Job
    from ninefold.sparse.map import KernelMap

_THREADED = 2_000_000  # multiply-accumulates from which on a second thread is worth waking


@final
class Llvm(Engine):
    """Compute float32 on a CPU, all groups at once or one after the other."""

    name: ClassVar[str] = "llvm"

    def why_not(self, job: Job) -> str | None:
        """Refuse other devices and dtypes, and groups too narrow to fill a vector."""
        if job.device.type != "cpu":
            return f"it is made of kernels for CPUs, and the tensors are on {job.device}"
        if job.dtype != torch.float32:
            return f"it computes in float32 only, and the tensors are of {str(job.dtype).removeprefix('torch.')}"
        if job.groups > 1 and job.out_channels // job.groups < host().lanes:
            return f"groups of {job.out_channels // job.groups} output channels do not fill a vector of {host().lanes}"
        return None

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Run the kernel for every group."""
        width = weight.shape[2]
        groups = x.shape[1] // width
        if groups == 1:
            return _summed(x, weight, pairs)
        runs = zip(x.split(width, dim=1), weight.chunk(groups), strict=True)
        return torch.cat([_summed(run.contiguous(), w, pairs) for run, w in runs], dim=1)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Run the kernel for every group."""
        runs = zip(x.chunk(groups, dim=1), grad.chunk(groups, dim=1), strict=True)
        return torch.cat([_compared(a.contiguous(), b.contiguous(), pairs) for a, b in runs])


def _summed(x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    out_channels, volume, in_channels = weight.shape
    missing = -out_channels % host().lanes
    made = _made(PairSum, in_channels, out_channels + missing)
    packed = _aligned(F.pad(weight.permute(1, 2, 0), (0, missing)))  # (K, C, filled)
    y = torch.empty(len(pairs.outputs), out_channels + missing)
    _run(made, pairs, (x, packed, y), (-(-len(y) // BLOCK), 1), volume)
    return y[:, :out_channels].contiguous() if missing else y


def _compared(x: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    missing = -grad.shape[1] % host().lanes
    made = _made(PairGradient, x.shape[1], grad.shape[1] + missing)
    filled = _aligned(F.pad(grad, (0, missing)) if missing else grad)
    dw = torch.zeros(pairs.volume, x.shape[1], grad.shape[1] + missing)
    _run(made, pairs, (x, filled, dw), (pairs.volume, 1), pairs.volume)
    return dw[:, :, : grad.shape[1]].permute(2, 0, 1).contiguous()


class _Made(NamedTuple):
    address: int
    macs: int
    library: Library


@lru_cache(maxsize=256)
def _made(kind: type[PairSum | PairGradient], in_channels: int, out_channels: int) -> _Made:
    sizes = in_channels, out_channels, host().lanes
    kernel = kind(*sizes, Epilogue()) if kind is PairSum else kind(*sizes)
    library = build([kernel], host())
    return _Made(library.addresses[kernel.name], in_channels * out_channels, library)


def _run(
    made: _Made, pairs: KernelMap, tensors: tuple[Tensor, Tensor, Tensor], grid: tuple[int, int], volume: int
) -> None:
    if not grid[0] or not volume:
        return
    x, weight, y = tensors
    lists = _table(pairs)
    step = Step(
        made.address, grid, x=x.data_ptr(), weight=weight.data_ptr(), y=y.data_ptr(), residual=lists.ctypes.data
    )
    threads = torch.get_num_threads() if made.macs * pairs.count >= _THREADED else 1
    Plan([step], threads).run()


class _Table(NamedTuple):
    """The kernels' table of a map, and what it points to."""

    numbers: np.ndarray
    lists: tuple[Tensor, ...]


def _table(pairs: KernelMap) -> np.ndarray:
    """Give the kernels' table of a map, made once."""
    key = "table", pairs.is_swapped
    if key not in pairs.memory:
        pairs.memory[key] = _tabled(pairs)
    found: _Table = pairs.memory[key]
    return found.numbers


def _tabled(pairs: KernelMap) -> _Table:
    edges = torch.arange(-(-len(pairs.outputs) // BLOCK) + 1) * BLOCK
    sides = pairs.in_rows.contiguous(), pairs.out_rows.contiguous()
    kept, lists = _listed(pairs.starts, sides, edges)
    if pairs.mirrored:
        every = torch.arange(len(pairs.outputs), dtype=torch.int32)
        identity = edges.clamp(max=len(every)).to(torch.int32)
        back, others = _listed(pairs.starts, sides[::-1], edges)
        kept = [*kept, _addresses((every, every), 0, identity), *reversed(back)]
        lists += [*others, every, identity]
    return _Table(table(len(pairs.outputs), kept), tuple(lists))


def _listed(
    starts: tuple[int, ...], sides: tuple[Tensor, Tensor], edges: Tensor
) -> tuple[list[tuple[int, int, int]], list[Tensor]]:
    """Give the addresses for every kept offset, from the first side to the second, and what they point to."""
    bounds = _bounds(starts, sides[1], edges)
    kept = [_addresses(sides, start, own) for start, own in zip(starts, bounds, strict=False)]
    return kept, [*sides, bounds]


def _addresses(sides: tuple[Tensor, Tensor], start: int, bounds: Tensor) -> tuple[int, int, int]:
    first, second = (rows.data_ptr() + 4 * start for rows in sides)
    return first, second, bounds.data_ptr()


def _bounds(starts: tuple[int, ...], rows: Tensor, edges: Tensor) -> Tensor:
    """Give, for every kept offset, its first pair whose row is an edge or more; int32 (offsets, edges)."""
    counts = torch.tensor(starts).diff()
    offsets = torch.arange(len(counts))
    apart = int(edges[-1]) + 1  # numbers that grow from offset to offset, so that all are searched at once
    numbers = rows + torch.repeat_interleave(offsets * apart, counts)
    found = torch.searchsorted(numbers, (offsets[:, None] * apart + edges).flatten()).view(len(counts), len(edges))
    return (found - torch.tensor(starts[:-1], dtype=torch.int64)[:, None]).to(torch.int32)


def _aligned(tensor: Tensor) -> Tensor:
    """Give the numbers one behind the other, beginning at a whole vector."""
    flat = tensor.contiguous()
    return flat if flat.data_ptr() % 64 == 0 else flat.clone()
