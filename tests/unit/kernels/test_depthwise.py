"""The depthwise kernel against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.compiled import assembly
from ninefold.kernels.llvm.depthwise import Depthwise, Strip, candidates, default_strip, why_not
from ninefold.kernels.llvm.direct import border_read
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.module import module
from ninefold.kernels.llvm.target import host
from ninefold.spec import ConvSpec

PLAIN = Epilogue()
FULL = Epilogue(bias=True, residual=True, activation="sigmoid")


def convolution(channels, size, kernel, **arguments):
    return ConvSpec.of((1, channels, *size), (channels, 1, *kernel), groups=channels, **arguments)


def check(bench, rng, spec, *, strip=None, epilogue=PLAIN, extra=0, parts=None):
    x = rng.normal(size=spec.input_shape[1:]).astype(np.float32)
    weight = rng.normal(size=spec.weight_shape).astype(np.float32)
    bias = rng.normal(size=spec.out_channels).astype(np.float32) if epilogue.bias else None
    added = rng.normal(size=spec.output_shape[1:]).astype(np.float32) if epilogue.residual else None
    maps = bench.maps(x, tuple(zeros + extra for zeros in border_read(spec)))
    y = bench.empty(spec.out_channels, *spec.out_size, (extra, 0, 0, extra))
    residual = None if added is None else bench.maps(added, (0, extra, extra, 0))
    kernel = Depthwise(
        spec, maps.layout, y.layout, epilogue, strip or default_strip(spec, bench.target), residual and residual.layout
    )
    bench.run(kernel, maps, y, weight=weight, bias=bias, residual=residual, parts=parts and parts(*kernel.grid))
    wanted = reference.run(x[None].astype(np.float64), weight.astype(np.float64), bias, spec)[0]
    wanted = wanted if added is None else wanted + added
    wanted = reference.sigmoid(wanted) if epilogue.activation == "sigmoid" else wanted
    np.testing.assert_allclose(y.read(), wanted, rtol=1e-5, atol=2e-6 * weight[0].size ** 0.5)
    assert y.border_is(np.nan)


EDGES = {
    "3x3": (20, (9, 10), (3, 3), {"padding": 1}),
    "3x3 at stride 2": (16, (9, 12), (3, 3), {"padding": 1, "stride": 2}),
    "5x5": (33, (14, 14), (5, 5), {"padding": 2}),
    "5x5 at stride 2": (4, (15, 14), (5, 5), {"padding": 2, "stride": 2}),
    "7x7": (8, (7, 7), (7, 7), {"padding": 3}),
    "dilated": (18, (11, 13), (3, 3), {"padding": (2, 3), "dilation": (2, 3)}),
    "one pixel": (1, (1, 1), (1, 1), {}),
    "one output": (5, (3, 4), (3, 4), {}),
    "a row": (6, (1, 40), (1, 9), {"padding": (0, 4)}),
    "a column": (6, (40, 1), (9, 1), {"padding": (4, 0)}),
    "padding per side": (7, (6, 5), (2, 3), {"padding": ((0, 1), (2, 0)), "stride": (1, 2)}),
    "stride larger than the kernel": (3, (8, 9), (2, 2), {"stride": 3}),
}


@pytest.mark.parametrize("case", EDGES)
def test_it_is_the_definition(bench, rng, case):
    *shape, arguments = EDGES[case]
    check(bench, rng, convolution(*shape, **arguments))


@pytest.mark.parametrize("extra", [0, 2])
def test_the_epilogue_comes_last_and_keeps_what_fills_up(bench, rng, extra):
    spec = convolution(21, (8, 9), (3, 3), padding=1)
    for strip in (Strip(3, 2, holds_weights=True), Strip(1, 4, holds_weights=False)):
        check(bench, rng, spec, strip=strip, epilogue=FULL, extra=extra)


def test_the_grid_can_be_done_in_any_parts(bench, rng):
    def units(a, b):
        return [(i, i + 1, j, j + 1) for j in reversed(range(b)) for i in reversed(range(a))]

    check(bench, rng, convolution(40, (10, 7), (3, 3), padding=1), epilogue=FULL, parts=units)


def test_every_candidate_gives_the_same_numbers(target, make_bench, rng):
    for kernel, stride in ((3, 1), (3, 2), (5, 1)):
        spec = convolution(20, (13, 18), (kernel, kernel), stride=stride, padding=kernel // 2)
        strips = candidates(spec, target)
        assert strips[0] == default_strip(spec, target)
        for strip in strips:
            check(make_bench(target), rng, spec, strip=strip)


def test_any_depthwise_convolution_is_the_definition(target, make_bench):
    bench = make_bench(target)
    two = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernels = st.tuples(st.integers(1, 6), st.integers(1, 6))
    pair = st.tuples(st.integers(0, 4), st.integers(0, 4))
    strips = st.builds(Strip, st.integers(1, 3), st.integers(1, 5), st.booleans())
    sizes = st.tuples(st.integers(16, 20), st.integers(16, 20))

    @settings(max_examples=12)
    @given(st.integers(1, 40), sizes, kernels, two, two, st.tuples(pair, pair), strips)
    def any_of(channels, size, kernel, stride, dilation, padding, strip):
        spec = convolution(channels, size, kernel, stride=stride, dilation=dilation, padding=padding)
        check(bench, np.random.default_rng(0), spec, strip=strip)

    any_of()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
def test_no_vector_leaves_its_register(target, size, stride):
    spec = convolution(64, (28, 28), (size, size), stride=stride, padding=size // 2)
    layouts = (
        Blocked(64, *s, target.lanes, b) for s, b in ((spec.in_size, border_read(spec)), (spec.out_size, (0,) * 4))
    )
    kernel = Depthwise(spec, *layouts, Epilogue(bias=True, activation="relu"), default_strip(spec, target))
    text = assembly(module(kernel.functions(target), target), target)
    assert "mul" in text or "fmadd" in text
    assert not re.search(r"v?mov[au]ps\s+.*\(%r[sb]p", text)


def test_it_says_what_it_does_not_take():
    lanes = host().lanes
    multiplied = ConvSpec.of((1, 4, 9, 9), (8, 1, 3, 3), groups=4)
    assert "out_channels=8" in why_not(multiplied)
    assert "transposed" in why_not(ConvSpec.of((1, 4, 9, 9), (4, 1, 3, 3), groups=4, transposed=True))
    assert "spatial axes" in why_not(ConvSpec.of((1, 4, 9), (4, 1, 3), groups=4))
    assert why_not(convolution(4, (9, 9), (3, 3))) is None
    with pytest.raises(Unsupported, match="out_channels=8"):
        Depthwise(multiplied, Blocked(4, 9, 9, lanes), Blocked(8, 7, 7, lanes), PLAIN, Strip(1, 1, holds_weights=True))


def test_a_border_too_narrow_is_refused():
    layout = Blocked(4, 9, 9, host().lanes)
    with pytest.raises(InvalidSpec, match="reads"):
        Depthwise(convolution(4, (9, 9), (3, 3), padding=1), layout, layout, PLAIN, Strip(1, 1, holds_weights=True))
