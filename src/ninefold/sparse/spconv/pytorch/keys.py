"""What an `indice_key` promises: which layers may share a kernel map, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ninefold.sparse.map import kernel_map
from ninefold.sparse.spconv.core import ConvAlgo
from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch.core import ImplicitGemmIndiceData, IndiceData
from ninefold.sparse.spconv.pytorch.rows import Placed

if TYPE_CHECKING:
    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor
    from ninefold.sparse.spconv.pytorch.geometry import Geometry


def algo_for(algo: ConvAlgo | None, volume: int, limit: int) -> ConvAlgo:
    """Give the algorithm that spconv's CUDA builds would name.

    Args:
        algo: what the user asks for, or None.
        volume: number of kernel offsets.
        limit: up to which they use masks.
    """
    if algo is not None:
        return algo
    return ConvAlgo.MaskImplicitGemm if volume <= limit else ConvAlgo.Native


def mapped(x: SparseConvTensor, geometry: Geometry, key: str | None, algo: ConvAlgo) -> IndiceData:
    """Give the kernel map that a key names, or find one.

    Args:
        x: the input.
        geometry: of the layer.
        key: None for none.
        algo: of the layer.

    Raises:
        Refused: when the key belongs to a layer that cannot share.
    """
    known = x.find_indice_pair(key)
    if known is None:
        return found(x, geometry, algo)
    if not (geometry.subm and known.is_subm):
        raise Refused(f"indice_key {key!r} exists already; only submanifold layers share one, so take another name")
    _same(key, "algo", algo, known.algo)
    _same(key, "kernel size", list(geometry.kernel), known.ksize)
    _same(key, "dilation", list(geometry.dilation), known.dilation)
    _same(key, "spatial shape", x.spatial_shape, known.spatial_shape)
    _same(key, "number of sites", len(x.indices), len(known.indices))
    return known if x.indices is known.indices else _for_rows_of(x, known)


def inverted(x: SparseConvTensor, geometry: Geometry, key: str | None, algo: ConvAlgo) -> IndiceData:
    """Give the kernel map of the layer that an inverse convolution leads back from.

    Args:
        x: the input, at that layer's output.
        geometry: of the inverse layer.
        key: of both.
        algo: of the inverse layer.

    Raises:
        Refused: when no such layer came before, or it does not fit.
    """
    known = x.find_indice_pair(key)
    if known is None or known.is_subm:
        raise Refused(
            f"an inverse convolution came with indice_key {key!r}, and the tensor knows {sorted(x.indice_dict)}; name "
            "that of an earlier strided convolution or pooling"
        )
    _same(key, "algo", algo, known.algo)
    _same(key, "kernel size", list(geometry.kernel), known.ksize)
    _same(key, "spatial shape", x.spatial_shape, known.out_spatial_shape)
    _same(key, "number of sites", len(x.indices), len(known.out_indices))
    return known


def found(x: SparseConvTensor, geometry: Geometry, algo: ConvAlgo) -> IndiceData:
    """Find a kernel map.

    Args:
        x: the input.
        geometry: of the layer.
        algo: of the layer.

    Raises:
        InvalidInput: when a site lies outside or comes twice, or the output would have no cell.
    """
    came = x.placed
    pairs = kernel_map(came.sites, geometry.spec(x.spatial_shape))
    goes = came if geometry.subm else Placed(pairs.outputs)
    # a copy, because users write into indices and sites never change
    indices = x.indices if geometry.subm else pairs.outputs.coords.clone()
    kind = IndiceData if algo == ConvAlgo.Native else ImplicitGemmIndiceData
    moves = (list(geometry.kernel), list(geometry.stride), list(geometry.dilation), list(geometry.padding))
    grids = list(x.spatial_shape), list(pairs.outputs.size)
    return kind(pairs, came, goes, x.indices, indices, *grids, geometry.subm, algo, *moves)


def after(x: SparseConvTensor, data: IndiceData, key: str | None) -> SparseConvTensor:
    """Give a tensor of the same features at a layer's output sites; branches do not see each other's keys.

    Args:
        x: the layer's input with the features of its output.
        data: the layer's kernel map.
        key: None for none.
    """
    x.indices, x.spatial_shape, x._placed = data.out_indices, list(data.out_spatial_shape), data.goes  # noqa: SLF001
    x.indice_dict = dict(x.indice_dict) if key is None else {**x.indice_dict, key: data}
    return x


def before(x: SparseConvTensor, data: IndiceData) -> SparseConvTensor:
    """Give a tensor of the same features at a layer's input sites.

    Args:
        x: the inverse layer's input with the features of its output.
        data: the earlier layer's kernel map.
    """
    x.indices, x.spatial_shape, x._placed = data.indices, list(data.spatial_shape), data.came  # noqa: SLF001
    x.indice_dict = dict(x.indice_dict)
    return x


def _for_rows_of(x: SparseConvTensor, known: IndiceData) -> IndiceData:
    """Give a submanifold layer's kernel map for the same sites in another order; for other sites as it is."""
    if torch.equal(x.indices, known.indices) or not torch.equal(x.placed.sites.coords, known.came.sites.coords):
        return known
    return replace(known, came=x.placed, goes=x.placed, indices=x.indices, out_indices=x.indices)


def _same(key: str | None, what: str, came: object, wanted: object) -> None:
    if came != wanted:
        raise Refused(
            f"layers that share indice_key {key!r} must have the same {what}: {came} came, and {wanted} was there first"
        )
