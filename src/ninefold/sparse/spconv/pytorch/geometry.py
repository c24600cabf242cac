"""What a layer does to sites, with spconv's two departures from the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ninefold.spec import SparseSpec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Geometry(NamedTuple):
    """Kernel, moves and kind of a layer.

    Args:
        kernel: per axis; so are the next four.
        stride: submanifold layers pass over it.
        padding: submanifold layers pass over it.
        dilation: >= 1.
        output_padding: of transposed layers.
        subm: whether the output's sites are the input's.
        transposed: whether it goes to a larger grid.
    """

    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    output_padding: Sequence[int] = ()
    subm: bool = False
    transposed: bool = False

    def spec(self, size: Sequence[int]) -> SparseSpec:
        """Describe the layer on a grid.

        Args:
            size: of the input's grid.

        Raises:
            InvalidSpec: when the output would have no cell, or the kernel of a submanifold layer is even.

        >>> Geometry([3], [2], [0], [2], [0], transposed=True).spec([5]).out_size  # the dilation is not counted
        (11,)
        """
        if self.subm:
            return SparseSpec.of(size, self.kernel, dilation=self.dilation, kind="submanifold")
        if not self.transposed:
            return SparseSpec.of(size, self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)
        axes = zip(self.kernel, self.dilation, self.output_padding, strict=True)
        return SparseSpec.of(
            size,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            kind="transposed",
            output_padding=[end - (d - 1) * (k - 1) for k, d, end in axes],
        )
