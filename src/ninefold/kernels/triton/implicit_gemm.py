"""Sparse convolution as one product of matrices that is never written down, on a CUDA device.

**Definition.** A table says, for every kernel offset k and output row o, which input row meets it, or -1 for none:

    y[o, n]        = sum over k with table[k, o] >= 0, and over c, of  x[table[k, o], c] * w[n, k, c]
    dw[n, k, c]    = sum over the pairs (i, o) of k of  dy[o, n] * x[i, c]

The first would be a product of matrices, (rows, K * C) by (K * C, O), once the rows of x that meet an output were
copied side by side. Instead a program loads them where it needs them, for one tile of y that stays in registers: what
it adds up is written once, by one program, so that results repeat bit for bit. An offset under which no row of the tile
meets anything is skipped, which the caller helps by handing rows that meet alike one after the other.

The second is summed over the lists of pairs, cut into as many parts as keep a device busy.

Products of float32 are exact to float32 ("ieee") or take operands of 10 bits ("tf32"); all sums are float32.

Source: masked implicit GEMM of spconv 2 and of H. Tang et al., "TorchSparse++: Efficient Training and Inference
Framework for Sparse Convolution on GPUs", MICRO 2023, section 3; here one table serves all kernel sizes, without bit
masks of 32 offsets.

**Check and measure** with `python -m ninefold.kernels.triton.implicit_gemm`.
"""

