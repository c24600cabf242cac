"""Sums over pairs of rows against loops over the pairs, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.depthwise_pairs import DepthwisePairGradient, DepthwisePairSum
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.pair_gradient import PairGradient
from ninefold.kernels.llvm.pair_table import BIN, pair_table
from ninefold.kernels.llvm.pairs import PairSum
from ninefold.kernels.llvm.target import host, narrowed
from ninefold.reference import Rulebook

CHANNELS = [(1, 1), (4, 16), (13, 20), (16, 16), (30, 33), (32, 32), (33, 64), (64, 100), (7, 144)]


def drawn(rng, rows=(1500, 1200), offsets=5):
    """Draw lists that increase on both sides, an empty one among them."""
    counts = [0, *rng.integers(1, min(rows), offsets - 1)]
    return [tuple(np.sort(rng.choice(n, count, replace=False)).astype(np.int32) for n in rows) for count in counts]


def laid_out(rules, rows):
    """Give the table, and what it points to."""
    sides = tuple(np.concatenate(side) for side in zip(*rules, strict=True))
    table = pair_table(rows, sides, np.cumsum([0, *(len(i) for i, _ in rules)]), mirrored=False)
    return table.numbers, (table, sides)


def padded(width, lanes):
    return -(-width // lanes) * lanes


def book(rules, rows):
    pairs = tuple(tuple(zip(i.tolist(), o.tolist(), strict=True)) for i, o in rules)
    return Rulebook(((0,),) * rows, pairs)


@pytest.mark.parametrize(("in_channels", "out_channels"), CHANNELS)
@pytest.mark.parametrize("epilogue", [Epilogue(), Epilogue(bias=True, activation="relu")], ids=["plain", "bias, relu"])
def test_sums_are_those_of_the_definition(bench, rng, in_channels, out_channels, epilogue):
    rows, rules = (1500, 1200), drawn(rng)
    x, weight, bias = (
        rng.normal(size=s) for s in ((rows[0], in_channels), (5, in_channels, out_channels), out_channels)
    )
    width = padded(out_channels, bench.target.lanes)
    kernel = PairSum(in_channels, width, bench.target.lanes, epilogue)
    numbers = [bench.numbers(values) for values in (x, kernel.pack(weight), np.pad(bias, (0, width - out_channels)))]
    y = bench.numbers(np.full((rows[1], width), np.nan))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    for part in ((2, 5), (0, 2)):
        fn(*(n.first for n in numbers), y.first, addresses.ctypes.data, None, *part, 0, 1)
    wanted = reference.sparse_convolve(x, weight, bias if epilogue.bias else None, book(rules, rows[1]))
    wanted = np.maximum(wanted, 0) if epilogue.activation == "relu" else wanted
    ours = y.buffer.array.reshape(rows[1], width)
    np.testing.assert_allclose(ours[:, :out_channels], wanted, rtol=1e-5, atol=1e-4)
    assert not ours[:, out_channels:].any()
    assert kept


@pytest.mark.parametrize(("in_channels", "out_channels"), CHANNELS)
def test_gradients_are_those_of_the_definition(bench, rng, in_channels, out_channels):
    rows, rules = (1500, 1200), drawn(rng)
    x, dy = rng.normal(size=(rows[0], in_channels)), rng.normal(size=(rows[1], out_channels))
    width = padded(out_channels, bench.target.lanes)
    kernel = PairGradient(in_channels, width, bench.target.lanes)
    numbers = [bench.numbers(values) for values in (x, np.pad(dy, ((0, 0), (0, width - out_channels))))]
    dw = bench.numbers(np.full((5, in_channels, width), np.nan))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    runs = kernel.runs(bench.target)
    for part in ((2, 5, 0, runs), (0, 2, 0, 1), *([(0, 2, 1, runs)] if runs > 1 else [])):
        fn(*(n.first for n in numbers), None, dw.first, addresses.ctypes.data, None, *part)
    wanted = reference.sparse_weight_gradient(x, dy, book(rules, rows[1]))
    ours = dw.buffer.array.reshape(5, in_channels, width)[:, :, :out_channels]
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-3)
    assert kept


def in_pairs(values):  # (..., C) -> (..., C / 2)
    """Put two bfloat16 numbers in the place of a float32 one; they must not need rounding."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.float32)


