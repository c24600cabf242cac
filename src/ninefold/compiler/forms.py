"""Convolutions of other kinds as dense ones: transposed ones by phases of their stride, odd groups between zeros."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, final

import numpy as np

if TYPE_CHECKING:
    from ninefold.spec import Axes, ConvSpec


@final
@dataclass(frozen=True, slots=True)
class Phase:
    """The outputs of a transposed convolution that are a stride apart, as those of a dense convolution.

    Args:
        whole: the transposed convolution.
        start: row and column of the first such output.
        spec: the dense convolution, of stride 1.
    """

    whole: ConvSpec
    start: Axes
    spec: ConvSpec

    def weight(self, weight: np.ndarray) -> np.ndarray:  # (C, O / groups, KH, KW)
        """Give the dense convolution's weight (O, C / groups, TH, TW): the elements that meet these outputs, turned."""
        axes = zip(self.start, self.whole.padding, self.whole.stride, strict=True)
        (top, left), (down, across) = [(r + before) % s for r, (before, _), s in axes], self.whole.stride
        met = weight[:, :, top::down, left::across][:, :, ::-1, ::-1]
        groups = self.whole.groups
        split = met.reshape(groups, met.shape[0] // groups, *met.shape[1:])  # (G, C / G, O / G, TH, TW)
        return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(self.spec.weight_shape)


def phases(spec: ConvSpec) -> list[Phase] | str:
    """Give the dense convolutions that together are a transposed one, or say why there are none.

    Output stride * j + r sees kernel elements k0 + stride * t with k0 = (r + before) mod stride, and of them element t
    meets input j + (r + before) // stride - dilation * t. That is a dense convolution with the elements turned.

    >>> from ninefold.spec import ConvSpec
    >>> up = ConvSpec.of((1, 8, 5, 5), (8, 4, 4, 4), stride=2, padding=1, transposed=True)
    >>> [(phase.start, phase.spec.kernel, phase.spec.padding) for phase in phases(up)][:2]
    [((0, 0), (2, 2), ((1, 0), (1, 0))), ((0, 1), (2, 2), ((1, 0), (0, 1)))]
    """
    if any(s > 1 and d > 1 for s, d in zip(spec.stride, spec.dilation, strict=True)):
        return "it has a stride and a dilation"
    found = []
    for start in product(*(range(min(s, n)) for s, n in zip(spec.stride, spec.out_size, strict=True))):
        axes = [_axis(spec, axis, first) for axis, first in enumerate(start)]
        if any(taps < 1 or min(padding) < 0 for taps, padding in axes):
            return "some of its outputs or inputs meet nothing"
        taps, padding = zip(*axes, strict=True)
        dense = replace(
            spec,
            kernel=tuple(taps),
            stride=(1,) * spec.dims,
            padding=tuple(padding),
            transposed=False,
            output_padding=(),
        )
        found.append(Phase(spec, start, dense))
    return found


def _axis(spec: ConvSpec, axis: int, first: int) -> tuple[int, tuple[int, int]]:
    """Give the kernel elements along an axis and the padding (before, after) of the phase that begins at `first`."""
    stride, dilation, (before, _) = spec.stride[axis], spec.dilation[axis], spec.padding[axis]
    taps = len(range((first + before) % stride, spec.kernel[axis], stride))
    outputs = len(range(first, spec.out_size[axis], stride))
    ahead = (first + before) // stride
    return taps, (dilation * (taps - 1) - ahead, outputs + ahead - spec.in_size[axis])


def whole_blocks(spec: ConvSpec, lanes: int) -> ConvSpec:
    """Give the convolution with the most groups that hold whole blocks of channels and the groups of this one.

    >>> from ninefold.spec import ConvSpec
    >>> spec = ConvSpec.of((1, 128, 9, 9), (128, 4, 3, 3), groups=32)
    >>> whole_blocks(spec, lanes=16).groups, whole_blocks(spec, lanes=8).groups
    (8, 16)
    """
    sizes = (spec.in_channels // spec.groups, spec.out_channels // spec.groups)
    joined = (m for m in range(1, spec.groups) if spec.groups % m == 0 and not any(m * n % lanes for n in sizes))
    return replace(spec, groups=spec.groups // next(joined, spec.groups))


def between_zeros(weight: np.ndarray, groups: int, fewer: int) -> np.ndarray:
    """Give the weight for fewer groups that computes the same: with zeros for the channels of others.

    Args:
        weight: (O, C / groups, ...).
        groups: of the weight.
        fewer: groups of the result, (O, C / fewer, ...); they divide `groups`.
    """
    joined = groups // fewer
    own = weight.reshape(fewer, joined, -1, *weight.shape[1:])  # (F, J, O / G, C / G, ...)
    wide = np.zeros((*own.shape[:3], joined, *own.shape[3:]), weight.dtype)
    for i in range(joined):
        wide[:, i, :, i] = own[:, i]
    return wide.reshape(weight.shape[0], -1, *weight.shape[2:])
