"""The direct kernel against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.compiled import assembly
from ninefold.kernels.llvm.direct import Direct, Tile, border_read, candidates, default_tile, why_not
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.module import module
from ninefold.kernels.llvm.target import host
from ninefold.spec import ConvSpec

PLAIN = Epilogue()


def prepared(bench, spec, epilogue=PLAIN, tile=None, extra=0):
    """Give a kernel and the input's layout; `extra` widens every border beyond what is read."""
    border = tuple(b + extra for b in border_read(spec))
    lanes = bench.target.lanes
    layouts = (
        Blocked(spec.in_channels, *spec.in_size, lanes, border),
        Blocked(spec.out_channels, *spec.out_size, lanes, (extra,) * 4),
    )
    return Direct(spec, *layouts, epilogue, tile or default_tile(spec, bench.target))


def check(bench, rng, spec, epilogue=PLAIN, tile=None, extra=0, parts=None):
    kernel = prepared(bench, spec, epilogue, tile, extra)
    x = rng.normal(size=spec.input_shape[1:]).astype(np.float32)
    weight = rng.normal(size=spec.weight_shape).astype(np.float32)
    bias = rng.normal(size=spec.out_channels).astype(np.float32) if epilogue.bias else None
    added = rng.normal(size=spec.output_shape[1:]).astype(np.float32) if epilogue.residual else None
    y = bench.empty(spec.out_channels, *spec.out_size, kernel.output.border)
    residual = None if added is None else bench.maps(added, kernel.output.border)
    bench.run(
        kernel, bench.maps(x, kernel.input.border), y, weight=weight, bias=bias, residual=residual,
        parts=parts and parts(*kernel.grid),
    )  # fmt: skip
    wanted = reference.run(x[None].astype(np.float64), weight.astype(np.float64), bias, spec)[0]
    wanted = wanted if added is None else wanted + added
    if epilogue.activation == "relu":
        wanted = reference.relu(wanted)
    if epilogue.activation == "sigmoid":
        wanted = reference.sigmoid(wanted)
    # A sum of n products of numbers around 1 is around sqrt(n), and rounds n times by its last place.
    taps = weight[0].size
    np.testing.assert_allclose(y.read(), wanted, rtol=1e-5, atol=4e-7 * taps**0.5 * max(1, taps**0.5 / 4))
    assert y.border_is(np.nan)


EDGES = {
    "3x3": ((1, 20, 9, 10), (37, 20, 3, 3), {"padding": 1}),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "dense": ((1, 70, 1, 1), (33, 70, 1, 1), {}),
    "dense after a map": ((1, 5, 3, 4), (19, 5, 3, 4), {}),
    "pointwise": ((1, 48, 7, 7), (64, 48, 1, 1), {}),
    "pointwise with stride": ((1, 16, 9, 9), (16, 16, 1, 1), {"stride": 2}),
    "stride 2": ((1, 16, 11, 12), (32, 16, 3, 3), {"stride": 2, "padding": 1}),
    "stride larger than the kernel": ((1, 3, 11, 12), (8, 3, 2, 2), {"stride": 3}),
    "two strides and dilations": ((1, 6, 13, 15), (8, 6, 3, 2), {"stride": (1, 2), "dilation": (2, 3)}),
    "padding per side": ((1, 4, 5, 5), (4, 4, 3, 3), {"padding": ((0, 2), (1, 3))}),
    "full": ((1, 4, 3, 3), (4, 4, 5, 5), {"padding": "full"}),
    "row": ((1, 8, 1, 30), (8, 8, 1, 5), {"padding": (0, 2)}),
    "column": ((1, 8, 30, 1), (8, 8, 5, 1), {"padding": (2, 0)}),
    "groups": ((1, 64, 5, 6), (96, 32, 3, 3), {"padding": 1, "groups": 2}),
    "large kernel": ((1, 2, 12, 12), (3, 2, 11, 11), {"padding": 5}),
}


@pytest.mark.parametrize("case", EDGES)
def test_it_is_the_definition(bench, rng, case):
    x, weight, arguments = EDGES[case]
    check(bench, rng, ConvSpec.of(x, weight, **arguments))


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_the_epilogue_comes_last_and_keeps_what_fills_up(bench, rng, activation, extra):
    epilogue = Epilogue(bias=True, residual=True, activation=activation)
    for x, weight, padding in (((1, 8, 5, 9), (21, 8, 3, 3), 1), ((1, 24, 4, 5), (50, 24, 1, 1), 0)):
        check(bench, rng, ConvSpec.of(x, weight, padding=padding), epilogue, extra=extra)