def apart(numbers):  # (..., C / 2) -> (..., C)
    return (numbers.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(2, 16), (16, 16), (30, 33), (32, 32), (66, 64), (6, 144)])
@pytest.mark.parametrize("scaled", [False, True])
def test_bfloat16_rows_are_summed_in_float32_and_rounded_once(make_bench, rng, in_channels, out_channels, scaled):
    if not host().has_bf16:
        pytest.skip(f"{host().cpu} multiplies no bfloat16 numbers")
    bench, rows, rules, width = make_bench(host()), (1500, 1200), drawn(rng), padded(out_channels, 16)
    sizes = ((rows[0], in_channels), (5, in_channels, out_channels), (2, out_channels))
    x, weight, ending = (rng.integers(-127, 128, size) / 64 for size in sizes)
    epilogue = Epilogue(bias=True, activation="relu") if scaled else Epilogue()
    kernel = PairSum(in_channels, width, 16, epilogue, scaled=scaled, halves=True)
    packed = kernel.pack(in_pairs(weight.transpose(0, 2, 1).copy()).transpose(0, 2, 1))
    last = np.pad(ending, ((0, 0), (0, width - out_channels)))
    numbers = [bench.numbers(values) for values in (in_pairs(x), packed, last)]
    y = bench.numbers(np.full((rows[1], width // 2), np.nan))
    scratch = bench.numbers(np.full(kernel.scratch, np.nan))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    for part in ((2, 5), (0, 2)):
        fn(*(n.first for n in numbers), y.first, addresses.ctypes.data, scratch.first, *part, 0, 1)
    wanted = reference.sparse_convolve(x, weight, None, book(rules, rows[1]))
    wanted = np.maximum(wanted * ending[1] + ending[0], 0) if scaled else wanted
    ours = apart(y.buffer.array.reshape(rows[1], width // 2))
    np.testing.assert_allclose(ours[:, :out_channels], wanted, rtol=2**-8, atol=1e-4)
    assert not ours[:, out_channels:].any()
    assert kept


@pytest.mark.parametrize(("in_channels", "out_channels"), [(16, 16), (30, 33), (32, 64), (66, 20), (18, 144)])
def test_gradients_of_bfloat16_rows_are_those_of_the_definition(make_bench, rng, in_channels, out_channels):
    if not host().has_bf16:
        pytest.skip(f"{host().cpu} multiplies no bfloat16 numbers")
    bench, rows, rules, width = make_bench(host()), (1500, 1200), drawn(rng), padded(out_channels, 16)
    x, dy = (rng.integers(-127, 128, size) / 64 for size in ((rows[0], in_channels), (rows[1], out_channels)))
    kernel = PairGradient(in_channels, width, 16, halves=True)
    filled = np.pad(dy, ((0, 0), (0, width - out_channels)))
    numbers = [bench.numbers(in_pairs(values)) for values in (x, filled)]
    dw, scratch = (bench.numbers(np.full(size, np.nan)) for size in ((5, in_channels, width), kernel.scratch))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    runs = kernel.runs(bench.target)
    for part in ((2, 5, 0, runs), (0, 2, 0, 1), *([(0, 2, 1, runs)] if runs > 1 else [])):
        fn(*(n.first for n in numbers), None, dw.first, addresses.ctypes.data, scratch.first, *part)
    wanted = reference.sparse_weight_gradient(x, dy, book(rules, rows[1]))
    ours = dw.buffer.array.reshape(5, in_channels, width)[:, :, :out_channels]
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-3)
    assert kept


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidSpec, match="20 output channels"):
        PairSum(4, 20, 16, Epilogue())
    with pytest.raises(InvalidSpec, match="blocks of"):
        PairSum(4, 32, 16, Epilogue()).functions(narrowed(4))
    with pytest.raises(InvalidSpec, match="without a bias"):
        PairSum(4, 32, 16, Epilogue(), scaled=True)
    with pytest.raises(InvalidSpec, match="wanted an even number"):
        PairSum(5, 32, 16, Epilogue(), halves=True)
    with pytest.raises(InvalidSpec, match="at least 16"):
        PairGradient(6, 32, 16, halves=True)
    with pytest.raises(InvalidSpec, match="multiplies none"):
        PairSum(4, 32, 4, Epilogue(), halves=True).functions(narrowed(4))
    with pytest.raises(InvalidSpec, match="16 input and 32 output"):
        DepthwisePairSum(16, 32, 16)


@pytest.mark.parametrize("relu", [False, True])
def test_sums_can_be_scaled_before_the_bias_is_added(bench, rng, relu):
    rows, rules, lanes = (1500, 1200), drawn(rng), bench.target.lanes
    x, weight, ending = (rng.normal(size=s) for s in ((rows[0], 8), (5, 8, 2 * lanes), (2, 2 * lanes)))
    kernel = PairSum(8, 2 * lanes, lanes, Epilogue(bias=True, activation="relu" if relu else "none"), scaled=True)
    numbers = [bench.numbers(values) for values in (x, kernel.pack(weight), ending)]
    y = bench.numbers(np.full((rows[1], 2 * lanes), np.nan))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    fn(*(n.first for n in numbers), y.first, addresses.ctypes.data, None, 0, 5, 0, 1)
    wanted = reference.sparse_convolve(x, weight, None, book(rules, rows[1])) * ending[1] + ending[0]
    ours = y.buffer.array.reshape(rows[1], -1)
    np.testing.assert_allclose(ours, np.maximum(wanted, 0) if relu else wanted, rtol=1e-5, atol=1e-4)
    assert kept


def test_the_bounds_of_a_mirrored_map_are_those_of_both_its_sides(rng):
    (pairs,) = drawn(rng, (3000, 3000), 2)[1:]
    table = pair_table(3000, pairs, (0, len(pairs[0])), mirrored=True)
    edges = np.arange(13) * BIN
    (forth, middle, back), every = table.lists
    assert forth.tolist() == np.searchsorted(pairs[1], edges).tolist()
    assert back.tolist() == np.searchsorted(pairs[0], edges).tolist()
    assert middle.tolist() == [*range(0, 3000, BIN), 3000]
    assert table.numbers[:5].tolist() == [3000, 3, *(side.ctypes.data for side in pairs), forth.ctypes.data]
    assert table.numbers[5:8].tolist() == [every.ctypes.data, every.ctypes.data, middle.ctypes.data]
    assert table.numbers[8:].tolist() == [*(side.ctypes.data for side in pairs[::-1]), back.ctypes.data]


def test_the_offsets_behind_the_middle_are_those_before_it_backwards(rng):
    rows = np.sort(rng.permutation(900).astype(np.int32).reshape(2, 450))
    table = pair_table(900, tuple(rows), (0, 200, 450), mirrored=True)
    forth, back = table.numbers[2:8].reshape(2, 3), table.numbers[11:].reshape(2, 3)
    assert back[:, :2].tolist() == forth[::-1, 1::-1].tolist()


@pytest.mark.parametrize("vectors", [1, 3, 8, 9])
def test_depthwise_sums_and_gradients_are_those_of_one_channel_after_the_other(bench, rng, vectors):
    rows, rules, channels = (1500, 1200), drawn(rng), vectors * bench.target.lanes
    x, weight, dy = (rng.normal(size=(n, channels)) for n in (rows[0], 5, rows[1]))
    kernels = [kind(channels, channels, bench.target.lanes) for kind in (DepthwisePairSum, DepthwisePairGradient)]
    numbers, grads = (bench.numbers(values) for values in (x, dy))
    y, dw = bench.numbers(np.full((rows[1], channels), np.nan)), bench.numbers(np.full((5, channels), np.nan))
    weights = bench.numbers(weight)
    addresses, kept = laid_out(rules, rows[1])
    library = build(kernels, bench.target)
    for part in ((2, 5), (0, 2)):
        library.kernel(kernels[0].name)(
            numbers.first, weights.first, None, y.first, addresses.ctypes.data, None, *part, 0, 1
        )
    for part in ((2, 5), (0, 2)):
        library.kernel(kernels[1].name)(
            numbers.first, grads.first, None, dw.first, addresses.ctypes.data, None, *part, 0, 1
        )
    wanted_y, wanted_dw = np.zeros((rows[1], channels)), np.zeros((5, channels))
    for k, (i, o) in enumerate(rules):
        wanted_y[o] += x[i] * weight[k]
        wanted_dw[k] = (x[i] * dy[o]).sum(axis=0)
    np.testing.assert_allclose(y.buffer.array.reshape(rows[1], channels), wanted_y, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(dw.buffer.array.reshape(5, channels), wanted_dw, rtol=1e-5, atol=1e-3)
    assert kept
