"""spconv's poolings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import TYPE_CHECKING, ClassVar

import torch

from ninefold.sparse.pool import global_pool, pool
from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch.convolution import COUNT
from ninefold.sparse.spconv.pytorch.core import expand_nd, of_sparse_tensor
from ninefold.sparse.spconv.pytorch.geometry import Geometry
from ninefold.sparse.spconv.pytorch.keys import after, algo_for, found
from ninefold.sparse.spconv.pytorch.max_pool import max_pool
from ninefold.sparse.spconv.pytorch.modules import SparseModule
from ninefold.sparse.spconv.pytorch.ops import maximum_value_int_
from ninefold.sparse.tensor import SparseTensor
from ninefold.sparse.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.sparse.map import KernelMap
    from ninefold.sparse.spconv.core import ConvAlgo
    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor

    Axes = int | Sequence[int]


class _Pool(SparseModule, ABC):
    def __init__(
        self,
        ndim: int,
        kernel_size: Axes = 3,
        stride: Axes | None = 1,
        padding: Axes = 0,
        dilation: Axes = 1,
        indice_key: str | None = None,
        subm: bool = False,
        algo: ConvAlgo | None = None,
        record_voxel_count: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.ndim = ndim
        self.kernel_size = expand_nd(ndim, kernel_size)
        self.stride = list(self.kernel_size) if stride is None else expand_nd(ndim, stride)
        self.padding, self.dilation = expand_nd(ndim, padding), expand_nd(ndim, dilation)
        self.indice_key, self.subm, self.record_voxel_count = indice_key, subm, record_voxel_count
        self.algo = algo_for(algo, prod(self.kernel_size), 128)
        if self._counts:
            self.register_buffer(COUNT, torch.zeros(1, dtype=torch.int32))

    @abstractmethod
    def _pooled(self, x: Tensor, pairs: KernelMap) -> Tensor:
        """Give a row per output site."""

    @property
    def _counts(self) -> bool:
        return self.record_voxel_count and not self.subm

    def get_max_num_voxels(self) -> Tensor | None:
        """Give int32 (1,), the most output sites seen, if they are recorded."""
        return self.get_buffer(COUNT) if self._counts else None

    @untraced
    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """Pool.

        Args:
            x: any number of channels.

        Raises:
            InvalidInput: when the key exists already, or sites do not fit.
        """
        of_sparse_tensor(x)
        if x.find_indice_pair(self.indice_key) is not None:
            raise Refused(f"indice_key {self.indice_key!r} exists already; give this pooling another")
        data = found(x, Geometry(self.kernel_size, self.stride, self.padding, self.dilation, subm=self.subm), self.algo)
        rows = self._pooled(data.came.by_key(x.features), data.pairs)
        if self._counts:
            maximum_value_int_(self.get_buffer(COUNT), len(rows))
        return after(x.replace_feature(data.goes.as_came(rows)), data, self.indice_key)

    def extra_repr(self) -> str:
        """Give what torch prints of a layer."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"algo={self.algo}"
        )


class SparseMaxPool(_Pool):
    """The largest of 0 and the active cells of each window.

    Args:
        ndim: number of spatial axes, 1 to 4.
        kernel_size: per axis, or one number for all; so are stride, padding and dilation.
        stride: None for the kernel's size.
        padding: >= 0.
        dilation: >= 1.
        indice_key: under which the kernel map is kept for an inverse convolution.
        subm: whether the output's sites are the input's.
        algo: as in `SparseConvolution`.
        record_voxel_count: as in `SparseConvolution`.
        name: anything.
    """

    def _pooled(self, x: Tensor, pairs: KernelMap) -> Tensor:
        return max_pool(x, pairs)


class SparseAvgPool(_Pool):
    """The mean of the active cells of each window; arguments as in `SparseMaxPool`."""

    def _pooled(self, x: Tensor, pairs: KernelMap) -> Tensor:
        return pool(x, pairs, "mean")


class SparseGlobalMaxOrAvgPool(SparseModule):
    """The largest or the mean over all active cells of each picture.

    Args:
        is_mean: which.
        name: anything.
    """

    def __init__(self, is_mean: bool, name: str | None = None) -> None:
        super().__init__(name=name)
        self.is_mean = is_mean

    @untraced
    def forward(self, x: SparseConvTensor) -> Tensor:
        """Give (batch, C); zeros for a picture without an active cell."""
        placed = x.placed
        sorted_x = SparseTensor(placed.by_key(x.features), placed.sites, (1,) * placed.sites.dims)
        return global_pool(sorted_x, "mean" if self.is_mean else "max")


class SparseGlobalAvgPool(SparseGlobalMaxOrAvgPool):
    """The mean over all active cells of each picture."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(is_mean=True, name=name)


class SparseGlobalMaxPool(SparseGlobalMaxOrAvgPool):
    """The largest over all active cells of each picture."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(is_mean=False, name=name)


class _MaxPool(SparseMaxPool):
    axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        dilation: Axes = 1,
        indice_key: str | None = None,
        algo: ConvAlgo | None = None,
        record_voxel_count: bool = False,
        name: str | None = None,
    ) -> None:
        moves = kernel_size, stride, padding, dilation
        super().__init__(self.axes, *moves, indice_key, False, algo, record_voxel_count, name)


class SparseMaxPool1d(_MaxPool):
    """Max pooling over 1 axis; arguments as in `SparseMaxPool`."""

    axes = 1


class SparseMaxPool2d(_MaxPool):
    """Max pooling over 2 axes; arguments as in `SparseMaxPool`."""

    axes = 2


class SparseMaxPool3d(_MaxPool):
    """Max pooling over 3 axes; arguments as in `SparseMaxPool`."""

    axes = 3


class SparseMaxPool4d(_MaxPool):
    """Max pooling over 4 axes; arguments as in `SparseMaxPool`."""

    axes = 4


class _AvgPool(SparseAvgPool):
    axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        dilation: Axes = 1,
        indice_key: str | None = None,
        algo: ConvAlgo | None = None,
        record_voxel_count: bool = False,
        name: str | None = None,
    ) -> None:
        moves = kernel_size, stride, padding, dilation
        super().__init__(self.axes, *moves, indice_key, False, algo, record_voxel_count, name)


class SparseAvgPool1d(_AvgPool):
    """Mean pooling over 1 axis; arguments as in `SparseMaxPool`."""

    axes = 1


class SparseAvgPool2d(_AvgPool):
    """Mean pooling over 2 axes; arguments as in `SparseMaxPool`."""

    axes = 2


class SparseAvgPool3d(_AvgPool):
    """Mean pooling over 3 axes; arguments as in `SparseMaxPool`."""

    axes = 3
