"""What happens to a sum before it is written, while it is still in a register: bias, residual, activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.activation import ACTIVATIONS, Activation, activated, keeps_zero

if TYPE_CHECKING:
    from ninefold.kernels.llvm.text import Function, Number, Value


@dataclass(frozen=True, slots=True)
class Epilogue:
    """The end of a convolution, per output value: activation(sum + bias + residual).

    Args:
        bias: whether there is one, a number per output channel.
        residual: whether there is one, a number per output value; it is added before the activation.
        activation: see `activation.activated`.
        numbers: of the activation: (slope below zero,) of leaky_relu, (factor below zero,) of elu, (least, most) of
            clamp.

    Raises:
        InvalidInput: when the activation is none of `ACTIVATIONS`, or has other numbers.
    """

    bias: bool = False
    residual: bool = False
    activation: Activation = "none"
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise InvalidInput(f"activation={self.activation!r} is not known; use one of {', '.join(ACTIVATIONS)}")
        wanted = {"leaky_relu": 1, "elu": 1, "clamp": 2}.get(self.activation, 0)
        if len(self.numbers) != wanted:
            raise InvalidInput(f"numbers={self.numbers} came for {self.activation}, which has {wanted} of them")

    @property
    def keeps_zeros(self) -> bool:
        """Whether nothing becomes nothing: else lanes that fill up a block must be cleared (`apply`'s `filled`)."""
        return keeps_zero(self.activation, self.numbers)

    def start(self, f: Function, bias: Value, offset: Number = 0) -> Value:
        """Give what a sum begins with: the bias of a block of channels, or zeros."""
        return f.load(bias, offset) if self.bias else f.zero()

    def apply(
        self, f: Function, value: Value, residual: Value, offset: Number = 0, *, filled: int | None = None
    ) -> Value:
        """Finish a sum that began with `start`.

        Args:
            f: the function being written.
            value: the sum.
            residual: address of the residual; not used where there is none.
            offset: of these values behind it.
            filled: how many lanes are channels, where the others must be zeros again; None for all.
        """
        if self.residual:
            value = f.arithmetic("fadd", value, f.load(residual, offset))
        value = activated(f, value, self.activation, self.numbers)
        if filled is None or filled == f.lanes or self.keeps_zeros:
            return value
        return f.first_lanes(value, filled)
