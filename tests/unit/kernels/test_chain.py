"""Chains of convolutions against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.chain import Chain, Middle, Part, why_not
from ninefold.kernels.llvm.depthwise import Strip
from ninefold.kernels.llvm.direct import Tile, border_read
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.target import host
from ninefold.spec import ConvSpec

PLAIN = Epilogue()
BIASED = Epilogue(bias=True, activation="sigmoid")  # what fills up a block would not stay zeros
FULL = Epilogue(bias=True, residual=True, activation="sigmoid")
STRIP = Strip(2, 3, holds_weights=True)
TILES = (Tile(1, 4, 2), Tile(1, 5, 2))


def specs(channels, size, *, before=None, kernel=(3, 3), **arguments):
    """Give three convolutions that follow each other; `channels` are those of all four maps."""
    first, hidden, _, last = channels
    lead = ConvSpec.of((1, first, *size), (hidden, first, *(before or (1, 1))), padding=(before or (1, 1))[0] // 2)
    middle = ConvSpec.of((1, hidden, *lead.out_size), (hidden, 1, *kernel), groups=hidden, **arguments)
    return lead, middle, ConvSpec.of((1, hidden, *middle.out_size), (last, hidden, 1, 1))


def chain_of(convs, layouts, band, epilogues, tiles=TILES):
    lead, middle, follow = convs
    before = lead and Part(lead, epilogues[0], tiles[0])
    behind = follow and Part(follow, epilogues[2], tiles[1])
    return Chain(before, Middle(middle, epilogues[1], STRIP), behind, band, *layouts)


def check(bench, rng, convs, *, band=2, epilogues=(PLAIN, PLAIN, PLAIN), planar=False, extra=0, parts=None):
    lanes = bench.target.lanes
    present = [(conv, epilogue) for conv, epilogue in zip(convs, epilogues, strict=True) if conv]
    first, (last, end) = present[0][0], present[-1]
    x = rng.normal(size=first.input_shape[1:]).astype(np.float32)
    weights = [rng.normal(size=conv.weight_shape).astype(np.float32) for conv, _ in present]
    biases = [rng.normal(size=conv.out_channels) if epilogue.bias else None for conv, epilogue in present]
    added = rng.normal(size=last.output_shape[1:]).astype(np.float32) if end.residual else None
    maps = bench.numbers(x) if planar else bench.maps(x, tuple(zeros + extra for zeros in border_read(first)))
    y = bench.empty(last.out_channels, *last.out_size, (extra, 0, 0, extra))
    residual = None if added is None else bench.maps(added, (0, extra, extra, 0))
    kernel = chain_of(convs, (maps.layout, y.layout, residual and residual.layout), band, epilogues)
    filled = [np.pad(bias, (0, -len(bias) % lanes)) for bias in biases if bias is not None]
    flat = np.concatenate([weight.ravel() for weight in weights])
    bias = np.concatenate(filled) if filled else None
    bench.run(kernel, maps, y, weight=flat, bias=bias, residual=residual, parts=parts and parts(*kernel.grid))
    wanted = x[None].astype(np.float64)
    for (conv, epilogue), weight, shift in zip(present, weights, biases, strict=True):
        wanted = reference.run(wanted, weight.astype(np.float64), shift, conv)
        wanted = wanted + added if epilogue.residual else wanted
        wanted = reference.sigmoid(wanted) if epilogue.activation == "sigmoid" else wanted
    np.testing.assert_allclose(y.read(), wanted[0], rtol=2e-5, atol=2e-6 * np.abs(wanted).max() + 1e-6)
    assert y.border_is(np.nan)


EDGES = {
    "an inverted residual": ((7, 20, 20, 9), (11, 10), {"padding": 1}),
    "at stride 2": ((16, 33, 33, 24), (13, 12), {"padding": 1, "stride": 2}),
    "5x5": ((3, 18, 18, 4), (12, 9), {"kernel": (5, 5), "padding": 2}),
    "dilated": ((4, 6, 6, 5), (15, 13), {"padding": (2, 3), "dilation": (2, 3)}),
    "no padding": ((5, 6, 6, 5), (9, 9), {}),
    "a window of one pixel": ((5, 6, 6, 5), (7, 6), {"kernel": (1, 1)}),
    "a stride past the window": ((5, 6, 6, 5), (11, 11), {"kernel": (2, 2), "stride": 3}),
    "more padding than a band": ((2, 5, 5, 3), (6, 7), {"kernel": (7, 3), "padding": (6, 1)}),
    "padding per side": ((4, 17, 17, 3), (7, 6), {"kernel": (2, 3), "padding": ((0, 1), (2, 0)), "stride": (1, 2)}),
    "one row": ((4, 5, 5, 3), (1, 8), {"padding": 1}),
}


@pytest.mark.parametrize("band", [1, 4])
@pytest.mark.parametrize("case", EDGES)
def test_it_is_the_definition(target, make_bench, rng, case, band):
    *shape, arguments = EDGES[case]
    check(make_bench(target), rng, specs(*shape, **arguments), band=band)


PARTS = {"all": (True, True), "no part behind": (True, False), "no part before": (False, True)}


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("parts", PARTS)
def test_epilogues_come_where_they_belong_and_keep_what_fills_up(bench, rng, parts, extra):
    lead, middle, follow = specs((5, 21, 21, 10), (9, 8), padding=1)
    has_before, has_behind = PARTS[parts]
    epilogues = (BIASED, BIASED if has_behind else FULL, FULL)
    check(
        bench,
        rng,
        (lead if has_before else None, middle, follow if has_behind else None),
        epilogues=epilogues,
        extra=extra,
    )


@pytest.mark.parametrize("planar", [False, True])
def test_any_convolution_can_stand_before(bench, rng, planar):
    convs = specs((3, 20, 20, 6), (10, 11), before=(3, 3), padding=1)
    check(bench, rng, convs, epilogues=(BIASED, BIASED, FULL), planar=planar)


def test_the_grid_can_be_done_in_any_parts(bench, rng):
    def ones(a, _):
        return [(i, i + 1, 0, 1) for i in reversed(range(a))]

    def pairs(a, _):
        return [(i, min(i + 2, a), 0, 1) for i in reversed(range(0, a, 2))]

    convs = specs((5, 20, 20, 9), (13, 7), padding=1)
    for parts in (ones, pairs):
        check(bench, rng, convs, epilogues=(BIASED, BIASED, FULL), parts=parts)


def test_any_chain_is_the_definition(target, make_bench):
    bench = make_bench(target)
    two = st.tuples(st.integers(1, 3), st.integers(1, 3))
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3))
    sizes = st.tuples(st.integers(9, 14), st.integers(9, 14))
    channels = st.tuples(st.integers(1, 20), st.integers(1, 40), st.just(0), st.integers(1, 40))

    @settings(max_examples=6)
    @given(channels, sizes, two, two, two, st.tuples(pair, pair), st.integers(1, 6))
    def any_of(channels, size, kernel, stride, dilation, padding, band):
        convs = specs(channels, size, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
        check(bench, np.random.default_rng(0), convs, band=band)

    any_of()


def test_what_it_does_not_take_is_said():
    lead, middle, follow = specs((4, 8, 8, 4), (9, 9), padding=1)
    assert why_not(lead, middle, follow) is None
    assert "at least two" in why_not(None, middle, None)
    assert "is depthwise" in why_not(lead, lead, follow)
    assert "dense" in why_not(middle, middle, None)
    assert "pointwise" in why_not(None, middle, middle)


def refused(message, layouts, epilogues=(PLAIN, PLAIN, PLAIN), *, before=True, tiles=TILES):
    lead, *others = specs((4, 8, 8, 4), (9, 9), padding=1)
    with pytest.raises((Unsupported, InvalidSpec), match=message):
        chain_of((lead if before else None, *others), layouts, 2, epilogues, tiles)


def test_a_wrong_chain_is_refused():
    layout = Blocked(4, 9, 9, host().lanes)
    refused("only its last part", (layout, layout), (FULL, PLAIN, PLAIN))
    refused("row by row", (layout, layout), tiles=(Tile(2, 4, 2), TILES[1]))
    refused("does not read planes", (None, layout), before=False)
    refused("layout of", (layout, replace(layout, width=8)))
    refused("border", (replace(layout, channels=8), layout), before=False)
