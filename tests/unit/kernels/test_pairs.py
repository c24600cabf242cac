"""Sums over pairs of rows against loops over the pairs, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.pairs import BLOCK, PairGradient, PairSum, table
from ninefold.kernels.llvm.target import narrowed
from ninefold.reference import Rulebook

CHANNELS = [(1, 1), (4, 16), (13, 20), (16, 16), (30, 33), (32, 32), (33, 64), (64, 100), (7, 144)]


def drawn(rng, rows=(1500, 1200), offsets=5):
    """Draw lists that increase on both sides, an empty one among them."""
    counts = [0, *rng.integers(1, min(rows), offsets - 1)]
    return [tuple(np.sort(rng.choice(n, count, replace=False)).astype(np.int32) for n in rows) for count in counts]


def laid_out(rules, rows):
    """Give the table, and what it points to."""
    edges = np.arange(-(-rows // BLOCK) + 1) * BLOCK
    kept = [(i, o, np.searchsorted(o, edges).astype(np.int32)) for i, o in rules]
    addresses = table(rows, [tuple(array.ctypes.data for array in three) for three in kept])
    return addresses, kept


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
    for part in ((1, 2), (0, 1)):
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
    dw = bench.numbers(np.zeros((5, in_channels, width)))
    addresses, kept = laid_out(rules, rows[1])
    fn = build([kernel], bench.target).kernel(kernel.name)
    for part in ((2, 5), (0, 2)):
        fn(*(n.first for n in numbers), None, dw.first, addresses.ctypes.data, None, *part, 0, 1)
    wanted = reference.sparse_weight_gradient(x, dy, book(rules, rows[1]))
    ours = dw.buffer.array.reshape(5, in_channels, width)[:, :, :out_channels]
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-3)
    assert kept


def test_rows_that_are_no_whole_vectors_are_refused():
    with pytest.raises(InvalidSpec, match="20 output channels"):
        PairSum(4, 20, 16, Epilogue())
    with pytest.raises(InvalidSpec, match="blocks of"):
        PairSum(4, 32, 16, Epilogue()).functions(narrowed(4))
