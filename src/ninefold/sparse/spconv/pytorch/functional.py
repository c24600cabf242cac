"""spconv's differentiable functions, and sums of tensors at different sites."""
# ruff: noqa: ARG001  # the arguments are upstream's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ninefold.sparse.spconv.core import Activation, ConvAlgo
from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch import ops

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor


def indice_conv(
    features: Tensor,
    filters: Tensor,
    indice_pairs: Tensor,
    indice_pair_num: Tensor,
    num_activate_out: int,
    algo: ConvAlgo = ConvAlgo.Native,
    timer: Any = None,
    bias: Tensor | None = None,
    act_alpha: float = 0.0,
    act_beta: float = 0.0,
    act_type: Activation = Activation.None_,
) -> Tensor:
    """Convolve over pairs, see `ops.indice_conv`."""
    pairs = indice_pairs, indice_pair_num, num_activate_out
    epilogue = {"bias": bias, "act_alpha": act_alpha, "act_type": act_type}
    return ops.indice_conv(features, filters, *pairs, **epilogue)


indice_subm_conv = indice_conv


def indice_inverse_conv(
    features: Tensor,
    filters: Tensor,
    indice_pairs: Tensor,
    indice_pair_num: Tensor,
    num_activate_out: int,
    algo: ConvAlgo = ConvAlgo.Native,
    timer: Any = None,
    bias: Tensor | None = None,
    act_alpha: float = 0.0,
    act_beta: float = 0.0,
    act_type: Activation = Activation.None_,
) -> Tensor:
    """Convolve over pairs from output rows to input rows."""
    pairs = indice_pairs, indice_pair_num, num_activate_out
    epilogue = {"bias": bias, "act_alpha": act_alpha, "act_type": act_type}
    return ops.indice_conv(features, filters, *pairs, inverse=True, **epilogue)


def implicit_gemm(
    features: Tensor,
    filters: Tensor,
    pair_fwd: Tensor,
    pair_bwd: Tensor,
    pair_mask_fwd_splits: list[Tensor],
    pair_mask_bwd_splits: list[Tensor],
    mask_argsort_fwd_splits: list[Tensor],
    mask_argsort_bwd_splits: list[Tensor],
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
) -> Tensor:
    """Convolve over a table, (num_activate_out, O)."""
    table = pair_fwd, [], [], num_activate_out, [], is_train, is_subm
    epilogue = {"bias": bias, "act_alpha": act_alpha, "act_type": act_type}
    return ops.implicit_gemm(features, filters, *table, **epilogue)[0]


indice_maxpool = ops.indice_maxpool


def indice_maxpool_implicit_gemm(
    features: Tensor, indice_pairs_fwd: Tensor, indice_pairs_bwd: Tensor, num_activate_out: int
) -> Tensor:
    """Give the largest of 0 and the rows that meet each output row, over a table."""
    return ops.indice_maxpool_implicit_gemm(features, indice_pairs_fwd, num_activate_out)


def indice_avgpool_implicit_gemm(
    features: Tensor, indice_pairs_fwd: Tensor, indice_pairs_bwd: Tensor, num_activate_out: int, calc_count: bool
) -> Tensor:
    """Give the mean of the rows that meet each output row, over a table."""
    return ops.indice_avgpool_implicit_gemm(features, indice_pairs_fwd, num_activate_out, calc_count)[0]


def sparse_add(*tens: SparseConvTensor) -> SparseConvTensor:
    """Add tensors of one grid at different sites.

    Where one of them has all the sites, the result has its rows and its keys; else rows are sorted and keys forgotten.

    Args:
        tens: of the same grid and as many channels.

    Raises:
        Refused: when they differ in either.
    """
    facts = {(tuple(x.spatial_shape), x.batch_size, x.features.shape[1]) for x in tens}
    if len(facts) != 1:
        raise Refused(f"tensors of (size, batch, channels) {sorted(facts)} came; wanted one of each")
    sites, row_of = torch.unique(torch.cat([x.indices for x in tens]), dim=0, return_inverse=True)
    features = torch.cat([x.features for x in tens])
    sums = features.new_zeros((len(sites), features.shape[1])).index_add(0, row_of, features)
    start = 0
    for x in tens:
        if len(x.indices) == len(sites):
            return x.replace_feature(sums[row_of[start : start + len(sites)]])
        start += len(x.indices)
    made = tens[0].replace_feature(sums)
    made.indices, made.indice_dict = sites, {}
    return made


sparse_add_hash_based = sparse_add
