"""The Winograd kernels against the definition, for every m, in all widths, between forbidden pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.compiled import assembly
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.module import module
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.winograd import WinogradConv, WinogradTile, candidates, default_tile, why_not
from ninefold.kernels.llvm.winograd_tile import FORMS, forms
from ninefold.spec import ConvSpec, Winograd

PLAIN = Epilogue()
FULL = Epilogue(bias=True, residual=True, activation="sigmoid")
TILES = {m: WinogradTile(m, block=5, rows=3, vectors=2) for m in FORMS}
ACTIVATIONS = {"none": lambda x: x, "relu": reference.relu, "sigmoid": reference.sigmoid}


def convolution(in_channels, out_channels, height, width, padding=1):
    return ConvSpec.of((1, in_channels, height, width), (out_channels, in_channels, 3, 3), padding=padding)


def tolerance(spec, outputs):
    # A sum of n products of numbers around 1 is about sqrt(n), and so is how often its last place is rounded; the
    # largest of thousands of errors is at most six times their root mean square.
    return 6 * 2e-7 * Winograd.of(outputs, 3).growth(2) * (9 * spec.in_channels) ** 0.5


def check(bench, rng, spec, tile, *, epilogue=PLAIN, borders=((0,) * 4,) * 3, parts=None, pool=1):
    x = rng.normal(size=spec.input_shape[1:]).astype(np.float32)
    weight = rng.normal(size=spec.weight_shape).astype(np.float32)
    bias = rng.normal(size=spec.out_channels).astype(np.float32) if epilogue.bias else None
    added = rng.normal(size=spec.output_shape[1:]).astype(np.float32) if epilogue.residual else None
    size = [n // pool for n in spec.out_size]
    maps, y = bench.maps(x, borders[0]), bench.empty(spec.out_channels, *size, borders[1])
    residual = None if added is None else bench.maps(added, borders[2])
    kernel = WinogradConv(spec, maps.layout, y.layout, epilogue, tile, residual and residual.layout, pool)
    bench.run(kernel, maps, y, weight=weight, bias=bias, residual=residual, parts=parts and parts(*kernel.grid))
    total = reference.run(x[None].astype(np.float64), weight.astype(np.float64), bias, spec)[0]
    wanted = ACTIVATIONS[epilogue.activation](total if added is None else total + added)
    np.testing.assert_allclose(y.read(), largest(wanted, pool), rtol=0, atol=tolerance(spec, tile.outputs))
    assert y.border_is(np.nan)


def largest(maps, pool):
    channels, height, width = (n // p for n, p in zip(maps.shape, (1, pool, pool), strict=True))
    return maps[:, : height * pool, : width * pool].reshape(channels, height, pool, width, pool).max((2, 4))


EDGES = {
    "whole tiles": (16, 32, 12, 12, 1),
    "one pixel": (1, 1, 1, 1, 1),
    "one output": (3, 5, 3, 3, 0),
    "tiles cut at both ends": (20, 37, 13, 11, 1),
    "a row": (4, 4, 1, 20, 1),
    "a column": (4, 4, 20, 1, 1),
    "no padding": (7, 19, 10, 9, 0),
    "padding per side": (5, 6, 9, 8, ((2, 0), (1, 3))),
    "wide padding": (2, 3, 4, 4, 7),
}


@pytest.mark.parametrize("case", EDGES)
def test_it_is_the_definition(bench, rng, case):
    for m in (2, 4):
        check(bench, rng, convolution(*EDGES[case]), TILES[m])


@pytest.mark.parametrize("m", TILES)
@pytest.mark.parametrize("wide", [False, True], ids=["any border", "wide border"])
def test_the_epilogue_comes_last_and_keeps_what_fills_up(bench, rng, m, wide):
    # A border of 8 is read in place of zeros from elsewhere; one of 1 is not wide enough for tiles that are cut.
    borders = ((8, 8, 8, 8) if wide else (1, 1, 1, 1)), (0, 1, 2, 0), (1, 0, 0, 3)
    check(bench, rng, convolution(9, 21, 8, 9), TILES[m], epilogue=FULL, borders=borders)


@pytest.mark.parametrize("parts", ["blocks", "groups"])
def test_the_grid_can_be_done_in_any_parts(bench, rng, parts):
    def cut(a, b):
        if parts == "blocks":
            return [(i, i + 1, 0, b) for i in reversed(range(a))]
        return [(i, i + 1, j, j + 1) for j in reversed(range(b)) for i in range(a)]

    check(bench, rng, convolution(16, 80, 13, 13), TILES[4], epilogue=FULL, parts=cut)


@pytest.mark.parametrize(("m", "pool"), [(2, 2), (4, 2), (6, 2), (4, 4), (6, 3), (5, 5)])
def test_it_can_keep_the_largest_of_every_window_only(bench, rng, m, pool):
    borders = (1, 1, 1, 1), (0, 1, 2, 0), (1, 0, 0, 3)
    check(bench, rng, convolution(9, 21, 4 * pool + 1, 3 * pool), TILES[m], epilogue=FULL, borders=borders, pool=pool)
    check(bench, rng, convolution(16, 80, 2 * m, 3 * m), TILES[m], pool=pool, parts=lambda a, b: [(0, a, 0, b)])


def test_a_window_with_what_is_no_number_gives_none(bench, rng):
    x = rng.normal(size=(4, 8, 8))
    x[2, 1, 6] = np.nan
    maps, y = bench.maps(x), bench.empty(16, 4, 4)
    kernel = WinogradConv(convolution(4, 16, 8, 8), maps.layout, y.layout, PLAIN, TILES[4], pool=2)
    bench.run(kernel, maps, y, weight=rng.normal(size=(16, 4, 3, 3)).astype(np.float32))
    assert np.isnan(y.read()[:, :2, 2:]).all()
    assert np.isfinite(y.read()[:, 2:]).all()


def test_the_residual_may_be_the_output_itself(bench, rng):
    spec = convolution(8, 20, 9, 9)
    x, added = rng.normal(size=(8, 9, 9)), rng.normal(size=(20, 9, 9))
    weight = rng.normal(size=spec.weight_shape).astype(np.float32)
    maps, y = bench.maps(x), bench.maps(added)
    kernel = WinogradConv(spec, maps.layout, y.layout, Epilogue(residual=True), TILES[4])
    bench.run(kernel, maps, y, weight=weight, residual=y)
    wanted = reference.run(x[None], weight, None, spec)[0] + added
    np.testing.assert_allclose(y.read(), wanted, rtol=0, atol=tolerance(spec, 4))


def test_what_lies_behind_the_map_never_reaches_an_output(bench, rng):
    # Cut tiles transform zeros there, not the maps' neighbours: a large number would be lost only in exact arithmetic.
    spec = convolution(2, 3, 5, 5, padding=0)
    x, weight = rng.normal(size=(2, 5, 5)), rng.normal(size=spec.weight_shape).astype(np.float32)
    maps, y = bench.maps(x, (1, 1, 1, 1)), bench.empty(3, 3, 3)
    inner = maps.inner().copy()
    maps.buffer.array[:] = np.inf
    maps.inner()[...] = inner
    kernel = WinogradConv(spec, maps.layout, y.layout, PLAIN, TILES[2])
    bench.run(kernel, maps, y, weight=weight)
    np.testing.assert_allclose(y.read(), reference.run(x[None], weight, None, spec)[0], rtol=0, atol=1e-5)


def test_any_convolution_of_3x3_is_the_definition(target, make_bench):
    bench = make_bench(target)
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3))
    tile = st.builds(WinogradTile, st.sampled_from(FORMS), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
    channels, size = st.integers(1, 40), st.integers(3, 15)

    @settings(max_examples=10)
    @given(channels, channels, size, size, st.tuples(pair, pair), tile)
    def any_of(in_channels, out_channels, height, width, padding, tile):
        check(bench, np.random.default_rng(0), convolution(in_channels, out_channels, height, width, padding), tile)

    any_of()


def test_every_candidate_gives_the_same_numbers(target, make_bench, rng):
    spec = convolution(24, 70, 11, 14)
    for m in forms(spec)[:2]:
        tiles = candidates(spec, target, m)
        assert tiles[0] == default_tile(spec, target, m)
        for tile in tiles:
            check(make_bench(target), rng, spec, tile)


VECTOR_ON_STACK = re.compile(r"v?mov\w+.*\(%r[sb]p")


@pytest.mark.parametrize("channels", [(64, 64), (128, 128), (512, 512)], ids=str)
def test_no_vector_leaves_its_register_in_the_products(target, channels):
    spec = convolution(*channels, 28, 28)
    layouts = (Blocked(c, 28, 28, target.lanes) for c in channels)
    kernel = WinogradConv(spec, *layouts, Epilogue(bias=True, activation="relu"), default_tile(spec, target, 4))
    text = assembly(module(kernel.functions(target), target), target)
    products = re.findall(rf"^{kernel.name}_product\w*:\n(.*?)^\.Lfunc_end", text, re.DOTALL | re.MULTILINE)
    assert products
    for product in products:
        assert "mul" in product or "fmadd" in product
        assert not VECTOR_ON_STACK.search(product)


@pytest.mark.skipif(host().registers < 32, reason="transforms are written for 32 registers")
@pytest.mark.parametrize("m", [2, 3, 4])
def test_a_transform_puts_aside_only_what_does_not_fit_the_registers(m):
    # Between its two halves it holds a vector per frequency, and a few more are at work.
    spec, target, at_work = convolution(64, 64, 56, 56), host(), 8
    layout = Blocked(64, 56, 56, target.lanes)
    kernel = WinogradConv(spec, layout, layout, PLAIN, default_tile(spec, target, m))
    text = assembly(module(kernel.functions(target), target), target)
    (transform,) = re.findall(rf"^{kernel.name}_input_inside:\n(.*?)^\.Lfunc_end", text, re.DOTALL | re.MULTILINE)
    stored_and_read = 2 * max(0, (m + 2) ** 2 + at_work - target.registers)
    assert len(VECTOR_ON_STACK.findall(transform)) <= stored_and_read


def test_threads_share_blocks_and_where_there_are_few_their_channels():
    tile = WinogradTile(4, block=16, rows=8, vectors=2)
    for size, pictures, threads, chunk in (
        (56, 1, 2, (1, 2)),
        (28, 1, 4, (1, 1)),
        (14, 1, 2, (1, 1)),
        (14, 2, 2, (1, 2)),
    ):
        layout = Blocked(64, size, size, 16)
        kernel = WinogradConv(convolution(64, 64, size, size), layout, layout, PLAIN, tile)
        assert kernel.grid == (-(-(((size + 3) // 4) ** 2) // 16), 2)
        assert kernel.chunk(pictures, threads) == chunk


def test_it_says_what_it_does_not_take():
    x = (1, 4, 9, 9)
    assert "stride=(2, 2)" in why_not(ConvSpec.of(x, (4, 4, 3, 3), stride=2))
    assert "kernel=(5, 5)" in why_not(ConvSpec.of(x, (4, 4, 5, 5)))
    assert "groups=2" in why_not(ConvSpec.of(x, (4, 2, 3, 3), groups=2))
    assert "transposed=True" in why_not(ConvSpec.of(x, (4, 4, 3, 3), transposed=True))
    assert why_not(convolution(4, 4, 9, 9)) is None
    layout = Blocked(4, 9, 9, host().lanes)
    with pytest.raises(Unsupported, match="dilation=\\(2, 2\\)"):
        WinogradConv(ConvSpec.of(x, (4, 4, 3, 3), dilation=2, padding=2), layout, layout, PLAIN, TILES[2])
    with pytest.raises(InvalidSpec, match="wanted"):
        WinogradConv(convolution(4, 4, 8, 9), layout, layout, PLAIN, TILES[2])
    with pytest.raises(InvalidSpec, match="windows of 2 came for tiles of 3"):
        WinogradConv(convolution(4, 4, 9, 9), layout, Blocked(4, 4, 4, host().lanes), PLAIN, TILES[3], pool=2)


def test_the_example_measures_errors_in_the_order_that_growth_foretells():
    script = Path(__file__).parents[3] / "examples" / "winograd_errors.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    measured = [float(value) for value in re.findall(r"^F.*rms (\S+) ", done.stdout, re.MULTILINE)]
    assert len(measured) == len(TILES)
    assert measured == sorted(measured)
    assert measured[-1] < 1e-5
