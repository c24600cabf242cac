"""What is done to every element by itself against NumPy, in all widths, between forbidden pages."""

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.elementwise import Elementwise
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked

SHAPES = [(16, 5, 7), (3, 1, 1), (21, 4, 3)]
BORDER = (1, 0, 2, 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_factor_and_a_summand_per_channel(bench, rng, shape):
    values, factor, shift = numbers(rng, *shape), numbers(rng, shape[0]), numbers(rng, shape[0])
    x, y = bench.maps(values, BORDER), bench.empty(*shape, (0, 1, 0, 0))
    kernel = Elementwise(x.layout, y.layout, Epilogue(bias=True, activation="sigmoid"), "weight")
    bench.run(kernel, x, y, weight=factor, bias=shift)
    wanted = sigmoid(values * factor[:, None, None] + shift[:, None, None])
    np.testing.assert_allclose(y.read(), wanted, rtol=1e-5, atol=1e-6)
    assert y.border_is(np.nan)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sum_of_maps_in_parts(bench, rng, shape):
    values, other = numbers(rng, *shape), numbers(rng, *shape)
    x, residual, y = bench.maps(values), bench.maps(other, BORDER), bench.empty(*shape, BORDER)
    kernel = Elementwise(x.layout, y.layout, Epilogue(residual=True, activation="relu"), residual=residual.layout)
    a, b = kernel.grid
    bench.run(kernel, x, y, residual=residual, parts=[(i, i + 1, j, j + 1) for i in range(a) for j in range(b)])
    np.testing.assert_array_equal(y.read(), np.maximum(values + other, 0))
    assert y.border_is(np.nan)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spread", ["all", "channels", "places", "both"])
def test_products_and_sums_of_maps_that_are_spread_over_others(bench, rng, shape, spread):
    c, h, w = shape
    small = {"all": shape, "channels": (c, 1, 1), "places": (1, h, w), "both": (1, 1, 1)}[spread]
    for values, other in [(numbers(rng, *shape), numbers(rng, *small)), (numbers(rng, *small), numbers(rng, *shape))]:
        x, at, y = bench.maps(values, BORDER), bench.maps(other, (0, 1, 0, 2)), bench.empty(*shape)
        bench.run(Elementwise(x.layout, y.layout, Epilogue(), "gate", at.layout), x, y, residual=at)
        np.testing.assert_array_equal(y.read(), values * other)
        added = Elementwise(x.layout, y.layout, Epilogue(residual=True, activation="relu"), residual=at.layout)
        bench.run(added, x, y, residual=at)
        np.testing.assert_array_equal(y.read(), np.maximum(values + other, 0))


def test_channels_and_places_are_spread_over_each_other(bench, rng):
    values, other = numbers(rng, 5, 1, 1), numbers(rng, 1, 3, 4)
    x, at, y = bench.maps(values), bench.maps(other), bench.empty(5, 3, 4, BORDER)
    bench.run(Elementwise(x.layout, y.layout, Epilogue(), "gate", at.layout), x, y, residual=at)
    np.testing.assert_array_equal(y.read(), values * other)
    assert y.border_is(np.nan)


def test_layouts_that_do_not_meet_are_refused():
    maps, others = Blocked(4, 3, 3, 8), Blocked(4, 3, 2, 8)
    with pytest.raises(InvalidSpec, match="wanted"):
        Elementwise(maps, others, Epilogue())
    with pytest.raises(InvalidSpec, match=r"\(3, 3, 3\) came where \(4, 3, 3\) was wanted"):
        Elementwise(maps, maps, Epilogue(), "gate", Blocked(3, 3, 3, 8))
