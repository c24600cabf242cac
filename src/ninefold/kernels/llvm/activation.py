"""Functions of one number, written for all lanes of a vector at once; what is no number stays none.

Where two ways of writing a function differ, the one is taken that keeps digits near zero.
"""

from __future__ import annotations

from math import factorial, pi, sqrt
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.kernels.llvm.text import Function, Value

Activation = Literal[
    "none",
    "relu",
    "relu6",
    "clamp",
    "leaky_relu",
    "elu",
    "selu",
    "sigmoid",
    "silu",
    "hardsigmoid",
    "hardswish",
    "tanh",
    "gelu",
    "gelu_tanh",
    "softplus",
    "mish",
]
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
# log(1 + u) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...) with s = u / (2 + u) <= 1/3: s^14 / 15 < 2e-8 is left out.
_LOG: Final = tuple(1 / (2 * i + 1) for i in range(7))
# erfc(z) = t * (a polynomial in t) * exp(-z^2) with t = 1 / (1 + p z), within 1.5e-7 for z >= 0:
# M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 7.1.26.
_ERFC_P: Final = 0.3275911
_ERFC: Final = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_SELU: Final = (1.6732632423543772, 1.0507009873554805)  # below zero, and all of it; G. Klambauer and others, 2017
_MISH_END: Final = 20.0  # from there on mish(x) = x in float32


def keeps_zero(activation: Activation, numbers: Sequence[float]) -> bool:
    """Say whether nothing becomes nothing."""
    if activation == "clamp":
        return numbers[0] <= 0 <= numbers[1]
    return activation not in ("sigmoid", "hardsigmoid", "softplus")


def activated(f: Function, x: Value, activation: Activation, numbers: Sequence[float] = ()) -> Value:
    """Write an activation of all lanes.

    relu            max(x, 0)
    relu6           min(max(x, 0), 6)
    clamp           min(max(x, a), b)
    leaky_relu      x where x > 0, else a * x
    elu             x where x > 0, else a * (exp(x) - 1)
    selu            1.0507 * elu with a = 1.6733
    sigmoid         1 / (1 + exp(-x))
    silu            x * sigmoid(x)
    hardsigmoid     relu6(x + 3) / 6
    hardswish       x * hardsigmoid(x)
    tanh            1 - 2 / (1 + exp(2 * x))
    gelu            x * (1 + erf(x / sqrt(2))) / 2
    gelu_tanh       x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x^3))
    softplus        log(1 + exp(x))
    mish            x * tanh(softplus(x))

    Args:
        f: the function being written.
        x: the vector.
        activation: one of these.
        numbers: its a and b, where it has some.
    """
    match activation:
        case "none":
            return x
        case "relu6":
            return _clamped(f, x, 0.0, 6.0)
        case "clamp":
            return _clamped(f, x, *numbers)
        case "leaky_relu":
            return f.positive(x, x, f.arithmetic("fmul", x, f.constant(numbers[0])))
        case "elu":
            return _elu(f, x, numbers[0])
        case _:
            return _WRITERS[activation](f, x)


def exponential(f: Function, x: Value) -> Value:
    """Write exp(x) = 2^n * exp(r), where n = round(x / log 2) and r = x - n * log 2 lies within +-log(2) / 2.

    exp(r) is Taylor's series up to r^7; the result is within 2 units in the last place. Below -87.3 and above 88.3,
    where 2^n would be no normal number, it stays at the value there.
    """
    r, shifted = _reduced(f, x)
    return f.scaled(_series(f, r, 0), shifted)


def less_one(f: Function, x: Value) -> Value:
    """Write exp(x) - 1 = 2^n * (exp(r) - 1) + (2^n - 1), with n and r as above, which keeps the digits near zero."""
    r, shifted = _reduced(f, x)
    power = f.scaled(f.constant(1.0), shifted)
    of_r = f.arithmetic("fmul", r, _series(f, r, 1))
    return f.fma(of_r, power, f.arithmetic("fsub", power, f.constant(1.0)))


def _reduced(f: Function, x: Value) -> tuple[Value, Value]:
    x = _clamped(f, x, _LOWEST, _HIGHEST)
    n, shifted = f.rounded(f.arithmetic("fmul", x, f.constant(1.4426950408889634)))
    r = f.fma(n, f.constant(-_LOG2_HIGH), x)
    return f.fma(n, f.constant(-_LOG2_LOW), r), shifted


def _series(f: Function, r: Value, first: int) -> Value:
    """Write exp's series divided by r^first, without the terms before."""
    return _polynomial(f, r, [1 / factorial(power) for power in range(first, _DEGREE + 1)])


