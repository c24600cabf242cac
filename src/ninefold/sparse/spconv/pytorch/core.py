"""The sparse tensor of spconv, and what it remembers under an `indice_key`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import torch

from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch.pairs import padded, tabled
from ninefold.sparse.spconv.pytorch.rows import Placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from ninefold.sparse.map import KernelMap
    from ninefold.sparse.spconv.core import ConvAlgo


@dataclass(eq=False)
class IndiceData:
    """A kernel map, with the layer and the rows that it was found for.

    Args:
        pairs: between sorted sites.
        came: the input's rows.
        goes: the output's rows.
        indices: of the input, as the user has them.
        out_indices: of the output.
        spatial_shape: of the input's grid.
        out_spatial_shape: of the output's grid.
        is_subm: whether the output's sites are the input's.
        algo: what the layer named.
        ksize: of the layer; so are the next three.
        stride: see there.
        dilation: see there.
        padding: see there.
    """

    pairs: KernelMap
    came: Placed
    goes: Placed
    indices: Tensor
    out_indices: Tensor
    spatial_shape: list[int]
    out_spatial_shape: list[int]
    is_subm: bool
    algo: ConvAlgo
    ksize: list[int]
    stride: list[int]
    dilation: list[int]
    padding: list[int]
    voxel_num: Tensor | None = None

    @property
    def indice_pairs(self) -> Tensor:
        """Write the pairs as int32 (2, K, N), the user's rows."""
        return padded(self.pairs, self.came, self.goes)[0]

    @property
    def indice_pair_num(self) -> Tensor:
        """Count the pairs per offset, int32 (K,)."""
        return padded(self.pairs, self.came, self.goes)[1]


@dataclass(eq=False)
class ImplicitGemmIndiceData(IndiceData):
    """The same for layers whose `algo` is an implicit one."""

    @property
    def pair_fwd(self) -> Tensor:
        """Write the input row per offset and output row, int32 (K, M), -1 for none."""
        return tabled(self.pairs, self.came, self.goes)

    @property
    def pair_bwd(self) -> Tensor:
        """Write the output row per offset and input row, int32 (K, N), -1 for none."""
        return tabled(self.pairs.swapped, self.goes, self.came)


