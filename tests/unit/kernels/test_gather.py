"""Channels in another order: each lands where it belongs, and nothing else is written."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.gather import Gather
from ninefold.kernels.llvm.layout import Blocked

BORDER = (1, 0, 2, 1)


def numbers(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def by_units(kernel):
    a, b = kernel.grid
    return [(i, i + 1, j, j + 1) for i in reversed(range(a)) for j in reversed(range(b))]


ORDERS = {
    "shuffle": (42, [(i % 3) * 14 + i // 3 for i in range(42)]),
    "slice": (42, list(range(7, 40))),
    "one": (5, [3]),
    "reversed": (16, list(range(16))[::-1]),
    "each several times": (6, [i // 5 for i in range(30)]),
}


@pytest.mark.parametrize("order", ORDERS)
def test_channels_come_in_the_order_that_is_wanted(bench, rng, order):
    count, channels = ORDERS[order]
    values = numbers(rng, count, 3, 5)
    x, y = bench.maps(values, BORDER), bench.empty(len(channels), 3, 5, (0, 1, 1, 0))
    kernel = Gather(x.layout, y.layout, tuple(channels))
    bench.run(kernel, x, y, parts=by_units(kernel))
    np.testing.assert_array_equal(y.read(), values[channels])
    assert y.border_is(np.nan)


def test_channels_come_from_two_inputs(bench, rng):
    values, other = numbers(rng, 21, 4, 3), numbers(rng, 10, 4, 3)
    channels = rng.permutation(31)[:27]
    x, residual, y = bench.maps(values), bench.maps(other, BORDER), bench.empty(27, 4, 3, BORDER)
    bench.run(Gather(x.layout, y.layout, tuple(channels.tolist()), 0, residual.layout), x, y, residual=residual)
    np.testing.assert_array_equal(y.read(), np.concatenate([values, other])[channels])
    assert y.border_is(np.nan)


def test_maps_are_laid_one_behind_the_other(bench, rng):
    parts = [numbers(rng, channels, 2, 3) for channels in (3, 7, 19, 1)]
    y, before = bench.empty(30, 2, 3, BORDER), 0
    for part in parts:
        x = bench.maps(part)
        bench.run(Gather(x.layout, y.layout, tuple(range(len(part))), before), x, y)
        before += len(part)
    np.testing.assert_array_equal(y.read(), np.concatenate(parts))
    assert y.border_is(np.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 4),), "channels 0 to 4 came for inputs of 4"),
        (((),), "channels None"),
        (((0, 1, 2), 3), "3 channels from 3 on do not fit into 5"),
        (((0,), 0, Blocked(4, 2, 3, 8)), r"\(4, 3, 3\) was wanted"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(InvalidSpec, match=message):
        Gather(Blocked(4, 3, 3, 8), Blocked(5, 3, 3, 8), *arguments)
