"""Stochastic gradient descent with momentum; its state is a value that goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.reference.arrays import Array


# --8<-- [start:sgd]
@dataclass(frozen=True, slots=True)
class SGD:
    """The rule by which parameters follow their gradients; it holds no state of its own.

        v <- momentum * v + g
        p <- p - learning_rate * v

    Args:
        learning_rate: length of a step, >= 0.
        momentum: how much of the last velocity lives on, 0 <= momentum < 1; 0 is plain gradient descent.

    Raises:
        InvalidInput: when one of them is out of range.

    Source: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964, equation 9, with the
    learning rate outside the velocity, as `torch.optim.SGD` has it.

    >>> sgd = SGD(learning_rate=0.5, momentum=0.5)
    >>> parameters, gradients = [np.array([1.0])], [np.array([0.2])]
    >>> parameters, velocity = sgd.step(parameters, gradients, sgd.start(parameters))
    >>> parameters, velocity
    ([array([0.9])], [array([0.2])])
    >>> sgd.step(parameters, gradients, velocity)
    ([array([0.75])], [array([0.3])])
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.learning_rate >= 0:
            raise InvalidInput(f"learning_rate={self.learning_rate} came; wanted a number of at least 0")
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"momentum={self.momentum} came; wanted 0 <= momentum < 1")

    def start(self, parameters: Sequence[Array]) -> list[Array]:
        """Give the velocities to start from: zero for every parameter."""
        return [np.zeros_like(p) for p in parameters]

    def step(
        self, parameters: Sequence[Array], gradients: Sequence[Array], velocities: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        """Give the parameters and velocities after one step; those passed in stay as they are.

        Args:
            parameters: p, arrays of any shape.
            gradients: g, of the same shapes.
            velocities: v, of the same shapes; at first those of `start`.
        """
        moved = [self.momentum * v + g for v, g in zip(velocities, gradients, strict=True)]
        return [p - self.learning_rate * v for p, v in zip(parameters, moved, strict=True)], moved


# --8<-- [end:sgd]
