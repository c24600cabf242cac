"""Layers over sparse tensors, as torch modules.

Weights are (O, *kernel, C / groups). A layer finds its kernel map from the sites that come in; layers of one geometry
on the same sites share it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import nn

from ninefold.errors import InvalidInput
from ninefold.sparse.conv import conv, finished_conv
from ninefold.sparse.dense import Dense, is_dense
from ninefold.sparse.fusing import applied, taken_over
from ninefold.sparse.map import kernel_map
from ninefold.sparse.pool import global_pool, pool
from ninefold.sparse.tensor import SparseTensor
from ninefold.sparse.untraced import untraced
from ninefold.spec import SparseSpec, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.sparse.engine import Ending
    from ninefold.sparse.map import KernelMap
    from ninefold.sparse.pool import PoolKind
    from ninefold.sparse.sites import Sites
    from ninefold.spec import Axes, SparseKind


class _Conv(nn.Module, ABC):
    """Weight and bias of a convolution: uniform within +-1 / sqrt(C / groups * kernel volume) at first, as torch's."""

    def __init__(self, channels: tuple[int, int], kernel: Axes, groups: int, *, bias: bool) -> None:
        super().__init__()
        in_channels, out_channels = channels
        if min(in_channels, out_channels, groups, *kernel) < 1 or in_channels % groups or out_channels % groups:
            raise InvalidInput(
                f"in_channels={in_channels}, out_channels={out_channels}, kernel={kernel} and groups={groups} came; "
                "wanted at least 1 each, and channels that are multiples of groups"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(out_channels, *kernel, in_channels // groups))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        bound = 1 / sqrt(prod(kernel) * in_channels // groups)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _convolved(self, x: SparseTensor, pairs: KernelMap, stride: Axes, ending: Ending | None = None) -> SparseTensor:
        if x.channels != self.in_channels:
            raise InvalidInput(f"features of {x.channels} channels came to a layer for {self.in_channels}")
        if ending is None:
            return SparseTensor(conv(x.features, self.weight, self.bias, pairs), pairs.outputs, stride)
        return SparseTensor(finished_conv(x.features, self.weight, ending, pairs), pairs.outputs, stride)

    def extra_repr(self) -> str:
        """Give what torch prints of a layer."""
        return f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, groups={self.groups}"


class _Mapped(_Conv):
    """A convolution that finds its own kernel map."""

    @abstractmethod
    def spec(self, size: Axes) -> SparseSpec:
        """Describe the convolution on a grid of that size."""

    @abstractmethod
    def forward(self, x: SparseTensor, ending: Ending | None = None) -> SparseTensor:
        """Convolve.

        Args:
            x: of `in_channels` channels.
            ending: what is done to every sum instead of adding the bias; without gradients.
        """

    def map(self, sites: Sites) -> KernelMap:
        """Give the kernel map for these sites, as `InverseConv` wants it."""
        return kernel_map(sites, self.spec(sites.size))


@final
class SubMConv(_Mapped):
    """Submanifold (valid) convolution: the output's sites are the input's.

        y[o] = bias + sum over k of  weight[:, k] @ x[i]          for active i = o + dilation * (k - kernel // 2)

    Args:
        in_channels: C, >= 1.
        out_channels: O, >= 1.
        kernel: odd, per axis, or one number for all.
        dims: number of spatial axes, 1 to 4.
        dilation: as `kernel`.
        groups: dividing C and O.
        bias: whether there is one.

    Source: B. Graham, M. Engelcke, L. van der Maaten, "3D Semantic Segmentation with Submanifold Sparse Convolutional
    Networks", CVPR 2018, section 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int] = 3,
        *,
        dims: int = 3,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__((in_channels, out_channels), per_axis(kernel, dims, "kernel"), groups, bias=bias)
        self.dilation = per_axis(dilation, dims, "dilation")

    def spec(self, size: Axes) -> SparseSpec:
        """Describe the convolution on a grid of that size."""
        return SparseSpec.of(size, self.kernel, dilation=self.dilation, kind="submanifold")

    @untraced
    def forward(self, x: SparseTensor, ending: Ending | None = None) -> SparseTensor:
        """Give O channels at the same sites."""
        return self._convolved(x, self.map(_sites_of(x)), x.stride, ending)


class _Windowed(_Mapped):
    """A convolution whose windows have a stride and a padding."""

    kind: ClassVar[SparseKind]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        *,
        dims: int = 3,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__((in_channels, out_channels), per_axis(kernel, dims, "kernel"), groups, bias=bias)
        self.stride, self.padding = per_axis(stride, dims, "stride"), per_axis(padding, dims, "padding")
        self.dilation = per_axis(dilation, dims, "dilation")

    def spec(self, size: Axes) -> SparseSpec:
        """Describe the convolution on a grid of that size."""
        return SparseSpec.of(
            size, self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation, kind=self.kind
        )


@final
class SparseConv(_Windowed):
    """Sparse convolution: an output site is active where its window meets any active input site.

        y[o] = bias + sum over k of  weight[:, k] @ x[i]          for active i = stride * o - padding + dilation * k

    Args:
        in_channels: C, >= 1.
        out_channels: O, >= 1.
        kernel: per axis, or one number for all; so are stride, padding and dilation.
        stride: >= 1.
        padding: >= 0.
        dims: number of spatial axes, 1 to 4.
        dilation: >= 1.
        groups: dividing C and O.
        bias: whether there is one.
    """

    kind: ClassVar[SparseKind] = "sparse"

    @untraced
    def forward(self, x: SparseTensor, ending: Ending | None = None) -> SparseTensor:
        """Give O channels at the output's sites."""
        pairs = self.map(_sites_of(x))
        stride = tuple(a * b for a, b in zip(x.stride, self.stride, strict=True))
        return self._convolved(x, pairs, stride, ending)


@final
class SparseConvTranspose(_Windowed):
    """Transposed sparse convolution: every input site makes all sites active that its kernel reaches.

        y[stride * i - padding + dilation * k] += weight[:, k] @ x[i]

    Args:
        in_channels: C, >= 1.
        out_channels: O, >= 1.
        kernel: per axis, or one number for all; so are stride, padding and dilation.
        stride: >= 1; it must divide the stride of the tensors that come.
        padding: >= 0: cells that are cut off on both sides.
        dims: number of spatial axes, 1 to 4.
        dilation: >= 1.
        groups: dividing C and O.
        bias: whether there is one.
    """

    kind: ClassVar[SparseKind] = "transposed"

    @untraced
    def forward(self, x: SparseTensor, ending: Ending | None = None) -> SparseTensor:
        """Give O channels at the output's sites."""
        pairs = self.map(_sites_of(x))
        stride = tuple(max(1, a // b) for a, b in zip(x.stride, self.stride, strict=True))
        return self._convolved(x, pairs, stride, ending)


@final
class InverseConv(_Conv):
    """The way back of an earlier convolution or pooling: from its output's sites to exactly its input's.

        y[i] = bias + sum over offsets k and the earlier map's pairs (i, o) of k of  weight[:, k] @ x[o]

    Args:
        in_channels: C, >= 1.
        out_channels: O, >= 1.
        kernel: that of the earlier layer.
        dims: number of spatial axes, 1 to 4.
        groups: dividing C and O.
        bias: whether there is one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        dims: int = 3,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__((in_channels, out_channels), per_axis(kernel, dims, "kernel"), groups, bias=bias)

    @untraced
    def forward(self, x: SparseTensor, earlier: KernelMap, stride: Axes, ending: Ending | None = None) -> SparseTensor:
        """Go back along a map.

        Args:
            x: at the earlier map's output sites.
            earlier: that layer's `map(sites)`.
            stride: of the tensor that the earlier layer read.
            ending: what is done to every sum instead of adding the bias; without gradients.
        """
        if _sites_of(x) is not earlier.outputs:
            raise InvalidInput("the sites are not those that the earlier layer gave; pass what was computed from them")
        return self._convolved(x, earlier.swapped, stride, ending)


@final
class SparsePool(nn.Module):
    """Pooling over windows; cells without a site do not count.

    Args:
        kind: "max", "mean" or "sum".
        kernel: per axis, or one number for all; so are stride and padding.
        stride: None for the kernel's size.
        padding: >= 0.
        dims: number of spatial axes, 1 to 4.
    """

    def __init__(
        self,
        kind: PoolKind,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        *,
        dims: int = 3,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.kernel = per_axis(kernel, dims, "kernel")
        self.stride = self.kernel if stride is None else per_axis(stride, dims, "stride")
        self.padding = per_axis(padding, dims, "padding")

    def map(self, sites: Sites) -> KernelMap:
        """Give the kernel map for these sites, as `InverseConv` wants it."""
        return kernel_map(sites, SparseSpec.of(sites.size, self.kernel, stride=self.stride, padding=self.padding))

    @untraced
    def forward(self, x: SparseTensor) -> SparseTensor:
        """Give as many channels at the output's sites."""
        pairs = self.map(_sites_of(x))
        stride = tuple(a * b for a, b in zip(x.stride, self.stride, strict=True))
        return SparseTensor(pool(x.features, pairs, self.kind), pairs.outputs, stride)


@final
class GlobalPool(nn.Module):
    """The largest, the mean or the sum over all sites of each picture.

    Args:
        kind: "max", "mean" or "sum".
    """

    def __init__(self, kind: PoolKind) -> None:
        super().__init__()
        self.kind = kind

    @untraced
    def forward(self, x: SparseTensor) -> Tensor:
        """Give (batch, C); zeros for a picture without a site."""
        return global_pool(x, self.kind)


@final
class SparseSequential(nn.Sequential):
    """Layers one after the other; those that know nothing of sites, such as batch norm, get the features.

    Where no gradients are recorded, a convolution does to its sums at once what a batch norm with fixed statistics, and
    ReLU behind that, would do; else batch norm does ReLU's work at once.
    """

    @untraced
    def forward(self, x: SparseTensor) -> Any:
        """Give what the last layer gives."""
        value: Any = x
        layers, place = list(self), 0
        while place < len(layers):
            layer = Dense(layers[place]) if is_dense(layers[place], value) else layers[place]
            place += 1
            taken = taken_over(layer.bias, layers[place:]) if isinstance(layer, _Mapped | Dense) else None
            if taken is not None:
                ending, count = taken
                value, place = layer(value, ending), place + count
            elif isinstance(value, SparseTensor) and not isinstance(layer, _OF_SITES):
                features, count = applied(value.features, layers[place - 1 :])
                value, place = value.with_features(features), place - 1 + count
            else:
                value = layer(value)
        return value


_OF_SITES = (_Conv, Dense, SparsePool, GlobalPool, SparseSequential)


def _sites_of(x: SparseTensor) -> Sites:
    if not isinstance(x, SparseTensor):
        raise InvalidInput(f"a {type(x).__name__} came to a layer that reads sites; wanted a SparseTensor")
    return x.sites
