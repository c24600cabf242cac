"""The engine `llvm`: kernels generated for this processor, block of rows by block of rows.

Output rows are filled up to whole vectors, so that every channel count works; threads take blocks of output rows, or
offsets for the weight's gradient, so results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import torch
from torch.nn import functional as F

from ninefold.kernels.llvm.depthwise_pairs import DepthwisePairGradient, DepthwisePairSum
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.pair_table import BLOCK, pair_table
from ninefold.kernels.llvm.pairs import PairGradient, PairSum
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import host
from ninefold.sparse.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.kernels.llvm.pair_table import PairTable
    from ninefold.kernels.llvm.pairs import Pairs
    from ninefold.sparse.engine import Ending, Job
    from ninefold.sparse.map import KernelMap

_THREADED = 2_000_000  # multiply-accumulates from which on a second thread is worth waking


@final
class Llvm(Engine):
    """Compute float32 on a CPU: one group, groups one after the other, or every channel by itself."""

    name: ClassVar[str] = "llvm"

    def why_not(self, job: Job) -> str | None:
        """Refuse other devices and dtypes, and groups too narrow to fill a vector, except depthwise."""
        if job.device.type != "cpu":
            return f"it is made of kernels for CPUs, and the tensors are on {job.device}"
        if job.dtype != torch.float32:
            return f"it computes in float32 only, and the tensors are of {str(job.dtype).removeprefix('torch.')}"
        depthwise = job.groups == job.in_channels == job.out_channels
        if job.groups > 1 and not depthwise and job.out_channels // job.groups < host().lanes:
            return f"groups of {job.out_channels // job.groups} output channels do not fill a vector of {host().lanes}"
        return None

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Run the kernel for every group."""
        width = weight.shape[2]
        groups = x.shape[1] // width
        if groups == 1:
            return _summed(x, weight, pairs)
        if groups == len(weight):
            return _summed_by_channel(x, weight, pairs)
        runs = zip(x.split(width, dim=1), weight.chunk(groups), strict=True)
        return torch.cat([_summed(run.contiguous(), w, pairs) for run, w in runs], dim=1)

    def finished(self, x: Tensor, weight: Tensor, pairs: KernelMap, ending: Ending) -> Tensor:
        """Finish every block of rows while it is near."""
        if x.shape[1] != weight.shape[2] or ending.bias.dtype != torch.float32:
            return super().finished(x, weight, pairs, ending)
        return _summed(x, weight, pairs, ending)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Run the kernel for every group."""
        if groups == 1:
            return _compared(x, grad, pairs)
        if groups == x.shape[1] == grad.shape[1]:
            return _compared_by_channel(x, grad, pairs)
        runs = zip(x.chunk(groups, dim=1), grad.chunk(groups, dim=1), strict=True)
        return torch.cat([_compared(a.contiguous(), b.contiguous(), pairs) for a, b in runs])


def _summed(x: Tensor, weight: Tensor, pairs: KernelMap, ending: Ending | None = None) -> Tensor:
    out_channels, _, in_channels = weight.shape
    missing = -out_channels % host().lanes
    kernel = _sum_of(in_channels, out_channels + missing, ending is not None, ending is not None and ending.relu)
    packed = _aligned(_filled(weight.permute(1, 2, 0), missing))  # (K, C, filled)
    numbers = None if ending is None else _aligned(_filled(torch.stack([ending.bias, ending.factor]), missing))
    y = torch.empty(len(pairs.outputs), out_channels + missing)
    _run(kernel, pairs, _Operands(x, packed, y, numbers), -(-len(y) // BLOCK))
    return y[:, :out_channels].contiguous() if missing else y


def _compared(x: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    out_channels = grad.shape[1]
    missing = -out_channels % host().lanes
    kernel = _gradient_of(x.shape[1], out_channels + missing)
    dw = torch.zeros(pairs.volume, x.shape[1], out_channels + missing)
    _run(kernel, pairs, _Operands(x, _aligned(_filled(grad, missing)), dw), pairs.volume)
    return dw[:, :, :out_channels].permute(2, 0, 1).contiguous()


def _summed_by_channel(x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
    missing = -x.shape[1] % host().lanes
    rows = _aligned(_filled(weight[:, :, 0].T, missing))  # (K, filled)
    y = torch.empty(len(pairs.outputs), rows.shape[1])
    kernel = _depthwise_of(DepthwisePairSum, rows.shape[1])
    _run(kernel, pairs, _Operands(_aligned(_filled(x, missing)), rows, y), -(-len(y) // BLOCK))
    return y[:, : x.shape[1]].contiguous() if missing else y


def _compared_by_channel(x: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    missing = -x.shape[1] % host().lanes
    a, b = (_aligned(_filled(tensor, missing)) for tensor in (x, grad))
    dw = torch.zeros(pairs.volume, a.shape[1])
    _run(_depthwise_of(DepthwisePairGradient, a.shape[1]), pairs, _Operands(a, b, dw), pairs.volume)
    return dw[:, : x.shape[1]].T.unsqueeze(2).contiguous()  # (C, K, 1)


class _Operands(NamedTuple):
    x: Tensor
    weight: Tensor
    y: Tensor
    bias: Tensor | None = None


class _Made(NamedTuple):
    """A compiled kernel.

    Args:
        address: of its function.
        call: the same, for Python.
        macs: of a pair.
    """

    address: int
    call: Any
    macs: int


@lru_cache(maxsize=256)
def _sum_of(in_channels: int, out_channels: int, ends: bool, relu: bool) -> _Made:
    epilogue = Epilogue(bias=ends, activation="relu" if relu else "none")
    return _made(PairSum(in_channels, out_channels, host().lanes, epilogue, scaled=ends))


@lru_cache(maxsize=256)
def _gradient_of(in_channels: int, out_channels: int) -> _Made:
    return _made(PairGradient(in_channels, out_channels, host().lanes))


@lru_cache(maxsize=64)
def _depthwise_of(kind: type[DepthwisePairSum | DepthwisePairGradient], channels: int) -> _Made:
    return _made(kind(channels, channels, host().lanes))


def _made(kernel: Pairs) -> _Made:
    library = build([kernel], host())
    return _Made(library.addresses[kernel.name], library.kernel(kernel.name), kernel.macs)


def _run(made: _Made, pairs: KernelMap, operands: _Operands, units: int) -> None:
    """Compute all units of a kernel; one thread needs no plan for that."""
    if not units or not pairs.volume:
        return
    lists = _table(pairs).numbers.ctypes.data
    x, weight, y = (tensor.data_ptr() for tensor in operands[:3])
    bias = 0 if operands.bias is None else operands.bias.data_ptr()
    threads = torch.get_num_threads()
    if threads == 1 or made.macs * pairs.count < _THREADED:
        made.call(x, weight, bias, y, lists, None, 0, units, 0, 1)
        return
    step = Step(made.address, (units, 1), x=x, weight=weight, bias=bias, y=y, residual=lists)
    Plan([step], threads).run()


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
