"""What an engine of sparse convolutions owes: two sums over a kernel map.

The gradient for the input is the forward sum over the swapped map with the weight's channels exchanged, so nothing
more is needed for training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.sparse.map import KernelMap

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Job:
    """A sum that an engine is asked for.

    Args:
        in_channels: C.
        out_channels: O.
        groups: runs that channels are cut into; run g of the output sees run g of the input only.
        device: of all tensors.
        dtype: of all numbers.
    """

    in_channels: int
    out_channels: int
    groups: int
    device: torch.device
    dtype: torch.dtype


class Ending(NamedTuple):
    """What is done to every sum, per output channel: factor * sum + bias, then perhaps ReLU.

    Args:
        factor: (O,), in the dtype of the features or a wider one.
        bias: (O,), of the same dtype.
        relu: whether negative results become zeros.
    """

    factor: Tensor
    bias: Tensor
    relu: bool


class Engine(ABC):
    """One way to compute sparse convolutions; stateless."""

    name: ClassVar[str]

    @abstractmethod
    def why_not(self, job: Job) -> str | None:
        """Say in one sentence why this engine cannot do a job, or None when it can."""

    @abstractmethod
    def forward(self, x: Tensor, weight: Tensor, pairs: KernelMap) -> Tensor:
        """Give y[o] = sum over offsets k and pairs (i, o) of k of  weight[:, k] @ x[i].

        Args:
            x: (N, C).
            weight: (O, K, C / groups).
            pairs: from N to M rows, under K offsets.

        Returns:
            (M, O).
        """

    def finished(self, x: Tensor, weight: Tensor, pairs: KernelMap, ending: Ending) -> Tensor:
        """Give `forward` with an ending, (M, O); without gradients.

        Args:
            x: as in `forward`, and so are the next two.
            weight: see there.
            pairs: see there.
            ending: of every sum.
        """
        sums = self.forward(x, weight, pairs)
        y = torch.addcmul(ending.bias, sums.to(ending.bias.dtype), ending.factor)
        return (y.relu_() if ending.relu else y).to(x.dtype)

    @abstractmethod
    def weight_gradient(self, x: Tensor, grad: Tensor, pairs: KernelMap, groups: int) -> Tensor:
        """Give dw[:, k] = sum over pairs (i, o) of k of  outer(grad[o], x[i]).

        Args:
            x: (N, C).
            grad: (M, O), of the output.
            pairs: from N to M rows, under K offsets.
            groups: as in `Job`.

        Returns:
            (O, K, C / groups).
        """


def exchanged(weight: Tensor, groups: int) -> Tensor:
    """Exchange a weight's channels: (O, K, C / groups) becomes (C, K, O / groups).

    Args:
        weight: of `groups` runs of output channels.
        groups: see `Job`.
    """
    runs = weight.unflatten(0, (groups, -1))  # (G, O / G, K, C / G)
    return runs.transpose(1, 3).flatten(0, 1)
