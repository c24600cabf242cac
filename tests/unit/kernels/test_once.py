"""Steps that are computed once, in memory that earlier ones were computed in."""

from dataclasses import dataclass
from itertools import pairwise
from threading import Thread

import numpy as np
import pytest

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.kernel import Kernel, build
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.once import compute
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.text import Function

LANES = host().lanes


@dataclass(frozen=True)
class Doubled(Kernel):
    """y[a] = 2 x[a], of vectors, by way of scratch memory."""

    @property
    def grid(self):
        raise TypeError("as many as the caller says")

    def functions(self, target):
        f = Function.entry(self.name, target)

        def unit(a):
            x = f.load(f["x"], f.mul(a, LANES))
            f.store(f.arithmetic("fadd", x, x), f["scratch"])
            f.store(f.load(f["scratch"]), f["y"], f.mul(a, LANES))

        f.loop(f["a0"], f["a1"], lambda a, _: unit(a))
        return [f]


def doubled(units, steps, threads, scratch=LANES):
    """Give the first numbers of x and of y = 2 ** steps * x."""
    library = build([Doubled()], host())
    rows = [buffer(units * LANES) for _ in range(steps + 1)]
    rows[0][:] = np.arange(units * LANES)
    addresses = [row.ctypes.data for row in rows]
    entry = library.addresses[Doubled().name]
    compute([Step(entry, (units, 1), x, y=y, scratch=scratch) for x, y in pairwise(addresses)], threads)
    return rows[0], rows[-1]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_steps_of_one_call_are_nothing_to_the_next(threads):
    for units, steps, scratch in ((3, 2, LANES), (40, 2, LANES), (5, 2, 1000 * LANES), (7, 1, LANES), (9, 2, LANES)):
        x, y = doubled(units, steps, threads, scratch)
        np.testing.assert_array_equal(y, 2**steps * x)


def test_every_thread_has_its_own_memory():
    found = []

    def often():
        found.extend(np.array_equal(2 * x, y) for x, y in (doubled(50 + n, 1, 2) for n in range(100)))

    threads = [Thread(target=often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 300


def test_nothing_to_compute_is_refused():
    with pytest.raises(InvalidInput, match="0 steps"):
        compute([], 1)
