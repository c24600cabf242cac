"""The FMA peak: a loop that nothing holds up."""

import re

import numpy as np
import pytest

from ninefold.kernels.llvm.compiled import assembly
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.module import module
from ninefold.kernels.llvm.peak import Peak, PeakMeter
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import host, narrowed


def widths():
    return [
        pytest.param(lanes, marks=pytest.mark.skipif(lanes > host().lanes, reason="no such vectors"))
        for lanes in (16, 8, 4)
    ]


@pytest.mark.parametrize("lanes", widths())
def test_the_loop_multiplies_and_adds_in_registers_only(lanes):
    target, kernel = narrowed(lanes), Peak(units=2)
    if not target.is_x86:
        pytest.skip("reads x86 assembly")
    lines = assembly(module(kernel.functions(target), target), target).splitlines()
    labels = [i for i, line in enumerate(lines) if re.match(r"\.?L?BB\d+_\d+:", line)]
    pieces = [lines[start:stop] for start, stop in zip(labels, [*labels[1:], len(lines)], strict=True)]
    hot = max(pieces, key=lambda piece: sum("mul" in line or "fmadd" in line for line in piece))
    products = [line for line in hot if "mul" in line or "fmadd" in line]
    assert len(products) == target.registers * 3 // 4
    assert not any("(" in line for line in products)


@pytest.mark.parametrize("lanes", widths())
def test_what_it_computes_is_what_it_counts(lanes):
    target, kernel = narrowed(lanes), Peak(units=3, rounds=5)
    library, totals = build([kernel], target), buffer(3 * lanes)
    Plan([Step(library.addresses[kernel.name], kernel.grid, y=totals.ctypes.data)], threads=1).run()
    sums = np.arange(target.registers * 3 // 4, dtype=np.float32)
    for _ in range(5):
        sums = sums * np.float32(0.5) + 1
    assert totals == pytest.approx(np.full(3 * lanes, sums.sum()), rel=1e-5)
    assert kernel.flops(target) == 2 * sums.size * lanes * 5 * 3


def test_two_threads_can_be_measured_too():
    assert 0 < PeakMeter(threads=2).gflops() < 1e5