def test_the_residual_can_be_where_the_output_goes(bench, rng):
    spec = ConvSpec.of((1, 16, 6, 7), (24, 16, 1, 1))
    layouts = Blocked(16, 6, 7, bench.target.lanes), Blocked(24, 6, 7, bench.target.lanes)
    kernel = Direct(spec, *layouts, Epilogue(residual=True), default_tile(spec, bench.target))
    x, added, weight = (rng.normal(size=size).astype(np.float32) for size in ((16, 6, 7), (24, 6, 7), (24, 16, 1, 1)))
    y = bench.maps(added)
    bench.run(kernel, bench.maps(x), y, weight=weight, residual=y)
    np.testing.assert_allclose(y.read(), reference.run(x[None], weight, None, spec)[0] + added, atol=1e-5)


def test_outputs_may_be_some_pixels_of_larger_maps(bench, rng):
    values, weight = (rng.normal(size=size).astype(np.float32) for size in ((8, 5, 6), (21, 8, 1, 1)))
    for start, step in (((0, 0), (2, 2)), ((1, 2), (2, 3)), ((0, 1), (1, 2))):
        whole = bench.empty(21, (5 - 1) * step[0] + 1 + start[0], (6 - 1) * step[1] + 1 + start[1], (1, 0, 2, 0))
        y = replace(whole, layout=whole.layout.every(start, step))
        spec = ConvSpec.of((1, 8, 5, 6), weight.shape)
        x = bench.maps(values)
        tile = default_tile(spec, bench.target)
        bench.run(Direct(spec, x.layout, y.layout, Epilogue(), tile), x, y, weight=weight)
        wanted = reference.run(values[None], weight, None, spec)[0]
        every = (slice(start[0], None, step[0]), slice(start[1], None, step[1]))
        got = whole.inner()[:, *every].transpose(0, 3, 1, 2).reshape(-1, 5, 6)[:21]
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        whole.inner()[:, *every] = np.nan
        assert np.isnan(whole.buffer.array).all()


