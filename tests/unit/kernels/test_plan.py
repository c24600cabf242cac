"""A plan computes its steps in order, every part of every picture once, whatever the number of threads."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.kernel import Kernel, build
from ninefold.kernels.llvm.memory import HUGE, buffer, copied
from ninefold.kernels.llvm.plan import Plan, Step, chunk
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.text import Function

LANES = host().lanes


@dataclass(frozen=True)
class Turned(Kernel):
    """y[a, b] += x[rows - 1 - a, columns - 1 - b] * weight + bias, of vectors; scratch holds the product."""

    rows: int
    columns: int

    @property
    def grid(self):
        return self.rows, self.columns

    @property
    def scratch(self):
        return LANES

    def functions(self, target):
        f = Function.entry(self.name, target)

        def at(a, b):
            return f.mul(f.add(f.mul(a, self.columns), b), LANES)

        def compute(a, b):
            turned = at(f.add(f.mul(a, -1), self.rows - 1), f.add(f.mul(b, -1), self.columns - 1))
            f.store(f.arithmetic("fmul", f.load(f["x"], turned), f.load(f["weight"])), f["scratch"])
            changed = f.arithmetic("fadd", f.load(f["scratch"]), f.load(f["bias"]))
            f.store(f.arithmetic("fadd", changed, f.load(f["y"], at(a, b))), f["y"], at(a, b))

        f.loop(f["a0"], f["a1"], lambda a, _: f.loop(f["b0"], f["b1"], lambda b, _: compute(a, b)) and None)
        return [f]


class Relay:
    """Steps that pass a batch to and fro between two buffers, turned every time: each reads what the last wrote."""

    def __init__(self, rows, columns, pictures, steps):
        kernel = Turned(rows, columns)
        self.library = build([kernel], host())
        self.shape = (pictures, rows, columns, LANES)
        size = 4 * rows * columns * LANES
        self.weight, self.bias = copied(np.full(LANES, 0.5)), copied(np.arange(LANES))
        self.start = np.random.default_rng(0).standard_normal((2, *self.shape)).astype(np.float32)
        self.buffers = copied(self.start[0]), copied(self.start[1])
        self.steps = [
            Step(
                self.library.addresses[kernel.name],
                kernel.grid,
                x=self.buffers[step % 2].ctypes.data,
                weight=self.weight.ctypes.data,
                bias=self.bias.ctypes.data,
                y=self.buffers[1 - step % 2].ctypes.data,
                pictures=pictures,
                strides=(size, size, 0),
                scratch=kernel.scratch,
            )
            for step in range(steps)
        ]

    def run(self, plan):
        for values, start in zip(self.buffers, self.start, strict=True):
            values[:] = start.ravel()
        plan.run()
        return [values.reshape(self.shape).copy() for values in self.buffers]

    def wanted(self):
        maps = [start.copy() for start in self.start]
        for step in range(len(self.steps)):
            maps[1 - step % 2] += maps[step % 2][:, ::-1, ::-1] * np.float32(0.5) + self.bias
        return maps


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_steps_run_in_order_over_every_picture(threads):
    relay = Relay(7, 9, pictures=3, steps=30)
    plan, wanted = Plan(relay.steps, threads), relay.wanted()
    for _ in range(50):
        np.testing.assert_array_equal(relay.run(plan), wanted)


@settings(max_examples=60, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    part=st.one_of(st.none(), st.tuples(st.integers(1, 15), st.integers(1, 15))),
    pictures=st.integers(1, 4),
    threads=st.integers(1, 5),
)
def test_every_way_to_cut_a_grid_computes_all_of_it_once(grid, part, pictures, threads):
    relay = Relay(*grid, pictures, steps=3)
    steps = [replace(step, chunk=part) for step in relay.steps]
    np.testing.assert_array_equal(relay.run(Plan(steps, threads)), relay.wanted())


def test_steps_that_do_not_wait_may_run_beside_each_other_and_the_next_waits_for_all():
    relays = [Relay(40, 3, pictures=1, steps=2) for _ in range(2)]
    first = [replace(r.steps[0], waits=False) for r in relays]
    plan = Plan([*first, *(relay.steps[1] for relay in relays)], threads=2)
    for _ in range(200):
        for relay in relays:
            for values, start in zip(relay.buffers, relay.start, strict=True):
                values[:] = start.ravel()
        plan.run()
        for relay in relays:
            np.testing.assert_array_equal([b.reshape(relay.shape) for b in relay.buffers], relay.wanted())


@given(grid=st.tuples(st.integers(1, 99), st.integers(1, 99)), pictures=st.integers(1, 9), threads=st.integers(1, 9))
def test_a_chunk_is_no_larger_than_the_grid_and_small_enough_for_all_threads(grid, pictures, threads):
    part = chunk(grid, pictures, threads)
    assert all(1 <= size <= units for size, units in zip(part, grid, strict=True))
    chunks = pictures * -(-grid[0] // part[0]) * -(-grid[1] // part[1])
    assert chunks >= min(threads, pictures * grid[0] * grid[1])


def test_kernels_count_denormals_as_zero_and_nobody_else_does():
    relay = Relay(1, 1, pictures=1, steps=1)
    relay.bias[:] = 0
    relay.start[0], relay.start[1] = 1e-39, 0
    for threads in (1, 2):
        assert not relay.run(Plan(relay.steps, threads))[1].any()
        assert (relay.start[0] * np.float32(0.5)).all()


@pytest.mark.parametrize(("steps", "threads"), [(0, 1), (1, 0)])
def test_an_empty_plan_is_refused(steps, threads):
    relay = Relay(1, 1, pictures=1, steps=steps)
    with pytest.raises(InvalidInput, match=f"a plan of {steps} steps for {threads} threads came"):
        Plan(relay.steps, threads)


@pytest.mark.parametrize("numbers", [1, 17, HUGE // 4, HUGE // 4 + 1])
def test_a_buffer_is_aligned_zeros_of_its_own(numbers):
    one, other = buffer(numbers), buffer(numbers)
    one[:] = 1
    assert one.size == numbers
    assert not other.any()
    assert one.ctypes.data % 64 == 0
