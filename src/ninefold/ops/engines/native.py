"""The engine `torch`: PyTorch's own convolution (oneDNN on a CPU, cuDNN on CUDA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch.nn import functional as F

from ninefold.ops.engine import Engine

if TYPE_CHECKING:
    from ninefold.spec import Axes, ConvSpec


@final
class Native(Engine[torch.Tensor]):
    """Hand the convolution to PyTorch.

    PyTorch pads both ends of an axis alike. What one end has more is padded onto the input beforehand; of a transposed
    convolution, whose padding cuts outputs off, it is cut off afterwards.
    """

    name: ClassVar[str] = "torch"

    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002  # the contract
        """Accept everything."""
        return None

    def prepare(self, weight: torch.Tensor, spec: ConvSpec) -> torch.Tensor:  # noqa: ARG002  # the contract
        """Give the weight itself."""
        return weight

    def run(self, x: torch.Tensor, prepared: torch.Tensor, bias: torch.Tensor | None, spec: ConvSpec) -> torch.Tensor:
        """Call `torch.convolution`."""
        source = x if spec.transposed else _with_excess(x, spec, sign=1)
        y = torch.convolution(
            source,
            prepared,
            bias,
            stride=spec.stride,
            padding=_common(spec),
            dilation=spec.dilation,
            transposed=spec.transposed,
            output_padding=spec.output_padding,
            groups=spec.groups,
        )
        return _with_excess(y, spec, sign=-1) if spec.transposed else y

    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor, spec: ConvSpec) -> torch.Tensor:
        """Call the kernel of PyTorch's own backward, which wants a weight only for its shape."""
        only_shape = x.new_empty(()).expand(spec.weight_shape)
        gradients = torch.ops.aten.convolution_backward(
            grad,
            _with_excess(x, spec, sign=1),
            only_shape,
            None,
            spec.stride,
            _common(spec),
            spec.dilation,
            False,
            spec.output_padding,
            spec.groups,
            (False, True, False),
        )
        weight_gradient: torch.Tensor = gradients[1]
        return weight_gradient


def _common(spec: ConvSpec) -> Axes:
    return tuple(min(pair) for pair in spec.padding)


def _with_excess(side: torch.Tensor, spec: ConvSpec, sign: int) -> torch.Tensor:
    """Pad (sign 1) or crop (sign -1) what `padding` has beyond its common part; F.pad wants the last axis first."""
    excess = [sign * (p - min(pair)) for pair in reversed(spec.padding) for p in pair]
    return F.pad(side, excess) if any(excess) else side
