"""spconv's convolutions by their names: every one is a `SparseConvolution` of a kind and a number of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ninefold.sparse.spconv.pytorch.convolution import SparseConvolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.sparse.spconv.core import ConvAlgo

    Axes = int | Sequence[int]


class _SubMConv(SparseConvolution):
    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Axes,
        stride: Axes = 1,
        padding: Axes = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        indice_key: str | None = None,
        algo: ConvAlgo | None = None,
        fp32_accum: bool | None = None,
        large_kernel_fast_algo: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            self.axes,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            subm=True,
            indice_key=indice_key,
            algo=algo,
            fp32_accum=fp32_accum,
            large_kernel_fast_algo=large_kernel_fast_algo,
            name=name,
        )


class SubMConv1d(_SubMConv):
    """Submanifold convolution over 1 axis; arguments as in `SparseConvolution`."""

    axes = 1


class SubMConv2d(_SubMConv):
    """Submanifold convolution over 2 axes; arguments as in `SparseConvolution`."""

    axes = 2


class SubMConv3d(_SubMConv):
    """Submanifold convolution over 3 axes; arguments as in `SparseConvolution`."""

    axes = 3


class SubMConv4d(_SubMConv):
    """Submanifold convolution over 4 axes; arguments as in `SparseConvolution`."""

    axes = 4


class _Conv(SparseConvolution):
    axes: ClassVar[int]
    is_transposed: ClassVar[bool]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Axes,
        stride: Axes = 1,
        padding: Axes = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        indice_key: str | None = None,
        algo: ConvAlgo | None = None,
        fp32_accum: bool | None = None,
        record_voxel_count: bool = False,
        large_kernel_fast_algo: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            self.axes,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            transposed=self.is_transposed,
            indice_key=indice_key,
            algo=algo,
            fp32_accum=fp32_accum,
            record_voxel_count=record_voxel_count,
            large_kernel_fast_algo=large_kernel_fast_algo,
            name=name,
        )


class SparseConv1d(_Conv):
    """Sparse convolution over 1 axis; arguments as in `SparseConvolution`."""

    axes = 1
    is_transposed = False


class SparseConv2d(_Conv):
    """Sparse convolution over 2 axes; arguments as in `SparseConvolution`."""

    axes = 2
    is_transposed = False


class SparseConv3d(_Conv):
    """Sparse convolution over 3 axes; arguments as in `SparseConvolution`."""

    axes = 3
    is_transposed = False


class SparseConv4d(_Conv):
    """Sparse convolution over 4 axes; arguments as in `SparseConvolution`."""

    axes = 4
    is_transposed = False


class SparseConvTranspose1d(_Conv):
    """Transposed sparse convolution over 1 axis; arguments as in `SparseConvolution`."""

    axes = 1
    is_transposed = True


class SparseConvTranspose2d(_Conv):
    """Transposed sparse convolution over 2 axes; arguments as in `SparseConvolution`."""

    axes = 2
    is_transposed = True


class SparseConvTranspose3d(_Conv):
    """Transposed sparse convolution over 3 axes; arguments as in `SparseConvolution`."""

    axes = 3
    is_transposed = True


class SparseConvTranspose4d(_Conv):
    """Transposed sparse convolution over 4 axes; arguments as in `SparseConvolution`."""

    axes = 4
    is_transposed = True


class _InverseConv(SparseConvolution):
    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Axes,
        indice_key: str,
        bias: bool = True,
        algo: ConvAlgo | None = None,
        fp32_accum: bool | None = None,
        large_kernel_fast_algo: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            self.axes,
            in_channels,
            out_channels,
            kernel_size,
            bias=bias,
            inverse=True,
            indice_key=indice_key,
            algo=algo,
            fp32_accum=fp32_accum,
            large_kernel_fast_algo=large_kernel_fast_algo,
            name=name,
        )


class SparseInverseConv1d(_InverseConv):
    """The way back of an earlier convolution or pooling over 1 axis; arguments as in `SparseConvolution`."""

    axes = 1


class SparseInverseConv2d(_InverseConv):
    """The way back of an earlier convolution or pooling over 2 axes; arguments as in `SparseConvolution`."""

    axes = 2


class SparseInverseConv3d(_InverseConv):
    """The way back of an earlier convolution or pooling over 3 axes; arguments as in `SparseConvolution`."""

    axes = 3


class SparseInverseConv4d(_InverseConv):
    """The way back of an earlier convolution or pooling over 4 axes; arguments as in `SparseConvolution`."""

    axes = 4