class SparseConvTensor:
    """Features at active sites, in the order in which the user gave them.

    Args:
        features: (N, C).
        indices: int32 (N, 1 + D): picture, then one coordinate per axis, no two alike; any memory layout.
        spatial_shape: size of the grid, D numbers.
        batch_size: number of pictures, > 0.
        grid: carried along.
        voxel_num: carried along.
        indice_dict: what layers with an `indice_key` found.
        benchmark: carried along; `ninefold bench sparse` measures.
        permanent_thrust_allocator: taken and not needed; so is `enable_timer`.
        enable_timer: see there.
        force_algo: carried along.

    Raises:
        Refused: when shapes or dtypes do not fit.

    >>> x = SparseConvTensor(torch.ones(2, 1), torch.tensor([[0, 2], [0, 0]], dtype=torch.int32), [3], 1)
    >>> x.replace_feature(x.features * 2).dense().tolist()
    [[[2.0, 0.0, 2.0]]]
    """

    def __init__(
        self,
        features: Tensor,
        indices: Tensor,
        spatial_shape: Sequence[int] | np.ndarray,
        batch_size: int,
        grid: Tensor | None = None,
        voxel_num: Tensor | None = None,
        indice_dict: dict[str, IndiceData] | None = None,
        benchmark: bool = False,
        permanent_thrust_allocator: bool = False,  # noqa: ARG002  # upstream's argument
        enable_timer: bool = False,  # noqa: ARG002  # upstream's argument
        force_algo: ConvAlgo | None = None,
    ) -> None:
        if features.dim() != 2 or indices.dim() != 2 or indices.shape[1] != 1 + len(spatial_shape):
            raise Refused(
                f"features {tuple(features.shape)} and indices {tuple(indices.shape)} came for a grid of "
                f"{[int(n) for n in spatial_shape]}; wanted (N, C) and (N, {1 + len(spatial_shape)})"
            )
        if indices.dtype != torch.int32 or batch_size <= 0:
            raise Refused(f"indices of {indices.dtype} came for batch_size={batch_size}; wanted int32, and at least 1")
        self._features = features
        self.indices = indices
        self.spatial_shape = [int(n) for n in spatial_shape]
        self.batch_size = batch_size
        self.indice_dict: dict[str, IndiceData] = {} if indice_dict is None else indice_dict
        self.grid = torch.Tensor() if grid is None else grid
        self.voxel_num = voxel_num
        self.benchmark = benchmark
        self.benchmark_record: dict[str, Any] = {}
        self.thrust_allocator = None
        self._timer = None
        self.force_algo = force_algo
        self.int8_scale: np.ndarray | None = None
        self._placed: Placed | None = None

    def __repr__(self) -> str:
        """Give the shape of the features."""
        return f"SparseConvTensor[shape={self._features.shape}]"

    @property
    def features(self) -> Tensor:
        """Give (N, C); `replace_feature` gives a tensor with others."""
        return self._features

    @features.setter
    def features(self, value: Tensor) -> None:  # noqa: ARG002  # a setter is given it
        """Refuse: tensors that share rows would disagree."""
        raise Refused("features cannot be set; write x = x.replace_feature(new), or x = x + other")

    @property
    def is_quantized(self) -> bool:
        """Say whether the features are torch's quantized integers."""
        return self._features.dtype == torch.qint8

    @property
    def spatial_size(self) -> int:
        """Give the number of cells of one grid."""
        return prod(self.spatial_shape)

    @property
    def placed(self) -> Placed:
        """Give the sites sorted; sorted once as long as they stay what they are."""
        if self._placed is None or not self._placed.fits(self.indices, self.spatial_shape, self.batch_size):
            self._placed = Placed.of(self.indices, self.spatial_shape, self.batch_size)
        return self._placed

    def q_scale(self) -> float:
        """Give the scale of quantized features."""
        if not self.is_quantized:
            raise Refused(f"the features are {self._features.dtype}; only quantized ones have a scale")
        return self._features.q_scale()

    def dequantize(self) -> SparseConvTensor:
        """Give the features as floating-point numbers."""
        return self.replace_feature(self._features.dequantize())

    def replace_feature(self, feature: Tensor) -> SparseConvTensor:
        """Give other features at the same sites, sharing what was found for keys.

        Args:
            feature: (N, any number of channels).
        """
        made = SparseConvTensor(
            feature,
            self.indices,
            self.spatial_shape,
            self.batch_size,
            self.grid,
            self.voxel_num,
            self.indice_dict,
            self.benchmark,
        )
        made.benchmark_record = self.benchmark_record
        made.thrust_allocator = self.thrust_allocator
        made._timer = self._timer
        made.force_algo = self.force_algo
        made.int8_scale = self.int8_scale
        made._placed = self._placed
        return made

    def shadow_copy(self) -> SparseConvTensor:
        """Give a tensor of the same members."""
        return self.replace_feature(self._features)

    def select_by_index(self, valid_indices: Tensor) -> SparseConvTensor:
        """Give some of the rows; keys are forgotten, for they were found for all rows.

        Args:
            valid_indices: bool (N,), or row numbers.
        """
        made = self.replace_feature(self._features[valid_indices])
        made.indices = self.indices[valid_indices]
        made.indice_dict = {}
        return made

    def minus(self) -> SparseConvTensor:
        """Give the features with their signs changed."""
        return self.replace_feature(-self._features)

    @classmethod
    def from_dense(cls, x: Tensor) -> Self:
        """Take every cell with a number other than zero as active.

        Args:
            x: (batch, *size, C), the channels last.
        """
        cells = (x != 0).any(dim=-1).nonzero()  # (N, 1 + D)
        return cls(x[tuple(cells.T)], cells.int(), x.shape[1:-1], len(x))

    def dense(self, channels_first: bool = True) -> Tensor:
        """Give all cells.

        Args:
            channels_first: for (batch, C, *size), else (batch, *size, C).
        """
        if len(self._features) != len(self.indices):
            raise Refused(f"{len(self._features)} rows of features came for {len(self.indices)} sites; wanted one each")
        limits = self.indices.new_tensor([self.batch_size, *self.spatial_shape])
        outside = ((self.indices < 0) | (self.indices >= limits)).any(dim=1).nonzero()
        if len(outside):
            row = int(outside[0])
            raise Refused(
                f"row {row} is site {tuple(self.indices[row].tolist())}, outside {self.batch_size} grids of "
                f"{self.spatial_shape}; take the rows that are inside"
            )
        size = [self.batch_size, *self.spatial_shape, self._features.shape[1]]
        grid = scatter_nd(self.indices.to(self._features.device).long(), self._features, size)
        return grid.movedim(-1, 1).contiguous() if channels_first else grid

    def find_indice_pair(self, key: str | None) -> IndiceData | None:
        """Give what is known under a key, or None."""
        return None if key is None else self.indice_dict.get(key)

    def __add__(self, other: SparseConvTensor | Tensor) -> SparseConvTensor:
        """Add features, row by row."""
        return self.replace_feature(self._features + _features_of(other))

    def __radd__(self, other: SparseConvTensor | Tensor) -> SparseConvTensor:
        """Add features, row by row."""
        return self + other

    def __iadd__(self, other: SparseConvTensor | Tensor) -> Self:
        """Add features to this tensor, row by row."""
        self._features = self._features + _features_of(other)  # in place would break gradients
        return self


def of_sparse_tensor(x: object) -> None:
    """Refuse what is no sparse tensor.

    Args:
        x: what came to a layer.
    """
    if not isinstance(x, SparseConvTensor):
        raise Refused(f"a {type(x).__name__} came to a layer that reads sites; wanted a SparseConvTensor")


def _features_of(other: SparseConvTensor | Tensor) -> Tensor:
    return other.features if isinstance(other, SparseConvTensor) else other


def expand_nd(ndim: int, val: int | Sequence[int] | np.ndarray) -> list[int]:
    """Give a number once per axis.

    Args:
        ndim: number of axes.
        val: one number for all, or one per axis.

    Raises:
        Refused: when there are not `ndim` of them.
    """
    values = list(val) if isinstance(val, Iterable) else [val] * ndim
    if len(values) != ndim or not all(isinstance(value, SupportsIndex) for value in values):
        raise Refused(f"{val!r} came for {ndim} axes; give one integer or {ndim} of them")
    return [int(value) for value in values]


def scatter_nd(indices: Tensor, updates: Tensor, shape: Sequence[int]) -> Tensor:
    """Write rows into zeros; where two rows have one place, one of them stays.

    Args:
        indices: int64 (..., D), the places.
        updates: (..., *shape[D:]).
        shape: of the result.
    """
    places = indices.reshape(-1, indices.shape[-1])
    rows = updates.reshape(len(places), *shape[indices.shape[-1] :])
    return updates.new_zeros(tuple(shape)).index_put(tuple(places.T), rows)
