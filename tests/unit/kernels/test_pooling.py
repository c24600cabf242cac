"""Pooling against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.pooling import ChannelPool, GlobalAverage, Pool
from ninefold.spec import ConvSpec

WINDOWS = {
    "2x2": ((3, 8, 10), 2, 2, 0),
    "3x3 stride 2": ((20, 9, 12), 3, 2, 1),
    "overlapping": ((5, 6, 7), 3, 1, 1),
    "5 rows, 1 column": ((4, 9, 3), (5, 1), (2, 1), (2, 0)),
    "large": ((4, 9, 11), 6, 1, (2, 3)),
    "one pixel": ((17, 1, 1), 1, 1, 0),
    "padding per side": ((4, 7, 7), 3, 2, ((0, 1), (2, 0))),
    "whole map": ((9, 6, 5), (6, 5), 1, 0),
}


def window(shape, kernel, stride, padding, dilation=1):
    channels = shape[0]
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return ConvSpec.of(
        (1, *shape), (channels, 1, *kernel), stride=stride, padding=padding, dilation=dilation, groups=channels
    )


def check(bench, rng, kind, spec, count_include_pad=True):
    values = rng.normal(size=spec.input_shape[1:]).astype(np.float32)
    x, y = bench.maps(values, (0, 1, 0, 0)), bench.empty(spec.in_channels, *spec.out_size, (0, 0, 1, 0))
    bench.run(Pool(kind, spec, x.layout, y.layout, count_include_pad), x, y)
    arguments = {"stride": spec.stride, "padding": spec.padding}
    if kind == "max":
        wanted = reference.max_pool(values[None], spec.kernel, **arguments)[0]
        np.testing.assert_array_equal(y.read(), wanted)
    else:
        wanted = reference.average_pool(
            values[None].astype(np.float64), spec.kernel, **arguments, count_include_pad=count_include_pad
        )[0]
        np.testing.assert_allclose(y.read(), wanted, atol=1e-5)
    assert y.border_is(np.nan)


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize(("kind", "counted"), [("max", True), ("average", True), ("average", False)])
def test_it_is_the_definition(bench, rng, case, kind, counted):
    check(bench, rng, kind, window(*WINDOWS[case]), counted)


def test_any_window_is_the_definition(target, make_bench):
    bench = make_bench(target)

    @settings(max_examples=15)
    @given(st.data())
    def any_of(data):
        axes = []
        for _ in range(2):
            kernel = data.draw(st.integers(1, 7))
            before, after = data.draw(st.integers(0, kernel - 1)), data.draw(st.integers(0, kernel - 1))
            size = data.draw(st.integers(max(1, kernel - before - after), 12))
            axes.append((size, kernel, data.draw(st.integers(1, 3)), (before, after)))
        size, kernel, stride, padding = zip(*axes, strict=True)
        try:
            spec = window((data.draw(st.integers(1, 20)), *size), kernel, stride, padding)
            for kind in ("max", "average"):
                check(bench, np.random.default_rng(0), kind, spec, data.draw(st.booleans()))
        except InvalidSpec as refused:
            assert "padding" in str(refused)  # noqa: PT017  # both refuse the same windows

    any_of()


def test_a_divisor_takes_the_place_of_the_count(bench, rng):
    values = rng.normal(size=(5, 6, 6)).astype(np.float32)
    x, y = bench.maps(values), bench.empty(5, 3, 3)
    bench.run(Pool("average", window((5, 6, 6), 2, 2, 0), x.layout, y.layout, divisor=1), x, y)
    wanted = 4 * reference.average_pool(values[None].astype(np.float64), 2)[0]
    np.testing.assert_allclose(y.read(), wanted, atol=1e-5)


def test_dilated_windows_skip_what_lies_between(bench, rng):
    spec = window((3, 9, 9), 3, 1, 1, dilation=2)
    values = rng.normal(size=(3, 9, 9)).astype(np.float32)
    x, y = bench.maps(values), bench.empty(3, *spec.out_size)
    bench.run(Pool("max", spec, x.layout, y.layout), x, y)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    wanted = np.max([padded[:, i : i + 7, j : j + 7] for i in (0, 2, 4) for j in (0, 2, 4)], axis=0)
    np.testing.assert_array_equal(y.read(), wanted)


def test_what_is_no_number_wins_wherever_it_stands(bench):
    values = np.zeros((1, 1, 4), np.float32)
    for at in range(4):
        values[...] = 0
        values[0, 0, at] = np.nan
        x, y = bench.maps(values), bench.empty(1, 1, 1)
        bench.run(Pool("max", window((1, 1, 4), (1, 4), 1, 0), x.layout, y.layout), x, y)
        assert np.isnan(y.read()).all()


def test_sizes_rounded_up_end_where_the_input_ends(bench, rng):
    values = rng.normal(size=(3, 5, 5)).astype(np.float32)
    x, y = bench.maps(values), bench.empty(3, 3, 3)
    bench.run(Pool("average", window((3, 5, 5), 2, 2, 0), x.layout, y.layout), x, y)
    wanted = [[values[:, i : i + 2, j : j + 2].mean(axis=(1, 2)) for j in (0, 2, 4)] for i in (0, 2, 4)]
    np.testing.assert_allclose(y.read(), np.moveaxis(wanted, 2, 0), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 7, 7), (3, 2, 3), (5, 30, 41)], ids=str)
def test_the_mean_of_a_map(bench, rng, shape):
    values = rng.normal(1, 1, shape).astype(np.float32)
    x, y = bench.maps(values, (1, 0, 2, 1)), bench.empty(shape[0], 1, 1)
    bench.run(GlobalAverage(x.layout, y.layout), x, y)
    np.testing.assert_allclose(y.read()[:, 0, 0], values.mean(axis=(1, 2), dtype=np.float64), rtol=2e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 7, 7), (3, 2, 3), (64, 3, 9), (33, 2, 4)], ids=str)
@pytest.mark.parametrize("kind", ["max", "average"])
def test_the_largest_and_the_mean_over_the_channels(bench, rng, shape, kind):
    values = rng.normal(-2, 1, shape).astype(np.float32)
    x, y = bench.maps(values, (1, 0, 2, 1)), bench.empty(1, *shape[1:], (0, 1, 1, 0))
    kernel = ChannelPool(kind, x.layout, y.layout)
    bench.run(kernel, x, y, parts=[(0, 1, row, row + 1) for row in reversed(range(shape[1]))])
    wanted = values.max(0) if kind == "max" else values.mean(0, dtype=np.float64)
    np.testing.assert_allclose(y.read()[0], wanted, rtol=2e-6)
    assert y.border_is(np.nan)


def test_a_window_of_padding_only_is_refused():
    with pytest.raises(InvalidSpec, match="meets only padding"):
        Pool("max", window((1, 2, 2), 1, 1, 1), Blocked(1, 2, 2, 8), Blocked(1, 4, 4, 8))
