"""The engine `reference`: the definition in NumPy, which takes everything and is the oracle of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from ninefold.ops.engine import Engine
from ninefold.reference import conv

if TYPE_CHECKING:
    from ninefold.spec import ConvSpec

Float64 = NDArray[np.float64]


@final
class Reference(Engine[Float64]):
    """Compute in float64 on the host, whatever came, and round once to the dtype that came."""

    name: ClassVar[str] = "reference"

    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002  # the contract
        """Accept everything."""
        return None

    def prepare(self, weight: torch.Tensor, spec: ConvSpec) -> Float64:  # noqa: ARG002  # the contract
        """Give the weight as float64 on the host."""
        return _to_numpy(weight)

    def run(self, x: torch.Tensor, prepared: Float64, bias: torch.Tensor | None, spec: ConvSpec) -> torch.Tensor:
        """Call `ninefold.reference.conv.run`."""
        y = conv.run(_to_numpy(x), prepared, None if bias is None else _to_numpy(bias), spec)
        return _to_torch(y, x)

    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor, spec: ConvSpec) -> torch.Tensor:
        """Call `ninefold.reference.conv.weight_gradient`."""
        return _to_torch(conv.weight_gradient(_to_numpy(x), _to_numpy(grad), spec), x)


def _to_numpy(tensor: torch.Tensor) -> Float64:
    # by way of the host: some devices know no float64
    return tensor.detach().cpu().to(torch.float64).numpy()


def _to_torch(array: Float64, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.dtype).to(like.device)
