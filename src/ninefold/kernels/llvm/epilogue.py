"""What happens to a sum before it is written, while it is still in a register: bias, residual, activation."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Final, Literal, get_args

from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from ninefold.kernels.llvm.text import Function, Number, Value

Activation = Literal["none", "relu", "relu6", "leaky_relu", "sigmoid", "silu", "hardsigmoid", "hardswish", "tanh"]
ACTIVATIONS: Final[tuple[str, ...]] = get_args(Activation)

# log(2) in two parts: the first has 9 bits, so that its product with a whole number below 2^15 is exact.
_LOG2_HIGH: Final = 355 / 512
_LOG2_LOW: Final = 0.6931471805599453 - 355 / 512
# |r| <= log(2) / 2 leaves out r^8 / 8! < 6e-9 of Taylor's series: a tenth of what float32 resolves.
_DEGREE: Final = 7
# tanh(x) / x in powers of x^2: up to |x| = 0.4, where the quotient would lose digits, 7e-8 of it are left out.
_TANH: Final = (1, -1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925)
_SMALL: Final = 0.4
_LOWEST, _HIGHEST = -87.3, 88.3  # where 2^n is a normal number


@dataclass(frozen=True, slots=True)
class Epilogue:
    """The end of a convolution, per output value: activation(sum + bias + residual).

    Args:
        bias: whether there is one, a number per output channel.
        residual: whether there is one, a number per output value; it is added before the activation.
        activation: see `activated`.
        slope: of leaky_relu below zero.

    Raises:
        InvalidInput: when the activation is none of `ACTIVATIONS`.
    """

    bias: bool = False
    residual: bool = False
    activation: Activation = "none"
    slope: float = 0.01

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise InvalidInput(f"activation={self.activation!r} is not known; use one of {', '.join(ACTIVATIONS)}")

    @property
    def keeps_zeros(self) -> bool:
        """Whether nothing becomes nothing: else lanes that fill up a block must be cleared (`apply`'s `filled`)."""
        return self.activation not in ("sigmoid", "hardsigmoid")

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
        value = activated(f, value, self.activation, self.slope)
        if filled is None or filled == f.lanes or self.keeps_zeros:
            return value
        return f.first_lanes(value, filled)


def activated(f: Function, x: Value, activation: Activation, slope: float = 0.01) -> Value:
    """Write an activation of all lanes; what is no number stays none.

    relu            max(x, 0)
    relu6           min(max(x, 0), 6)
    leaky_relu      x where x > 0, else slope * x
    sigmoid         1 / (1 + exp(-x))
    silu            x * sigmoid(x)
    hardsigmoid     relu6(x + 3) / 6
    hardswish       x * hardsigmoid(x)
    tanh            1 - 2 / (1 + exp(2 * x))
    """
    match activation:
        case "none":
            return x
        case "relu":
            return f.largest(f.zero(), x)
        case "relu6":
            return _clamped(f, x, 0.0, 6.0)
        case "leaky_relu":
            return f.positive(x, x, f.arithmetic("fmul", x, f.constant(slope)))
        case "sigmoid":
            return _sigmoid(f, x)
        case "silu":
            return f.arithmetic("fmul", x, _sigmoid(f, x))
        case "hardsigmoid":
            return _hardsigmoid(f, x)
        case "hardswish":
            return f.arithmetic("fmul", x, _hardsigmoid(f, x))
        case "tanh":
            return _tanh(f, x)


def exponential(f: Function, x: Value) -> Value:
    """Write exp(x) = 2^n * exp(r), where n = round(x / log 2) and r = x - n * log 2 lies within +-log(2) / 2.

    exp(r) is Taylor's series up to r^7; the result is within 2 units in the last place. Below -87.3 and above 88.3,
    where 2^n would be no normal number, it stays at the value there.
    """
    x = _clamped(f, x, _LOWEST, _HIGHEST)
    n, shifted = f.rounded(f.arithmetic("fmul", x, f.constant(1.4426950408889634)))
    r = f.fma(n, f.constant(-_LOG2_HIGH), x)
    r = f.fma(n, f.constant(-_LOG2_LOW), r)
    series = f.constant(1 / factorial(_DEGREE))
    for power in reversed(range(_DEGREE)):
        series = f.fma(series, r, f.constant(1 / factorial(power)))
    return f.scaled(series, shifted)


def _clamped(f: Function, x: Value, low: float, high: float) -> Value:
    above = f.largest(f.zero() if low == 0 else f.constant(low), x)
    return f.smallest(f.constant(high), above)


def _sigmoid(f: Function, x: Value) -> Value:
    one = f.constant(1.0)
    powers = exponential(f, f.arithmetic("fsub", f.zero(), x))
    return f.arithmetic("fdiv", one, f.arithmetic("fadd", one, powers))


def _hardsigmoid(f: Function, x: Value) -> Value:
    shifted = f.arithmetic("fadd", x, f.constant(3.0))
    return f.arithmetic("fmul", _clamped(f, shifted, 0.0, 6.0), f.constant(1 / 6))


def _tanh(f: Function, x: Value) -> Value:
    square = f.arithmetic("fmul", x, x)
    series = f.constant(_TANH[-1])
    for coefficient in reversed(_TANH[:-1]):
        series = f.fma(series, square, f.constant(coefficient))
    one = f.constant(1.0)
    powers = exponential(f, f.arithmetic("fadd", x, x))
    quotient = f.arithmetic("fdiv", f.constant(2.0), f.arithmetic("fadd", one, powers))
    beyond = f.arithmetic("fsub", square, f.constant(_SMALL**2))
    return f.positive(beyond, f.arithmetic("fsub", one, quotient), f.arithmetic("fmul", x, series))