def _polynomial(f: Function, x: Value, coefficients: Sequence[float]) -> Value:
    """Write the sum of coefficients[i] * x^i, from the last one inwards."""
    total = f.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = f.fma(total, x, f.constant(coefficient))
    return total


def _clamped(f: Function, x: Value, low: float, high: float) -> Value:
    above = f.largest(f.zero() if low == 0 else f.constant(low), x)
    return f.smallest(f.constant(high), above)


def _negative(f: Function, x: Value) -> Value:
    return f.arithmetic("fsub", f.zero(), x)


def _elu(f: Function, x: Value, factor: float) -> Value:
    return f.positive(x, x, f.arithmetic("fmul", f.constant(factor), less_one(f, x)))


def _selu(f: Function, x: Value) -> Value:
    below, everywhere = _SELU
    return f.arithmetic("fmul", f.constant(everywhere), _elu(f, x, below))


def _sigmoid(f: Function, x: Value) -> Value:
    one = f.constant(1.0)
    return f.arithmetic("fdiv", one, f.arithmetic("fadd", one, exponential(f, _negative(f, x))))


def _silu(f: Function, x: Value) -> Value:
    return f.arithmetic("fmul", x, _sigmoid(f, x))


def _hardsigmoid(f: Function, x: Value) -> Value:
    shifted = f.arithmetic("fadd", x, f.constant(3.0))
    return f.arithmetic("fmul", _clamped(f, shifted, 0.0, 6.0), f.constant(1 / 6))


def _tanh(f: Function, x: Value) -> Value:
    square = f.arithmetic("fmul", x, x)
    series = _polynomial(f, square, _TANH)
    one = f.constant(1.0)
    powers = exponential(f, f.arithmetic("fadd", x, x))
    quotient = f.arithmetic("fdiv", f.constant(2.0), f.arithmetic("fadd", one, powers))
    beyond = f.arithmetic("fsub", square, f.constant(_SMALL**2))
    return f.positive(beyond, f.arithmetic("fsub", one, quotient), f.arithmetic("fmul", x, series))


def _gelu(f: Function, x: Value) -> Value:
    """Write x * erfc(-x / sqrt(2)) / 2: for x > 0 that is x * (1 - erfc(x / sqrt(2)) / 2)."""
    scaled = f.arithmetic("fmul", x, f.constant(sqrt(0.5)))
    z = f.positive(x, scaled, _negative(f, scaled))
    one = f.constant(1.0)
    t = f.arithmetic("fdiv", one, f.fma(z, f.constant(_ERFC_P), one))
    halved = f.arithmetic("fmul", t, _polynomial(f, t, [c / 2 for c in _ERFC]))
    tail = f.arithmetic("fmul", halved, exponential(f, _negative(f, f.arithmetic("fmul", z, z))))
    return f.arithmetic("fmul", x, f.positive(x, f.arithmetic("fsub", one, tail), tail))


def _gelu_tanh(f: Function, x: Value) -> Value:
    slope = f.fma(f.arithmetic("fmul", x, x), f.constant(2 * sqrt(2 / pi) * 0.044715), f.constant(2 * sqrt(2 / pi)))
    return f.arithmetic("fmul", x, _sigmoid(f, f.arithmetic("fmul", x, slope)))


def _softplus(f: Function, x: Value) -> Value:
    """Write max(x, 0) + log(1 + u) with u = exp(-|x|)."""
    u = exponential(f, f.positive(x, _negative(f, x), x))
    s = f.arithmetic("fdiv", u, f.arithmetic("fadd", u, f.constant(2.0)))
    series = _polynomial(f, f.arithmetic("fmul", s, s), _LOG)
    return f.fma(f.arithmetic("fadd", s, s), series, f.largest(f.zero(), x))


def _mish(f: Function, x: Value) -> Value:
    """Write x * e (e + 2) / (e (e + 2) + 2) with e = exp(x): what tanh(log(1 + e)) comes to."""
    e = exponential(f, f.smallest(f.constant(_MISH_END), x))
    product = f.arithmetic("fmul", e, f.arithmetic("fadd", e, f.constant(2.0)))
    quotient = f.arithmetic("fdiv", product, f.arithmetic("fadd", product, f.constant(2.0)))
    return f.arithmetic("fmul", x, quotient)


_WRITERS: Final = {
    "relu": lambda f, x: f.largest(f.zero(), x),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda f, x: f.arithmetic("fmul", x, _hardsigmoid(f, x)),
    "tanh": _tanh,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "softplus": _softplus,
    "mish": _mish,
}
