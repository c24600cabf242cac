"""Changes of layout: each number lands where it belongs, and nothing else is written."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.convert import ClearBorder, FromBlocks, Spread, ToBlocks
from ninefold.kernels.llvm.layout import Blocked

SHAPES = [(1, 1, 1), (3, 5, 7), (16, 4, 16), (21, 2, 33), (40, 3, 4), (5, 6, 6)]
BORDERS = [(0, 0, 0, 0), (1, 2, 0, 3), (0, 1, 0, 0)]


@pytest.fixture(params=SHAPES, ids=str)
def channels(request, rng):
    return rng.normal(size=request.param).astype(np.float32)


def by_units(kernel):
    a, b = kernel.grid
    return [(i, i + 1, j, j + 1) for i in reversed(range(a)) for j in reversed(range(b))]


def test_planes_become_blocks(bench, channels):
    for border in BORDERS:
        x, y = bench.numbers(channels), bench.empty(*channels.shape, border)
        kernel = ToBlocks(y.layout)
        bench.run(kernel, x, y, parts=by_units(kernel))
        np.testing.assert_array_equal(y.read(), channels)
        assert y.border_is(np.nan)


def test_blocks_become_planes(bench, channels):
    for border in BORDERS:
        x, y = bench.maps(channels, border), bench.numbers(np.full(channels.size, np.nan))
        kernel = FromBlocks(x.layout)
        bench.run(kernel, x, y, parts=by_units(kernel))
        np.testing.assert_array_equal(y.buffer.array.reshape(channels.shape), channels)
        assert np.isnan(y.buffer.slack).all()


def test_a_border_is_cleared_and_nothing_else(bench, channels):
    for border in BORDERS:
        y = bench.maps(channels, border)
        y.buffer.array[:] = np.nan
        bench.run(ClearBorder(y.layout), y, y)
        assert np.isnan(y.inner()).all()
        assert y.border_is(0)


def test_zeros_come_between(bench, channels):
    for step, border in zip([(1, 1), (2, 2), (1, 3), (3, 1)], [*BORDERS, (0, 0, 0, 0)], strict=True):
        wanted = reference.insert_zeros(channels[None], step)[0]
        x, y = bench.maps(channels, (1, 1, 2, 0)), bench.empty(*wanted.shape, border)
        kernel = Spread(x.layout, y.layout, step)
        bench.run(kernel, x, y, parts=by_units(kernel))
        np.testing.assert_array_equal(y.read(), wanted)
        assert y.border_is(np.nan)


def test_layouts_that_do_not_meet_are_refused():
    with pytest.raises(InvalidSpec, match=r"\(3, 7, 7\) was wanted"):
        Spread(Blocked(3, 4, 4, 8), Blocked(3, 8, 8, 8), (2, 2))
