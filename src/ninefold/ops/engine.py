"""What an engine owes: four names for any convolution, and a fifth for the gradient of a dense weight.

Every gradient of a convolution is again a convolution, so nothing more is needed: the gradient for the input is `run`
on `spec.input_gradient()` with the same weight; the gradient for the weight of a transposed convolution is the dense
one with input and gradient exchanged; the gradient for the bias is a sum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

import torch

if TYPE_CHECKING:
    from ninefold.spec import ConvSpec

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

Prepared = TypeVar("Prepared")
Direction = Literal["conv", "weight_gradient"]
Precision = Literal["exact", "fast"]


class Engine(ABC, Generic[Prepared]):
    """One way to compute a convolution; stateless, so that one instance serves every call.

    Tensors come in any memory layout, of one dtype of `DTYPES` and on one device, with the shapes that the spec says;
    none of them is empty. What is returned never shares memory with what came.
    """

    name: ClassVar[str]
    # Multiply-accumulates below which "auto" does not try it: a call costs more than it could save.
    least_macs: ClassVar[int] = 0
    # Whether its rounding errors stay within twice those of summing directly: "auto" for "exact" takes no other.
    is_exact: ClassVar[bool] = True

    @abstractmethod
    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:
        """Say in one sentence why this engine cannot compute `spec`, or None when it can.

        An engine that takes a spec also takes its two gradients.
        """

    def warm_up(self, spec: ConvSpec, direction: Direction) -> None:  # most have nothing to do
        """Do what a process does only once for a shape, such as compiling, so that "auto" does not measure it.

        Args:
            spec: one that this engine takes.
            direction: what will be called: `run`, or `weight_gradient`.
        """

    @abstractmethod
    def prepare(self, weight: torch.Tensor, spec: ConvSpec) -> Prepared:
        """Turn a weight of `spec.weight_shape` into what `run` wants of it."""

    @abstractmethod
    def run(self, x: torch.Tensor, prepared: Prepared, bias: torch.Tensor | None, spec: ConvSpec) -> torch.Tensor:
        """Compute the convolution of x, of `spec.input_shape`; returns `spec.output_shape`."""

    @abstractmethod
    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor, spec: ConvSpec) -> torch.Tensor:
        """Compute the gradient for the weight of a dense convolution.

            dw[o, c, k] = sum over n, i of  x[n, c, stride * i + dilation * k - before] * grad[n, o, i]

        Args:
            x: `spec.input_shape`.
            grad: gradient for the output, `spec.output_shape`.
            spec: not transposed.

        Returns:
            `spec.weight_shape`.
        """