# ruff: noqa: ANN001, ANN202  # Triton reads a kernel's annotations as its own

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_ROWS: Final = tl.constexpr(64)  # of y, or pairs, in a tile
_COLUMNS: Final = 64  # of y in a tile, at most
_CHANNELS: Final = 32  # of x in a tile, at most
_LEAST: Final = 16  # of any side that tensor cores take
_PAIRS_PER_PART: Final = 4096
_IS_INTERPRETED: Final = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def _added(a, b, total, PRECISION: tl.constexpr):
    if _IS_INTERPRETED:  # its product takes the bits of bfloat16 for integers
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def _sum_kernel(x, weight, table, y, sizes, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr, PRECISION: tl.constexpr):
    """Write one tile of y; the grid is (tiles of rows, tiles of a group's columns, groups)."""
    rows, offsets, width, columns, groups = sizes
    places = tl.program_id(0) * _ROWS + tl.arange(0, _ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    group = tl.program_id(2)
    here = places < rows
    at = table + places
    heads = weight + (group * columns + column) * offsets * width
    total = tl.zeros((_ROWS, COLUMNS), tl.float32)
    for _ in range(offsets):
        met = tl.load(at, mask=here, other=-1)
        if tl.max(met, axis=0) >= 0:
            starts = x + met.to(tl.int64) * width * groups + group * width
            for first in range(0, width, CHANNELS):
                channel = first + tl.arange(0, CHANNELS)
                there = (met >= 0)[:, None] & (channel < width)[None, :]
                a = tl.load(starts[:, None] + channel[None, :], mask=there, other=0.0)
                known = (channel < width)[:, None] & (column < columns)[None, :]
                b = tl.load(heads[None, :] + channel[:, None], mask=known, other=0.0)
                total = _added(a, b, total, PRECISION)
        at += rows
        heads += width
    out = tl.load(at, mask=here, other=0).to(tl.int64)  # behind the offsets: where each row of the table belongs
    ends = y + out[:, None] * columns * groups + group * columns + column[None, :]
    tl.store(ends, total.to(y.dtype.element_ty), mask=here[:, None] & (column < columns)[None, :])


@triton.jit
def _compare_kernel(
    x, grad, lists, starts, dw, sizes, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr, PRECISION: tl.constexpr
):
    """Write one tile of a part of dw; the grid is (tiles of a group's dw, offsets, groups * parts)."""
    pairs, offsets, width, columns, groups, parts = sizes
    tiles = tl.cdiv(width, CHANNELS)
    column = tl.program_id(0) // tiles * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(0) % tiles * CHANNELS + tl.arange(0, CHANNELS)
    offset = tl.program_id(1)
    group, part = tl.program_id(2) // parts, tl.program_id(2) % parts
    begin, end = tl.load(starts + offset), tl.load(starts + offset + 1)
    share = tl.cdiv(end - begin, parts)
    begin += part * share
    end = tl.minimum(end, begin + share)
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    for first in range(begin, end, _ROWS):
        place = first + tl.arange(0, _ROWS)
        here = place < end
        i = tl.load(lists + place, mask=here, other=0).to(tl.int64)
        o = tl.load(lists + pairs + place, mask=here, other=0).to(tl.int64)
        known = here[None, :] & (column < columns)[:, None]
        a = tl.load(grad + o[None, :] * columns * groups + group * columns + column[:, None], mask=known, other=0.0)
        there = here[:, None] & (channel < width)[None, :]
        b = tl.load(x + i[:, None] * width * groups + group * width + channel[None, :], mask=there, other=0.0)
        total = _added(a, b, total, PRECISION)
    row = ((part * groups + group) * columns + column) * offsets + offset
    inside = (column < columns)[:, None] & (channel < width)[None, :]
    tl.store(dw + row[:, None] * width + channel[None, :], total, mask=inside)


def sum_rows(x: Tensor, weight: Tensor, table: Tensor, precision: str) -> Tensor:
    """Give y of the definition, (M, O), in x's dtype.

    Args:
        x: (N, C), contiguous; float32, float16 or bfloat16.
        weight: (O, K, C / groups), contiguous, of the same dtype.
        table: int32 (K + 1, M): input rows or -1, in any order of the output rows; in the last row, that order.
        precision: "ieee" or "tf32"; it concerns float32 only.
    """
    rows, (out_channels, offsets, width) = table.shape[1], weight.shape
    groups = x.shape[1] // width
    columns = out_channels // groups
    y = x.new_empty(rows, out_channels)
    if rows:
        blocks = _block(columns, _COLUMNS), _block(width, _CHANNELS)
        grid = triton.cdiv(rows, _ROWS.value), triton.cdiv(columns, blocks[0]), groups
        with torch.cuda.device_of(x):
            _sum_kernel[grid](x, weight, table, y, (rows, offsets, width, columns, groups), *blocks, precision)
    return y


def compare_rows(x: Tensor, grad: Tensor, lists: Tensor, starts: Tensor, groups: int, precision: str) -> Tensor:
    """Give dw of the definition, (O, K, C / groups), in x's dtype.

    Args:
        x: (N, C), contiguous; float32, float16 or bfloat16.
        grad: (M, O), contiguous, of the same dtype.
        lists: int32 (2, P): input rows and output rows of all pairs, offset by offset.
        starts: int64 (K + 1,): where each offset's pairs begin, and the end.
        groups: dividing C and O.
        precision: as in `sum_rows`.
    """
    pairs, offsets = lists.shape[1], len(starts) - 1
    width, columns = x.shape[1] // groups, grad.shape[1] // groups
    parts = max(1, min(64, pairs // (offsets * _PAIRS_PER_PART)))
    dw = x.new_empty((parts, grad.shape[1], offsets, width), dtype=torch.float32)
    blocks = _block(columns, _COLUMNS), _block(width, _CHANNELS)
    grid = triton.cdiv(columns, blocks[0]) * triton.cdiv(width, blocks[1]), offsets, groups * parts
    sizes = pairs, offsets, width, columns, groups, parts
    with torch.cuda.device_of(x):
        _compare_kernel[grid](x, grad, lists, starts, dw, sizes, *blocks, precision)
    return dw.sum(0).to(x.dtype)


def _block(count: int, most: int) -> int:
    return min(max(_LEAST, triton.next_power_of_2(count)), most)


def check_and_measure(rows: int, channels: int, dtype: torch.dtype, precision: str) -> tuple[float, float, float]:
    """Hold `sum_rows` to the definition, and time it beside a product of torch's per offset.

    Args:
        rows: of x and of y, meeting each other at random under 27 offsets, a third of them.
        channels: C and O.
        dtype: of x and the weight.
        precision: as in `sum_rows`.

    Returns:
        The largest error in parts of the largest number, the kernel's seconds and torch's.
    """
    device = "cpu" if triton.knobs.runtime.interpret else "cuda"
    torch.manual_seed(0)
    x = torch.randn(rows, channels, device=device).to(dtype)
    weight = torch.randn(channels, 27, channels, device=device).to(dtype)
    met = torch.randint(rows, (27, rows), device=device).where(torch.rand(27, rows, device=device) < 1 / 3, -1)
    table = torch.cat([met, torch.randperm(rows, device=device)[None]]).to(torch.int32)
    exact = _summed_plainly(x.double(), weight.double(), table)
    error = (sum_rows(x, weight, table, precision) - exact).abs().max() / exact.abs().max()
    ours = _seconds(lambda: sum_rows(x, weight, table, precision))
    return error.item(), ours, _seconds(lambda: _summed_plainly(x, weight, table))


def _summed_plainly(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    y = x.new_zeros(table.shape[1], len(weight))
    for k, met in enumerate(table[:-1]):
        here = met >= 0
        y.index_add_(0, table[-1, here], x[met[here]] @ weight[:, k].T)
    return y


def _seconds(call: Callable[[], Tensor]) -> float:
    times = []
    for _ in range(10):
        start = perf_counter()
        call().sum().item()  # which waits for the device
        times.append(perf_counter() - start)
    return median(times)


def main() -> None:
    """Print the error and the time of every dtype, on a CUDA device or, small, under Triton's interpreter."""
    rows, channels = (100, 20) if triton.knobs.runtime.interpret else (200_000, 64)
    cases = (torch.float32, "ieee"), (torch.float32, "tf32"), (torch.float16, "ieee"), (torch.bfloat16, "ieee")
    for dtype, precision in cases:
        error, ours, plain = check_and_measure(rows, channels, dtype, precision)
        times = f"{1e3 * ours:.2f} ms, torch {1e3 * plain:.2f} ms"
        sys.stdout.write(f"{dtype}, {precision}: error {error:.1e}, {times}\n")


if __name__ == "__main__":
    main()
