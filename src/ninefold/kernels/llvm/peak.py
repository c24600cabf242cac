"""How fast a processor multiplies and adds while nothing holds it up: the measure that kernels are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, final

from ninefold.kernels.llvm.kernel import Kernel, build
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.text import Function

if TYPE_CHECKING:
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value

_ROUNDS: Final = 20_000  # a tenth of a millisecond
_UNITS: Final = 8  # per thread
_TRIES: Final = 5


@final
@dataclass(frozen=True)
class Peak(Kernel):
    """sum = factor * sum + summand, `rounds` times, in so many registers that none waits for its last result.

    The grid is (units, 1); a unit writes the total of its sums, one vector, to y.

    Args:
        units: >= 1.
        rounds: >= 1.
    """

    units: int
    rounds: int = _ROUNDS

    @property
    def grid(self) -> tuple[int, int]:
        """Give the units."""
        return self.units, 1

    def flops(self, target: Target) -> int:
        """Count multiplications and additions of all units."""
        return 2 * target.lanes * _sums(target) * self.rounds * self.units

    def functions(self, target: Target) -> list[Function]:
        """Write the loop."""
        f = Function.entry(self.name, target)
        f.loop(f["a0"], f["a1"], lambda a, _: self._unit(f, a))
        return [f]

    def _unit(self, f: Function, a: Value) -> None:
        factor, summand = f.constant(0.5), f.constant(1.0)
        starts = [f.constant(float(i)) for i in range(_sums(f.target))]
        sums = f.loop(0, self.rounds, lambda _, sums: [f.fma(each, factor, summand) for each in sums], starts)
        total = sums[0]
        for each in sums[1:]:
            total = f.arithmetic("fadd", total, each)
        f.store(total, f["y"], f.mul(a, f.lanes))


@final
class PeakMeter:
    """Measures the FMA peak of this machine, again whenever it is asked: a processor's clock changes.

    Args:
        threads: that compute at once, >= 1.

    >>> PeakMeter(threads=1).gflops() > 0
    True
    """

    def __init__(self, threads: int) -> None:
        target = host()
        kernel = Peak(_UNITS * threads)
        self._flops = kernel.flops(target)
        self._library = build([kernel], target)
        self._totals = buffer(kernel.units * target.lanes)
        step = Step(self._library.addresses[kernel.name], kernel.grid, y=self._totals.ctypes.data, chunk=(1, 1))
        self._plan = Plan([step], threads)

    def gflops(self) -> float:
        """Give the largest of a few rates, in 10^9 multiplications and additions per second."""
        return max(self._rate() for _ in range(_TRIES))

    def _rate(self) -> float:
        start = perf_counter()
        self._plan.run()
        return self._flops / (perf_counter() - start) / 1e9


def _sums(target: Target) -> int:
    return target.registers * 3 // 4