def test_the_grid_can_be_done_in_any_parts(target, make_bench, rng):
    bench = make_bench(target)
    spec = ConvSpec.of((1, 16, 13, 13), (80, 16, 3, 3), padding=1)

    def units(a, b):
        return [(i, i + 1, j, j + 1) for j in reversed(range(b)) for i in reversed(range(a))]

    check(bench, rng, spec, tile=Tile(2, 3, 2), parts=units)
    check(bench, rng, spec, tile=Tile(1, 5, 2, band=3), parts=lambda a, b: [(0, a, 0, b // 2), (0, a, b // 2, b)])


@pytest.mark.parametrize("groups", [1, 2])
def test_bands_change_nothing(target, make_bench, rng, groups):
    bench = make_bench(target)
    spec = ConvSpec.of((1, 32, 9, 7), (64, 32 // groups, 1, 1), groups=groups)
    for band in (0, 1, 4, 100):
        check(bench, rng, spec, tile=Tile(1, 3, 2, band), extra=band % 2)


sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
small = st.tuples(st.integers(1, 4), st.integers(1, 4))
steps = st.tuples(st.integers(1, 3), st.integers(1, 3))
pairs = st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3)))


@st.composite
def specs(draw):
    channels = draw(st.tuples(st.integers(1, 40), st.integers(1, 70)))
    arguments = {"stride": draw(steps), "padding": draw(pairs), "dilation": draw(steps)}
    kernel = draw(small)
    needed = [
        d * (k - 1) + 1 - sum(p) for k, d, p in zip(kernel, arguments["dilation"], arguments["padding"], strict=True)
    ]
    size = tuple(max(n, m) for n, m in zip(draw(sizes), needed, strict=True))
    return ConvSpec.of((1, channels[0], *size), (channels[1], channels[0], *kernel), **arguments)


def test_any_convolution_is_the_definition(target, make_bench):

    bench = make_bench(target)

    @settings(max_examples=12)
    @given(specs())
    def any_of(spec):
        check(bench, np.random.default_rng(0), spec)

    any_of()


def test_every_candidate_gives_the_same_numbers(target, make_bench, rng):
    bench = make_bench(target)
    for x, weight, padding in (((1, 40, 6, 9), (70, 40, 3, 3), 1), ((1, 40, 7, 9), (70, 40, 1, 1), 0)):
        spec = ConvSpec.of(x, weight, padding=padding)
        for tile in candidates(spec, bench.target):
            check(bench, rng, spec, tile=tile)


ON_STACK = re.compile(r"\(%r[sb]p")
LABEL = re.compile(r"^(\.LBB\w+):")


def innermost_loops(lines):
    """Give the instructions of every loop that has none inside: from a label to the jump back to it."""
    for i, line in enumerate(lines):
        if label := LABEL.match(line):
            for j in range(i + 1, len(lines)):
                if LABEL.match(lines[j]):
                    break
                if re.search(rf"\tj\w+\t{re.escape(label[1])}\b", lines[j]):
                    yield lines[i + 1 : j]
                    break


HOT = [
    ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ((1, 256, 56, 56), (64, 256, 1, 1), {}),
    ((1, 128, 28, 28), (128, 128, 3, 3), {"padding": 1, "stride": 2}),
    ((1, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    ((1, 2048, 7, 7), (512, 2048, 1, 1), {}),
]


@pytest.mark.parametrize("shape", HOT, ids=lambda shape: "x".join(map(str, shape[0] + shape[1])))
def test_no_vector_leaves_its_register_in_the_innermost_loops(target, shape):
    x, weight, arguments = shape
    spec = ConvSpec.of(x, weight, **arguments)
    layouts = (
        Blocked(spec.in_channels, *spec.in_size, target.lanes, border_read(spec)),
        Blocked(spec.out_channels, *spec.out_size, target.lanes),
    )
    tile = default_tile(spec, target)
    kernel = Direct(spec, *layouts, Epilogue(bias=True, activation="relu"), tile)
    text = assembly(module(kernel.functions(target), target), target)
    loops = [loop for loop in innermost_loops(text.splitlines()) if any("mm" in line for line in loop)]
    products = max(sum("fmadd" in line or "mulps" in line for line in loop) for loop in loops)
    assert products == 4 * tile.pixels * tile.vectors
    assert [line for loop in loops for line in loop if ON_STACK.search(line)] == []


def test_it_says_what_it_does_not_take():
    assert "transposed" in why_not(ConvSpec.of((1, 4, 4, 4), (4, 4, 3, 3), transposed=True), host())
    assert "3" in why_not(ConvSpec.of((1, 4, 4, 4, 4), (4, 4, 3, 3, 3)), host())
    depthwise = ConvSpec.of((1, 4, 4, 4), (4, 1, 3, 3), groups=4)
    assert "4 groups hold 1 input" in why_not(depthwise, host())
    lanes = host().lanes
    layout, smaller = Blocked(4, 4, 4, lanes), Blocked(4, 2, 2, lanes)
    with pytest.raises(Unsupported, match="4 groups"):
        Direct(depthwise, layout, smaller, PLAIN, Tile(1, 1, 1)).functions(host())


def test_a_layout_that_does_not_fit_is_refused():
    lanes = host().lanes
    spec = ConvSpec.of((1, 4, 4, 4), (4, 4, 3, 3), padding=1)
    with pytest.raises(InvalidSpec, match="reads"):
        Direct(spec, Blocked(4, 4, 4, lanes), Blocked(4, 4, 4, lanes), PLAIN, Tile(1, 1, 1))
    with pytest.raises(InvalidSpec, match="wanted"):
        Direct(spec, Blocked(4, 4, 4, lanes, (1, 1, 1, 1)), Blocked(5, 4, 4, lanes), PLAIN, Tile(1, 1, 1))


def test_equal_kernels_have_one_name_whatever_the_batch():
    lanes = host().lanes
    layout = Blocked(4, 4, 4, lanes)
    one, two = (Direct(ConvSpec.of((n, 4, 4, 4), (4, 4, 1, 1)), layout, layout, PLAIN, Tile(1, 1, 1)) for n in (1, 2))
    assert one == two
    assert one.name == two.name
