"""The engine `llvm`: kernels generated for this processor, some output rows after the other.

Output rows are filled up to whole vectors, so that every channel count works. Narrow groups are taken together until
they fill a vector; groups of one input or one output channel go channel by channel. Threads take bins of output rows,
or offsets and channels for the weight's gradient, so results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import torch
from torch.nn import functional as F

from ninefold.kernels.llvm.depthwise_pairs import DepthwisePairGradient, DepthwisePairSum
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.memory import keep_freed
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.pair_gradient import PairGradient
from ninefold.kernels.llvm.pair_table import BIN, pair_table
from ninefold.kernels.llvm.pairs import PairSum
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.transpose import Axes, Transpose
from ninefold.sparse.copies import copied
from ninefold.sparse.engine import Engine
from ninefold.sparse.engines.groups import gathered, spread, together

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.pair_table import PairTable
    from ninefold.kernels.llvm.pairs import Pairs
    from ninefold.sparse.engine import Ending, Job
    from ninefold.sparse.map import KernelMap

_THREADED = 1_000_000  # multiply-accumulates from which on a second thread is worth waking
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_PARTS = 8  # of output rows per thread: with fewer, one waits long for the other at the end
_PASSES = 3  # of a weight's gradient per thread: each reads all rows


@final
class Llvm(Engine):
    """Compute in float32 on a CPU; numbers of half precision are widened before, and results rounded once.

    Processors that multiply bfloat16 do so without widening, where no groups and an even number of channels come.
    """

    name: ClassVar[str] = "llvm"

    def why_not(self, job: Job) -> str | None:
        """Refuse other devices, and numbers of more than float32 has."""
        if job.device.type != "cpu":
            return f"it is made of kernels for CPUs, and the tensors are on {job.device}"
        if job.dtype not in _DTYPES:
            return f"it computes in float32 only, and the tensors are of {str(job.dtype).removeprefix('torch.')}"
        return None

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Run the kernel that suits the groups, for some of them after the other if they are wide."""
        if _multiplies(x, x.shape[1] // weight.shape[2]):
            return _summed(x, weight, pairs)
        return _slid(x.float(), weight.float(), pairs).to(x.dtype)

    def finished(self, x: Tensor, weight: Tensor, pairs: KernelMap, ending: Ending) -> Tensor:
        """Finish every block of rows while it is near."""
        if x.shape[1] != weight.shape[2] or ending.bias.dtype not in _DTYPES:
            return super().finished(x, weight, pairs, ending)
        wide = ending._replace(bias=ending.bias.float(), factor=ending.factor.float())
        if _multiplies(x, groups=1):
            return _summed(x, weight, pairs, wide)
        return _summed(x.float(), weight.float(), pairs, wide).to(x.dtype)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Run the kernel that suits the groups."""
        if _multiplies(x, groups) and x.shape[1] >= host().lanes:
            return copied(_compared(x, grad, pairs), x.dtype)
        return _gradient(x.float(), grad.float(), pairs, groups).to(x.dtype)


def _multiplies(x: Tensor, groups: int) -> bool:
    """Whether there are instructions for these rows as they are: bfloat16 ones."""
    return x.dtype == torch.bfloat16 and groups == 1 and x.shape[1] % 2 == 0 and host().has_bf16


def _slid(x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    each_in, groups = weight.shape[2], x.shape[1] // weight.shape[2]
    each_out = len(weight) // groups
    if groups == 1:
        return _summed(x, weight, pairs)
    if each_in == 1:
        return _summed_by_channel(_repeated(x, each_out), weight[:, :, 0], pairs)
    if each_out == 1:
        products = _summed_by_channel(x, weight.transpose(1, 2).flatten(0, 1), pairs)
        return products.unflatten(1, (groups, each_in)).sum(2)
    some = together(groups, (each_in, each_out), host().lanes)
    runs = zip(x.split(some * each_in, dim=1), spread(weight, groups, some).chunk(groups // some), strict=True)
    return torch.cat([_summed(run.contiguous(), w, pairs) for run, w in runs], dim=1)


def _gradient(x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
    each_in, each_out = x.shape[1] // groups, grad.shape[1] // groups
    if groups == 1:
        return _compared(x, grad, pairs)
    if each_in == 1:
        return _compared_by_channel(_repeated(x, each_out), grad, pairs).unsqueeze(2)
    if each_out == 1:
        by_channel = _compared_by_channel(x, _repeated(grad, each_in), pairs)  # (C, K)
        return by_channel.unflatten(0, (groups, each_in)).transpose(1, 2).contiguous()
    some = together(groups, (each_in, each_out), host().lanes)
    runs = zip(*(rows.chunk(groups // some, dim=1) for rows in (x, grad)), strict=True)
    return torch.cat([gathered(_compared(a.contiguous(), b.contiguous(), pairs), some) for a, b in runs])


def _repeated(rows: Tensor, times: int) -> Tensor:
    return rows if times == 1 else rows.repeat_interleave(times, dim=1)


def _summed(x: Tensor, weight: Tensor, pairs: KernelMap, ending: Ending | None = None) -> Tensor:
    out_channels, volume, _ = weight.shape
    missing = -out_channels % host().lanes
    ends, relu = ending is not None, ending is not None and ending.relu
    halves = x.dtype == torch.bfloat16
    kernel = _sum_of(x.shape[1], out_channels + missing, ends, relu, halves)
    numbers = _in_pairs(weight) if halves else weight  # (O, K, C), or (O, K, C / 2)
    packed = torch.empty(volume, numbers.shape[2], out_channels + missing)
    y = torch.empty(len(pairs.outputs), out_channels + missing, dtype=x.dtype)
    last = None if ending is None else _aligned(_filled(torch.stack([ending.bias, ending.factor]), missing))
    run = _Run(kernel, pairs)
    run.transpose(numbers.permute(1, 2, 0), packed)
    run.add(_Operands(x, packed, y, last), run.bins())
    run.compute()
    return y[:, :out_channels].contiguous() if missing else y


def _in_pairs(weight: Tensor) -> Tensor:
    """Give bfloat16 numbers as half as many float32 ones, whose bits they are: what is moved around stays together."""
    as_it_is = weight.is_contiguous() and weight.storage_offset() % 2 == 0
    return (weight if as_it_is else copied(weight, weight.dtype)).view(torch.float32)


def _compared(x: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    in_channels, out_channels = x.shape[1], grad.shape[1]
    missing = -out_channels % host().lanes
    sums = torch.empty(pairs.volume, in_channels, out_channels + missing)
    dw = torch.empty(out_channels, pairs.volume, in_channels)
    run = _Run(_gradient_of(in_channels, out_channels + missing, x.dtype == torch.bfloat16), pairs)
    run.add(_Operands(x, _aligned(_filled(grad, missing)), sums), run.offsets())
    run.transpose(sums[:, :, :out_channels], dw.permute(1, 2, 0))
    run.compute()
    return dw


def _summed_by_channel(x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:  # (N, C), (C, K)
    missing = -x.shape[1] % host().lanes
    rows = _aligned(_filled(weight.T, missing))  # (K, filled)
    y = torch.empty(len(pairs.outputs), rows.shape[1])
    run = _Run(_depthwise_of(DepthwisePairSum, rows.shape[1]), pairs)
    run.add(_Operands(_aligned(_filled(x, missing)), rows, y), run.bins())
    run.compute()
    return y[:, : x.shape[1]].contiguous() if missing else y


def _compared_by_channel(x: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    missing = -x.shape[1] % host().lanes
    a, b = (_aligned(_filled(tensor, missing)) for tensor in (x, grad))
    dw = torch.empty(pairs.volume, a.shape[1])
    run = _Run(_depthwise_of(DepthwisePairGradient, a.shape[1]), pairs)
    run.add(_Operands(a, b, dw), run.offsets())
    run.compute()
    return dw[:, : x.shape[1]].T.contiguous()  # (C, K)


class _Operands(NamedTuple):
    x: Tensor
    weight: Tensor
    y: Tensor
    bias: Tensor | None = None


class _Cut(NamedTuple):
    """A grid, and how much of it a thread takes at once."""

    grid: tuple[int, int]
    chunk: tuple[int, int]


class _Made(NamedTuple):
    """A compiled kernel.

    Args:
        library: that it lives in.
        address: of its function.
        macs: of a pair.
        scratch: numbers that every thread needs for itself.
        runs: of channels, for gradients.
    """

    library: Library
    address: int
    macs: int
    scratch: int = 0
    runs: int = 1


@lru_cache(maxsize=256)
def _sum_of(in_channels: int, out_channels: int, ends: bool, relu: bool, halves: bool) -> _Made:
    epilogue = Epilogue(bias=ends, activation="relu" if relu else "none")
    return _made(PairSum(in_channels, out_channels, host().lanes, epilogue, scaled=ends, halves=halves))


@lru_cache(maxsize=256)
def _gradient_of(in_channels: int, out_channels: int, halves: bool) -> _Made:
    kernel = PairGradient(in_channels, out_channels, host().lanes, halves=halves)
    return _made(kernel)._replace(runs=kernel.runs(host()))


@lru_cache(maxsize=64)
def _depthwise_of(kind: type[DepthwisePairSum | DepthwisePairGradient], channels: int) -> _Made:
    return _made(kind(channels, channels, host().lanes))


def _made(kernel: Pairs) -> _Made:
    keep_freed()  # features come and go with every layer
    library = build([kernel], host())
    return _Made(library, library.addresses[kernel.name], kernel.macs, kernel.scratch)


@cache
def _transpose() -> _Made:
    library = build([Transpose()], host())
    return _Made(library, library.addresses[Transpose().name], macs=0)


@final
class _Run:
    """The steps of one sum, which our own workers compute: torch's would go on waiting on their processors after it."""

    def __init__(self, kernel: _Made, pairs: KernelMap) -> None:
        self._kernel, self._pairs = kernel, pairs
        self._threads = torch.get_num_threads() if kernel.macs * pairs.count >= _THREADED else 1
        self._steps: list[Step] = []
        self._kept: list[Any] = []  # what the steps point to

    def bins(self) -> _Cut:
        """Cut output rows."""
        bins = -(-len(self._pairs.outputs) // BIN)
        return _Cut((bins, 1), (self._part(bins, _PARTS * self._threads), 1))

    def offsets(self) -> _Cut:
        """Cut offsets, and channels into halves: both halves of an offset read the same rows at about the same time."""
        volume, runs = self._pairs.volume, self._kernel.runs
        size = self._part(runs, 2)
        return _Cut((volume, runs), (self._part(volume, -(-_PASSES * self._threads // -(-runs // size))), size))

    def add(self, operands: _Operands, cut: _Cut) -> None:
        """Let the kernel compute."""
        x, weight, y, bias = (0 if tensor is None else tensor.data_ptr() for tensor in operands)
        lists = _table(self._pairs).numbers.ctypes.data
        self._kept.append(operands)
        address, scratch = self._kernel.address, self._kernel.scratch
        self._steps.append(Step(address, cut.grid, x, weight, bias, y, lists, scratch=scratch, chunk=cut.chunk))

    def transpose(self, x: Tensor, y: Tensor) -> None:
        """Let y[i, j, k] be x[i, j, k], with zeros behind the last k."""
        first, middle, last = x.shape
        table = Axes((middle, last), y.shape[2], x.stride(), y.stride()).table()
        self._kept += (x, y, table)
        self._steps.append(
            Step(_transpose().address, (first, 1), x.data_ptr(), y=y.data_ptr(), residual=table.ctypes.data)
        )

    def compute(self) -> None:
        """Compute the steps in their order, unless there is nothing to compute."""
        if all(min(step.grid) for step in self._steps):
            compute(self._steps, self._threads)

    def _part(self, units: int, parts: int) -> int:
        return units if self._threads == 1 else max(1, -(-units // parts))


def _table(pairs: KernelMap) -> PairTable:
    """Give the kernels' table of a map, made once."""
    key = "table", pairs.is_swapped
    if key not in pairs.memory:
        sides = pairs.in_rows.numpy(), pairs.out_rows.numpy()
        pairs.memory[key] = pair_table(len(pairs.outputs), sides, pairs.starts, mirrored=pairs.mirrored)
    found: PairTable = pairs.memory[key]
    return found


def _filled(tensor: Tensor, missing: int) -> Tensor:
    """Put zeros behind the last axis."""
    return F.pad(tensor, (0, missing)) if missing else tensor


def _aligned(tensor: Tensor) -> Tensor:
    """Give the numbers one behind the other, beginning at a whole vector."""
    flat = tensor.contiguous()
    return flat if flat.data_ptr() % 64 == 0 else flat.clone()
