"""Activations and epilogues, written into a kernel that does nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.activation import ACTIVATIONS, exponential
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import Kernel
from ninefold.kernels.llvm.text import Function

DEFINITIONS = {
    "none": lambda x: x,
    "relu": reference.relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: reference.leaky_relu(x, 0.2),
    "sigmoid": reference.sigmoid,
    "silu": lambda x: x * reference.sigmoid(x),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "tanh": reference.tanh,
    "clamp": lambda x: np.clip(x, -1, 0.5),
    "elu": lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * np.vectorize(lambda v: math.erfc(-v / math.sqrt(2)))(x) / 2,
    "gelu_tanh": lambda x: x * reference.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
}
NUMBERS = {"leaky_relu": (0.2,), "elu": (0.7,), "clamp": (-1.0, 0.5)}


def ending(activation):
    return Epilogue(activation=activation, numbers=NUMBERS.get(activation, ()))


@dataclass(frozen=True)
class Vectors(Kernel):
    count: int
    epilogue: Epilogue | None
    filled: int | None = None

    @property
    def grid(self):
        return (self.count, 1)

    def functions(self, target):
        f = Function.entry(self.name, target)

        def vector(i, _):
            at = f.mul(i, f.lanes)
            value = f.load(f["x"], at)
            if self.epilogue is None:
                value = exponential(f, value)
            else:
                if self.epilogue.bias:
                    value = f.arithmetic("fadd", value, self.epilogue.start(f, f["bias"], 0))
                value = self.epilogue.apply(f, value, f["residual"], at, filled=self.filled)
            f.store(value, f["y"], at)

        f.loop(f["a0"], f["a1"], vector)
        return [f]


def through(bench, values, epilogue, bias=None, residual=None, filled=None):
    count = len(values) // bench.target.lanes
    x, y = bench.numbers(values), bench.numbers(np.full(len(values), np.nan))
    if residual is not None:
        residual = bench.numbers(residual)
    bench.run(Vectors(count, epilogue, filled), x, y, bias=bias, residual=residual)
    return y.buffer.array.astype(np.float64)


def units(got, wanted):
    """Give the largest error in units in the last place of what was wanted."""
    return np.max(np.abs(got - wanted) / np.spacing(np.abs(wanted).astype(np.float32)))


def test_exp_is_within_two_units_in_the_last_place(bench):
    x = np.linspace(-87.3, 88.3, 1 << 14).astype(np.float32)
    assert units(through(bench, x, None), np.exp(x.astype(np.float64))) < 2


def test_exp_of_what_is_out_of_range_stays_at_its_ends(bench):
    x = np.resize(np.array([-1e9, -np.inf, 1e9, np.inf], np.float32), 16)
    got = through(bench, x, None)
    assert (got[:2] > 0).all() and (got[:2] < 2e-38).all()  # noqa: PT018  # one range
    assert (got[2:4] > 2e38).all() and np.isfinite(got).all()  # noqa: PT018


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_is_its_definition(bench, rng, activation):
    x = np.concatenate([rng.normal(0, 4, 500), [0, -3, 3, 6, -100, 100], np.linspace(-87, 87, 6)]).astype(np.float32)
    got = through(bench, x, ending(activation))
    wanted = DEFINITIONS[activation](x.astype(np.float64))
    normal = np.abs(wanted) >= np.finfo(np.float32).tiny
    assert np.abs(got - wanted)[~normal].max(initial=0) < 2e-36
    # x + 3 rounds before the product: near x = -3 that is an error of the sum's last place, not of the small result's;
    # so is what exp is given in gelu.
    if activation in ("hardsigmoid", "hardswish", "gelu", "gelu_tanh"):
        np.testing.assert_allclose(got, wanted, rtol=3e-7, atol=3e-7)
    else:
        assert units(got[normal], wanted[normal]) <= 4


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_no_number_stays_none(bench, activation):
    assert np.isnan(through(bench, np.full(16, np.nan, np.float32), ending(activation))).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_says_whether_it_keeps_zeros(activation):
    assert ending(activation).keeps_zeros == (DEFINITIONS[activation](np.zeros(1))[0] == 0)


def test_bias_and_residual_come_before_the_activation(bench, rng):
    x, residual = rng.normal(size=(2, 64)).astype(np.float32)
    bias = rng.normal(size=bench.target.lanes).astype(np.float32)
    got = through(bench, x, Epilogue(bias=True, residual=True, activation="relu"), bias, residual)
    wanted = reference.relu(x + np.resize(bias, 64).astype(np.float64) + residual)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_lanes_that_fill_up_a_block_are_cleared(bench):
    got = through(bench, np.zeros(16, np.float32), Epilogue(activation="sigmoid"), filled=3)
    assert got.reshape(-1, bench.target.lanes)[0].tolist() == [0.5] * 3 + [0.0] * (bench.target.lanes - 3)


def test_an_unknown_activation_and_numbers_that_it_has_not_are_refused():
    with pytest.raises(InvalidInput, match="'swish'"):
        Epilogue(activation="swish")
    with pytest.raises(InvalidInput, match="clamp, which has 2"):
        Epilogue(activation="clamp", numbers=(1.0,))
