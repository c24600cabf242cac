"""What all of spconv's convolutions are."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ninefold.sparse.conv import conv, in_autocast
from ninefold.sparse.spconv import constants
from ninefold.sparse.spconv.core import Activation
from ninefold.sparse.spconv.errors import Refused, no_int8
from ninefold.sparse.spconv.pytorch.core import expand_nd, of_sparse_tensor
from ninefold.sparse.spconv.pytorch.geometry import Geometry
from ninefold.sparse.spconv.pytorch.keys import after, algo_for, before, inverted, mapped
from ninefold.sparse.spconv.pytorch.modules import SparseModule
from ninefold.sparse.spconv.pytorch.ops import activated, maximum_value_int_
from ninefold.sparse.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.sparse.spconv.core import ConvAlgo
    from ninefold.sparse.spconv.pytorch.core import SparseConvTensor
    from ninefold.sparse.spconv.pytorch.rows import Placed

    Axes = int | Sequence[int]

COUNT = "max_num_voxels_during_training"


class SparseConvolution(SparseModule):
    """Any of spconv's convolutions.

    Args:
        ndim: number of spatial axes, 1 to 4.
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: per axis, or one number for all; so are stride, padding, dilation and output_padding.
        stride: submanifold convolutions pass over it, and over padding.
        padding: >= 0.
        dilation: >= 1; the output's grid of transposed convolutions does not count it.
        groups: dividing C_in and C_out.
        bias: whether there is one.
        subm: whether the output's sites are the input's.
        output_padding: of transposed convolutions.
        transposed: whether it goes to a larger grid.
        inverse: whether it goes back to the sites of the layer with the same `indice_key`.
        indice_key: under which the kernel map is kept for other layers.
        algo: must be the same for layers that share a key; Ninefold chooses its engine itself.
        fp32_accum: taken and not needed: sums are float32 or wider.
        record_voxel_count: whether the buffer `max_num_voxels_during_training` keeps the most output sites seen.
        act_type: what is done to the sum.
        act_alpha: the slope of the leaky activation.
        act_beta: taken and not needed.
        large_kernel_fast_algo: whether `algo` None means masks for up to 128 offsets, not 32.
        name: anything.
        device: of weight and bias.
        dtype: of weight and bias.

    A kernel of one offset (and, unless submanifold, stride 1) multiplies by `weight.view(C_in, C_out)`: the numbers are
    read in another order than the shape says, as every checkpoint of spconv 2 was trained.
    """

    is_convolution = True

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Axes = 3,
        stride: Axes = 1,
        padding: Axes = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        subm: bool = False,
        output_padding: Axes = 0,
        transposed: bool = False,
        inverse: bool = False,
        indice_key: str | None = None,
        algo: ConvAlgo | None = None,
        fp32_accum: bool | None = None,
        record_voxel_count: bool = False,
        act_type: Activation = Activation.None_,
        act_alpha: float = 0,
        act_beta: float = 0,
        large_kernel_fast_algo: bool = False,
        name: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(name=name)
        kernel = expand_nd(ndim, kernel_size)
        if min(in_channels, out_channels, groups, *kernel) < 1 or in_channels % groups or out_channels % groups:
            raise Refused(
                f"in_channels={in_channels}, out_channels={out_channels}, kernel_size={kernel} and groups={groups} "
                "came; wanted at least 1 each, and channels that are multiples of groups"
            )
        self.ndim, self.in_channels, self.out_channels, self.groups = ndim, in_channels, out_channels, groups
        self.kernel_size, self.stride = kernel, expand_nd(ndim, stride)
        self.padding, self.dilation = expand_nd(ndim, padding), expand_nd(ndim, dilation)
        self.output_padding = expand_nd(ndim, output_padding)
        self.subm, self.transposed, self.inverse, self.indice_key = subm, transposed, inverse, indice_key
        self.conv1x1 = prod(self.kernel_size) == 1 and (subm or prod(self.stride) == 1)
        if self.conv1x1 and not subm and any(self.padding):
            raise Refused(f"padding={self.padding} came for a kernel of one offset; take 0, which reads the same sites")
        self.algo = algo_for(algo, prod(self.kernel_size), 128 if large_kernel_fast_algo else 32)
        self.fp32_accum = fp32_accum
        self.act_type, self.act_alpha, self.act_beta = act_type, act_alpha, act_beta
        self.record_voxel_count = record_voxel_count
        self.weight_shape = [out_channels, *self.kernel_size, in_channels // groups]
        self.weight = nn.Parameter(torch.empty(self.weight_shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        if self._counts:
            self.register_buffer(COUNT, torch.zeros(1, dtype=torch.int32, device=device))
        self._register_load_state_dict_pre_hook(self._adapt_checkpoint)
        self.reset_parameters()

    @property
    def _counts(self) -> bool:
        return self.record_voxel_count and not (self.subm or self.inverse)

    @property
    def _geometry(self) -> Geometry:
        sizes = self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding
        return Geometry(*sizes, self.subm, self.transposed)

    def reset_parameters(self) -> None:
        """Draw weight and bias uniformly from +-1 / sqrt(C_in / groups * kernel volume)."""
        bound = 1 / sqrt(prod(self.weight_shape[1:]))
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)

    def is_inverseable(self) -> bool:
        """Say whether an inverse convolution can lead back."""
        return self.indice_key is not None and not self.subm

    def get_max_num_voxels(self) -> Tensor | None:
        """Give int32 (1,), the most output sites seen, if they are recorded."""
        return self.get_buffer(COUNT) if self._counts else None

    @untraced
    def forward(self, x: SparseConvTensor, add_input: SparseConvTensor | None = None) -> SparseConvTensor:
        """Convolve.

        Args:
            x: with C_in channels.
            add_input: at the output's sites, added before the activation.

        Raises:
            InvalidInput: when channels, sites or key do not fit.
            Unsupported: when the features are int8.
        """
        of_sparse_tensor(x)
        if x.is_quantized or x.features.dtype == torch.int8:
            raise no_int8("a tensor of int8")
        if x.features.shape[1] != self.in_channels:
            raise Refused(f"features of {x.features.shape[1]} channels came to a layer for {self.in_channels}")
        y = self._at_each_row(x) if self.conv1x1 else self._over_pairs(x)
        if add_input is not None:
            y = y + add_input
        return y.replace_feature(activated(y.features, self.act_type, self.act_alpha))

    def _at_each_row(self, x: SparseConvTensor) -> SparseConvTensor:
        features, weight, bias = in_autocast(x.features, self.weight, self.bias)
        if (features.dtype, features.device) != (weight.dtype, weight.device):
            raise Refused(
                f"features of {features.dtype} on {features.device} came to a layer of {weight.dtype} on "
                f"{weight.device}; wanted the same"
            )
        matrices = weight.reshape(self.groups, self.in_channels // self.groups, self.out_channels // self.groups)
        runs = features.unflatten(1, (self.groups, -1)).transpose(0, 1)  # (G, N, C_in / G)
        products = (runs @ matrices).transpose(0, 1).flatten(1)
        y = x.replace_feature(products if bias is None else products + bias)
        y.spatial_shape = list(self._geometry.spec(x.spatial_shape).out_size)
        return y

    def _over_pairs(self, x: SparseConvTensor) -> SparseConvTensor:
        if self.inverse:
            data = inverted(x, self._geometry, self.indice_key, self.algo)
            sums = conv(data.goes.by_key(x.features), self.weight, self.bias, data.pairs.swapped)
            return before(x.replace_feature(data.came.as_came(sums)), data)
        data = mapped(x, self._geometry, self.indice_key, self.algo)
        sums = conv(data.came.joined(x.features, total=not self.subm), self.weight, self.bias, data.pairs)
        if self._counts:
            maximum_value_int_(self.get_buffer(COUNT), len(sums))
        rows = data.goes.as_came(sums)
        if self.subm and data.came.is_shared:
            rows = rows + self._of_its_own(x.features, data.came)
        return after(x.replace_feature(rows), data, self.indice_key)

    def _of_its_own(self, features: Tensor, came: Placed) -> Tensor:
        """Give what the kernel's middle makes of a row's difference from the mean of the rows that share its site."""
        rest, weight = in_autocast(features - came.as_came(came.joined(features, total=False)), self.weight)
        middle = weight.flatten(1, -2)[:, prod(self.kernel_size) // 2].unflatten(0, (self.groups, -1))  # (G, O/G, C/G)
        return torch.einsum("ngc,goc->ngo", rest.unflatten(1, (self.groups, -1)), middle).flatten(1)

    def _adapt_checkpoint(self, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        """Add the count that older checkpoints lack, and reorder weights of another layout."""
        if self._counts:
            state_dict.setdefault(prefix + COUNT, torch.zeros(1, dtype=torch.int32))
        layout, key = constants.SAVED_WEIGHT_LAYOUT, prefix + "weight"
        if layout not in ("", "KRSC"):
            last = (self.ndim, self.ndim + 1)
            first, end = last if layout == "RSKC" else last[::-1]
            state_dict[key] = state_dict[key].permute(first, *range(self.ndim), end).contiguous()

    def extra_repr(self) -> str:
        """Give what torch prints of a layer."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, output_padding={self.output_padding}, "
            f"groups={self.groups}, bias={self.bias is not None}, algo={self.algo}"
        )
