"""The engines `triton` and `triton_tf32`: masked implicit GEMM on a CUDA device.

What the kernels read is made once per kernel map, on its device, and kept with it: a table of input rows whose columns
are sorted by which offsets they have, so that a tile of rows skips as many offsets as it can, and lists of pairs.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Final, final

import torch

from ninefold.sparse.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.engine import Job
    from ninefold.sparse.map import KernelMap

_DTYPES: Final = (torch.float32, torch.float16, torch.bfloat16)
_LEAST_CAPABILITY: Final = (8, 0)  # the first with bfloat16 and tf32
_NARROWEST: Final = 16  # channels: half a tile would be zeros
_SORTED_BY: Final = 62  # offsets, the most that fit into an integer


class _ImplicitGemm(Engine):
    """Sum float32 and halves in float32, one tile of output rows per program."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """How float32 is multiplied: "ieee" or "tf32"."""

    def why_not(self, job: Job) -> str | None:
        """Refuse machines without Triton or a CUDA device that it compiles for, other dtypes, and narrow groups."""
        if job.dtype not in _DTYPES:
            return f"it sums in float32, and the tensors are of {str(job.dtype).removeprefix('torch.')}"
        if job.groups > 1 and min(job.in_channels, job.out_channels) // job.groups < _NARROWEST:
            return f"groups of fewer than {_NARROWEST} channels do not fill a tile"
        if not _is_installed():
            return "it needs the package 'triton', which comes with PyTorch for CUDA on Linux"
        if job.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":
            return None
        if job.device.type != "cuda":
            return f"it is made of kernels for CUDA devices, and the tensors are on {job.device}"
        capability = torch.cuda.get_device_capability(job.device)
        if capability < _LEAST_CAPABILITY:
            return f"it needs a device of compute capability 8.0, and {job.device} has {'.'.join(map(str, capability))}"
        return None

    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Write every output row once."""
        from ninefold.kernels.triton.implicit_gemm import sum_rows

        return sum_rows(x, weight.contiguous(), table(pairs), self.precision)

    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Sum over the pairs of every offset, in parts."""
        from ninefold.kernels.triton.implicit_gemm import compare_rows

        return compare_rows(x, grad, *_lists(pairs), groups, self.precision)


@final
class Triton(_ImplicitGemm):
    """Multiply float32 as float32."""

    name: ClassVar[str] = "triton"
    precision = "ieee"


@final
class TritonTf32(_ImplicitGemm):
    """Multiply float32 with operands of 10 bits, on tensor cores; never chosen by "auto"."""

    name: ClassVar[str] = "triton_tf32"
    precision = "tf32"


def table(pairs: KernelMap) -> Tensor:
    """Give the table that `sum_rows` reads, made once per map.

    Args:
        pairs: from N to M rows, under K offsets.

    Returns:
        int32 (K + 1, M): per offset the input row that meets an output row, or -1; last, the output row. Columns are
        sorted by which of the first 62 offsets they have.
    """
    key = "triton table", pairs.is_swapped
    if key not in pairs.memory:
        pairs.memory[key] = _tabled(pairs)
    found: Tensor = pairs.memory[key]
    return found


def _tabled(pairs: KernelMap) -> Tensor:
    rows = len(pairs.outputs)
    found = torch.full((pairs.volume, rows), -1, dtype=torch.int32, device=pairs.in_rows.device)
    mask = torch.zeros(rows, dtype=torch.int64, device=found.device)
    for k in range(pairs.volume):
        i, o = pairs.pairs(k)
        found[k, o.long()] = i
        if k < _SORTED_BY:
            mask += (found[k] >= 0).long() << k
    order = torch.argsort(mask, stable=True)
    return torch.cat([found[:, order], order[None].to(torch.int32)])


def _lists(pairs: KernelMap) -> tuple[Tensor, Tensor]:
    """Give int32 (2, P), all pairs offset by offset, and int64 (K + 1,), where each offset's begin."""
    key = "triton lists", pairs.is_swapped
    if key not in pairs.memory:
        lists = [torch.stack(pairs.pairs(k)) for k in range(pairs.volume)]
        starts = torch.tensor([0, *(part.shape[1] for part in lists)], device=pairs.in_rows.device).cumsum(0)
        pairs.memory[key] = torch.cat(lists, dim=1), starts
    found: tuple[Tensor, Tensor] = pairs.memory[key]
    return found


@cache
def _is_installed() -> bool:
    return find_spec("triton") is not None
