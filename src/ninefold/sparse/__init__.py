"""Sparse convolution: sites, features at them, kernel maps as values, engines and layers."""

from ninefold.sparse.conv import conv
from ninefold.sparse.engines import ENGINES
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

__all__ = [
    "ENGINES",
    "GlobalPool",
    "InverseConv",
    "KernelMap",
    "Sites",
    "SparseConv",
    "SparseConvTranspose",
    "SparsePool",
    "SparseSequential",
    "SparseTensor",
    "SubMConv",
    "conv",
    "global_pool",
    "kernel_map",
    "pool",
]
