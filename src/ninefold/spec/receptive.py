"""Receptive fields: how many input pixels one output value can see, and how far apart neighbours look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ninefold.spec.arguments import Axes


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one value of a feature map sees of the network's input.

    Through a layer of kernel k, stride s and dilation d, per axis:

        size  <-  size + d * (k - 1) * step
        step  <-  step * s

    Args:
        size: input pixels that one value can depend on, per axis; padding may lie among them.
        step: input pixels between the centres of neighbouring values, per axis.

    Source: A. Araujo, W. Norris, J. Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
    """

    size: Axes
    step: Axes

    @classmethod
    def of_pixel(cls, dims: int) -> Self:
        """Give the field of the input itself: one pixel that sees itself."""
        return cls((1,) * dims, (1,) * dims)

    def through(self, kernel: Axes, stride: Axes, dilation: Axes) -> ReceptiveField:
        """Give the field after a sliding layer (convolution or pooling).

        >>> field = ReceptiveField.of_pixel(1).through((7,), (2,), (1,)).through((3,), (2,), (1,))
        >>> field.size, field.step
        ((11,), (4,))
        """
        size = tuple(n + d * (k - 1) * j for n, j, k, d in zip(self.size, self.step, kernel, dilation, strict=True))
        return ReceptiveField(size, tuple(j * s for j, s in zip(self.step, stride, strict=True)))

    def joined(self, other: ReceptiveField) -> ReceptiveField:
        """Give the field of a sum or concatenation of two centred branches: the larger one, per axis."""
        return ReceptiveField(
            tuple(map(max, self.size, other.size)),
            tuple(map(max, self.step, other.step)),
        )
