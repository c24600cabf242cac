"""The engine `im2col`: convolution as matrix multiplication, in blocks of bounded size.

With image, places and weight as in `sides`, a column holds what one stop of the kernel meets:

    columns[(b, k), i] = image[b, stride * i + dilation * k - before]

    slide     places = weight @ columns
    spread    columns = weight^T @ places, then image[b, stride * i + dilation * k - before] += columns[(b, k), i]
    compare   weight = places @ columns^T

All columns together would hold the image once per kernel element; so only those of one block at a time are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from ninefold.ops.engine import Engine
from ninefold.ops.engines.blocks import blocks, sum_dtype
from ninefold.ops.engines.sides import Sides

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.spec import ConvSpec

BUFFER_BYTES = 32 * 2**20


@final
class Im2col(Engine[torch.Tensor]):
    """Multiply the weight with the columns of one block after the other.

    Half precision is summed in float32 and rounded once, which takes a float32 copy of the result beside the block.

    Args:
        buffer_bytes: what a block's columns, places and weight may take together; three numbers are always allowed.
    """

    name: ClassVar[str] = "im2col"

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.buffer_bytes = buffer_bytes

    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002  # the contract
        """Accept everything."""
        return None

    def prepare(self, weight: Tensor, spec: ConvSpec) -> Tensor:  # noqa: ARG002  # the contract
        """Give the weight itself."""
        return weight

    def run(self, x: Tensor, prepared: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
        """Slide or spread, block by block, onto the bias."""
        sides = Sides.of(spec)
        y = x.new_zeros(spec.output_shape, dtype=sum_dtype(x))
        if bias is not None:
            y += bias.view(-1, *(1,) * spec.dims)
        weight, source, target = sides.grouped_weight(prepared), sides.grouped(x), sides.grouped(y)
        for block in blocks(sides, self.buffer_bytes // sum_dtype(x).itemsize):
            if spec.transposed:
                block.scatter(block.weight(weight).mT @ block.places(source), target)
            else:
                block.add_places(block.weight(weight) @ block.gather(source), target)
        return y.to(x.dtype)

    def weight_gradient(self, x: Tensor, grad: Tensor, spec: ConvSpec) -> Tensor:
        """Compare, block by block."""
        sides = Sides.of(spec)
        weight = x.new_zeros(spec.weight_shape, dtype=sum_dtype(x))
        image, places, target = sides.grouped(x), sides.grouped(grad), sides.grouped_weight(weight)
        for block in blocks(sides, self.buffer_bytes // sum_dtype(x).itemsize):
            block.add_weight(block.places(places) @ block.gather(image).mT, target)
        return weight.to(x.dtype)
