"""Sparse convolution: sites, features at them, kernel maps as values, engines and layers."""

from ninefold.sparse.conv import conv
from ninefold.sparse.engines import ENGINES
from ninefold.sparse.installing import install_as_spconv
from ninefold.sparse.layers import (
    GlobalPool,
    InverseConv,
    SparseConv,
    SparseConvTranspose,
    SparsePool,
    SparseSequential,
    SubMConv,
)
from ninefold.sparse.map import KernelMap, kernel_map
from ninefold.sparse.pool import global_pool, pool
from ninefold.sparse.sites import Sites
from ninefold.sparse.tensor import SparseTensor
from ninefold.sparse.voxels import LimitedVoxels, Voxels, at_points, limited_voxels, voxel_means, voxels

__all__ = [
    "ENGINES",
    "GlobalPool",
    "InverseConv",
    "KernelMap",
    "LimitedVoxels",
    "Sites",
    "SparseConv",
    "SparseConvTranspose",
    "SparsePool",
    "SparseSequential",
    "SparseTensor",
    "SubMConv",
    "Voxels",
    "at_points",
    "conv",
    "global_pool",
    "install_as_spconv",
    "kernel_map",
    "limited_voxels",
    "pool",
    "voxel_means",
    "voxels",
]
