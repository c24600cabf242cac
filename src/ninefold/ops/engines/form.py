"""Every convolution of one or two axes as a dense one over two axes: what the generated kernels compute.

What is not dense over two axes comes to it so:

    one axis      is a map of height 1
    transposed    y = dense(x', w'), where x' is x with stride - 1 zeros between neighbours, w' the weight with its
                  channels exchanged and flipped along all axes, and the padding is extent - 1 - padding per side; what
                  `padding` cuts beyond that is cut off y afterwards
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.spec import ConvSpec, Pairs


@final
@dataclass(frozen=True)
class Form:
    """A convolution as a dense one over two axes.

    Args:
        dense: of one picture.
        step: of x', to which x is spread: 1 where nothing is put in between.
        cut: what is cut off y, (before, after) per axis.
    """

    dense: ConvSpec
    step: tuple[int, int]
    cut: Pairs

    @classmethod
    def of(cls, spec: ConvSpec) -> Form:
        """Bring a convolution of one or two axes into this form.

        >>> from ninefold.spec import ConvSpec
        >>> Form.of(ConvSpec.of((1, 4, 8, 8), (4, 2, 3, 3), stride=2, padding=1, transposed=True)).dense.in_size
        (15, 15)
        """
        flat = replace(_over_two_axes(spec), batch=1)
        if not flat.transposed:
            return cls(flat, (1, 1), ((0, 0), (0, 0)))
        ends = [
            (e - 1 - before, e - 1 - after + extra)
            for e, (before, after), extra in zip(flat.extent, flat.padding, flat.output_padding, strict=True)
        ]
        dense = replace(
            flat,
            in_size=tuple((n - 1) * s + 1 for n, s in zip(flat.in_size, flat.stride, strict=True)),
            stride=(1, 1),
            padding=tuple((max(before, 0), max(after, 0)) for before, after in ends),
            transposed=False,
            output_padding=(0, 0),
        )
        down, across = flat.stride
        return cls(dense, (down, across), tuple((max(-before, 0), max(-after, 0)) for before, after in ends))

    def weight(self, weight: Tensor, spec: ConvSpec) -> Tensor:  # -> (O, C / groups, KH, KW)
        """Give the weight of the dense form."""
        outputs, inputs, *kernel = self.dense.weight_shape
        if not spec.transposed:
            return weight.reshape(self.dense.weight_shape)
        grouped = weight.reshape(spec.groups, inputs, outputs // spec.groups, *kernel)
        return grouped.transpose(1, 2).reshape(self.dense.weight_shape).flip(2, 3)


def _over_two_axes(spec: ConvSpec) -> ConvSpec:
    if spec.dims == 2:
        return spec
    return replace(
        spec,
        in_size=(1, *spec.in_size),
        kernel=(1, *spec.kernel),
        stride=(1, *spec.stride),
        padding=((0, 0), *spec.padding),
        dilation=(1, *spec.dilation),
        output_padding=(0, *spec.output_padding),
    )
