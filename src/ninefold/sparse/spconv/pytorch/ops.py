"""spconv's operators over pairs and tables as tensors; see `pairs` for both forms.

Layers compute over kernel maps. These are for code that calls the operators by name; all of them have gradients too.
Arguments that steer CUDA kernels are taken and not needed.
"""
# ruff: noqa: ARG001  # the arguments are upstream's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from ninefold.sparse.conv import conv, conv_gradients
from ninefold.sparse.pool import pool
from ninefold.sparse.spconv.core import Activation, ConvAlgo
from ninefold.sparse.spconv.errors import Refused, no_int8
from ninefold.sparse.spconv.pytorch.core import SparseConvTensor
from ninefold.sparse.spconv.pytorch.geometry import Geometry
from ninefold.sparse.spconv.pytorch.keys import found
from ninefold.sparse.spconv.pytorch.max_pool import max_pool
from ninefold.sparse.spconv.pytorch.pairs import increases, map_of_padded, map_of_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ninefold.sparse.map import KernelMap
    from ninefold.sparse.spconv.pytorch.core import ImplicitGemmIndiceData, IndiceData


def get_conv_output_size(
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """Give (n + 2 p - d (k - 1) - 1) // s + 1 per axis, and 1 where k is -1.

    >>> get_conv_output_size([41, 1600], [3, 3], [2, 2], [1, 1], [1, 1])
    [21, 800]
    """
    axes = zip(input_size, kernel_size, stride, padding, dilation, strict=True)
    return [1 if k == -1 else (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]


def get_deconv_output_size(
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
) -> list[int]:
    """Give (n - 1) s - 2 p + k + end per axis: the dilation is not counted.

    >>> get_deconv_output_size([5], [3], [2], [0], [2], [0])
    [11]
    """
    if -1 in kernel_size:
        raise Refused(f"kernel_size={list(kernel_size)} came; a transposed convolution needs one of at least 1")
    axes = zip(input_size, kernel_size, stride, padding, output_padding, strict=True)
    return [(n - 1) * s - 2 * p + k + end for n, k, s, p, end in axes]


def get_indice_pairs(
    indices: Tensor,
    batch_size: int,
    spatial_shape: Sequence[int],
    algo: ConvAlgo,
    ksize: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out_padding: Sequence[int],
    subm: bool = False,
    transpose: bool = False,
    num_out_act_bound: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find output sites and pairs.

    Returns:
        int32 (M, 1 + D) output sites, int32 (2, K, N) pairs, int32 (K,) counts.
    """
    geometry = Geometry(ksize, stride, padding, dilation, out_padding, subm, transpose)
    data = _found(indices, batch_size, spatial_shape, geometry, ConvAlgo.Native)
    return data.out_indices, data.indice_pairs, data.indice_pair_num


def get_indice_pairs_implicit_gemm(
    indices: Tensor,
    batch_size: int,
    spatial_shape: Sequence[int],
    algo: ConvAlgo,
    ksize: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out_padding: Sequence[int],
    subm: bool = False,
    transpose: bool = False,
    is_train: bool = True,
    alloc: Any = None,
    timer: Any = None,
    num_out_act_bound: int = -1,
    direct_table: bool = True,
    do_sort: bool = True,
) -> tuple[Any, ...]:
    """Find output sites and tables.

    Returns:
        int32 (M, 1 + D) output sites, int32 (K,) counts, int32 (K, M) forward and int32 (K, N) backward tables, and
        five empty lists where masks would be.
    """
    geometry = Geometry(ksize, stride, padding, dilation, out_padding, subm, transpose)
    data: ImplicitGemmIndiceData = _found(indices, batch_size, spatial_shape, geometry, ConvAlgo.MaskImplicitGemm)
    return (data.out_indices, data.indice_pair_num, data.pair_fwd, data.pair_bwd, *([] for _ in range(5)))


def indice_conv(
    features: Tensor,
    filters: Tensor,
    indice_pairs: Tensor,
    indice_pair_num: Tensor,
    num_activate_out: int,
    inverse: bool = False,
    subm: bool = False,
    algo: ConvAlgo = ConvAlgo.Native,
    timer: Any = None,
    bias: Tensor | None = None,
    act_alpha: float = 0.0,
    act_beta: float = 0.0,
    act_type: Activation = Activation.None_,
) -> Tensor:
    """Convolve over pairs; `inverse` goes from output rows to input rows.

    Returns:
        (num_activate_out, O).
    """
    written = indice_pairs.flip(0) if inverse else indice_pairs
    rows = len(features), num_activate_out
    return _summed(
        features, filters, bias, map_of_padded(written, indice_pair_num, rows, filters.shape[1:-1]), act_type, act_alpha
    )


def indice_conv_backward(
    features: Tensor,
    filters: Tensor,
    out_bp: Tensor,
    indice_pairs: Tensor,
    indice_pair_num: Tensor,
    inverse: bool = False,
    subm: bool = False,
    algo: ConvAlgo = ConvAlgo.Native,
    timer: Any = None,
) -> tuple[Tensor, ...]:
    """Give the gradients of `indice_conv` for features and filters."""
    written = indice_pairs.flip(0) if inverse else indice_pairs
    pairs = map_of_padded(written, indice_pair_num, (len(features), len(out_bp)), filters.shape[1:-1])
    return conv_gradients(features, filters, out_bp, pairs, _engine(pairs))


def implicit_gemm(
    features: Tensor,
    filters: Tensor,
    pair_fwd: Tensor,
    pair_mask_fwd_splits: list[Tensor],
    mask_argsort_fwd_splits: list[Tensor],
    num_activate_out: int,
    masks: list[Any],
    is_train: bool,
    is_subm: bool,
    timer: Any = None,
    fp32_accum: bool | None = None,
    bias: Tensor | None = None,
    act_alpha: float = 0.0,
    act_beta: float = 0.0,
    act_type: Activation = Activation.None_,
    output_scale: float = 1.0,
    scale: Tensor | None = None,
    output_add: Tensor | None = None,
    output_add_scale: float = 0.0,
    output_dtype: torch.dtype | None = None,
) -> tuple[Tensor, None, int]:
    """Convolve over a table.

    Returns:
        (num_activate_out, O), and None and -1 where the masks and their width would be.

    Raises:
        Unsupported: when it is asked for int8: by a scale, or by its dtype.
    """
    if scale is not None or output_scale != 1 or output_dtype in (torch.int8, torch.qint8):
        raise no_int8("implicit_gemm with scales, or with output_dtype=torch.int8,")
    pairs = map_of_table(pair_fwd, len(features), filters.shape[1:-1])
    y = _summed(features, filters, bias, pairs, Activation.None_, 0.0)
    return activated(y if output_add is None else y + output_add, act_type, act_alpha), None, -1


def implicit_gemm_backward(
    features: Tensor,
    filters: Tensor,
    out_bp: Tensor,
    pair_fwd: Tensor,
    pair_bwd: Tensor,
    pair_mask_fwd_splits: list[Tensor],
    pair_mask_bwd_splits: list[Tensor],
    mask_argsort_fwd_splits: list[Tensor],
    mask_argsort_bwd_splits: list[Tensor],
    mask_output_fwd: Tensor | None,
    masks: list[Any],
    mask_width: int,
    is_subm: bool,
    timer: Any = None,
    fp32_accum: bool | None = None,
) -> tuple[Tensor, ...]:
    """Give the gradients of `implicit_gemm` for features and filters."""
    pairs = map_of_table(pair_fwd, len(features), filters.shape[1:-1])
    return conv_gradients(features, filters, out_bp, pairs, _engine(pairs))


def indice_maxpool(features: Tensor, indice_pairs: Tensor, indice_pair_num: Tensor, num_activate_out: int) -> Tensor:
    """Give the largest of 0 and the rows that meet each output row, (num_activate_out, C)."""
    rows, kernel = (len(features), num_activate_out), (indice_pairs.shape[1],)
    return max_pool(features, map_of_padded(indice_pairs, indice_pair_num, rows, kernel))


def indice_maxpool_backward(
    features: Tensor, out_features: Tensor, out_bp: Tensor, indice_pairs: Tensor, indice_pair_num: Tensor
) -> Tensor:
    """Give the gradient of `indice_maxpool` for features."""
    pooled = lambda x: indice_maxpool(x, indice_pairs, indice_pair_num, len(out_bp))  # noqa: E731
    return _gradient(pooled, features, out_bp)


def indice_maxpool_implicit_gemm(features: Tensor, indice_pairs: Tensor, num_activate_out: int) -> Tensor:
    """Give `indice_maxpool` over a table."""
    return max_pool(features, map_of_table(indice_pairs, len(features), indice_pairs.shape[:1]))


def indice_maxpool_implicit_gemm_backward(
    features: Tensor, out_features: Tensor, out_bp: Tensor, indice_pairs: Tensor
) -> Tensor:
    """Give the gradient of `indice_maxpool_implicit_gemm`, over the backward table."""
    pairs = map_of_table(indice_pairs, len(out_bp), indice_pairs.shape[:1]).swapped
    return _gradient(lambda x: max_pool(x, pairs), features, out_bp)


def indice_avgpool_implicit_gemm(
    features: Tensor, indice_pairs: Tensor, num_activate_out: int, calc_count: bool
) -> tuple[Tensor, Tensor]:
    """Give the mean of the rows that meet each output row, (num_activate_out, C), and how many they are."""
    pairs = map_of_table(indice_pairs, len(features), indice_pairs.shape[:1])
    counts = (indice_pairs >= 0).sum(dim=0, dtype=torch.int32)
    return pool(features, pairs, "mean"), counts if calc_count else torch.Tensor()


def indice_avgpool_implicit_gemm_backward(out_bp: Tensor, indice_pairs: Tensor, count_out: Tensor) -> Tensor:
    """Give the gradient of `indice_avgpool_implicit_gemm`, over the backward table."""
    shares = out_bp / count_out[:, None].clamp(min=1)
    return pool(shares, map_of_table(indice_pairs, len(out_bp), indice_pairs.shape[:1]), "sum")


def maximum_value_int_(ten: Tensor, value: int) -> None:
    """Raise the one integer of a tensor to a value that is larger."""
    ten.clamp_(min=value)


def global_pool_rearrange(coords: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Give the rows of each picture, int32 (batch, N) of which the first are meant, and int32 (batch,): how many."""
    rows = torch.zeros((batch_size, len(coords)), dtype=torch.int32, device=coords.device)
    counts = torch.bincount(coords[:, 0], minlength=batch_size).to(torch.int32)
    for picture, line in enumerate(rows):
        own = (coords[:, 0] == picture).nonzero()[:, 0]
        line[: len(own)] = own
    return rows, counts


def activated(y: Tensor, act_type: Activation, alpha: float) -> Tensor:
    """Apply an activation.

    Args:
        y: any shape.
        act_type: which.
        alpha: the slope of the leaky one where y < 0.
    """
    if act_type == Activation.ReLU:
        return F.relu(y)
    if act_type == Activation.Sigmoid:
        return F.sigmoid(y)
    return F.leaky_relu(y, alpha) if act_type == Activation.LeakyReLU else y


def _engine(pairs: KernelMap) -> str:
    """Name the engine for pairs: all can take sorted rows, one those in any order."""
    return "auto" if increases(pairs) else "gather_gemm_scatter"


def _summed(
    x: Tensor, weight: Tensor, bias: Tensor | None, pairs: KernelMap, act_type: Activation, alpha: float
) -> Tensor:
    return activated(conv(x, weight, bias, pairs, _engine(pairs)), act_type, alpha)


def _gradient(compute: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        y = compute(leaf)
    return torch.autograd.grad(y, leaf, grad)[0]


def _found(
    indices: Tensor, batch_size: int, spatial_shape: Sequence[int], geometry: Geometry, algo: ConvAlgo
) -> IndiceData:
    nothing = torch.empty((len(indices), 0), device=indices.device)
    return found(SparseConvTensor(nothing, indices, spatial_shape, batch_size), geometry, algo)
