"""Choosing a layer's kernel by measuring several, once per machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from math import prod
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Final, final

from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.elementwise import Elementwise
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.winograd import WinogradConv
from ninefold.storage import Choices, cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ninefold.kernels.llvm.kernel import Kernel
    from ninefold.kernels.llvm.memory import Float32
    from ninefold.kernels.llvm.plan import Plan
    from ninefold.kernels.llvm.target import Target

    Timer = Callable[["Trial"], list[float]]

SECONDS: Final = 40.0  # for all layers of a program; the rules choose for those left
_ROUNDS: Final = 6
_HOPELESS: Final = 1.4  # times the best of the first round: measured once
_CLEARLY: Final = 0.97  # of the rule's time: what is not better than that may be noise
_EVICTED: Final = 2**23  # numbers, 32 MiB: more than a second cache holds


@dataclass(frozen=True, slots=True)
class Trial:
    """Plans that compute one layer, each with another kernel.

    Args:
        plans: at least one, the rule's first.
        maps: what they read and write, but for weights.
        owner: what keeps the rest of their memory.
    """

    plans: Sequence[Plan]
    maps: Sequence[Float32]
    owner: object


@final
class Tuner:
    """Picks the kernel of each layer of one program.

    What was picked is kept in `tuned.json` in the cache folder, by processor, threads and the candidates themselves,
    whose fields say layer, layouts, epilogue and tile.

    Args:
        target: the processor.
        timed: gives the seconds of a trial's plans; None for `least_seconds`.
        seconds: after which nothing more is measured.
    """

    def __init__(self, target: Target, timed: Timer | None = None, seconds: float = SECONDS) -> None:
        self._target, self._timed = target, timed or least_seconds
        self._end = monotonic() + seconds
        self._known = _choices_in(cache_folder())

    def pick(self, kernels: Sequence[Kernel], setting: tuple[object, ...], trial: Callable[[], Trial]) -> Kernel | None:
        """Give the quickest kernel, or the first where no other is clearly quicker; None if there was no time.

        Args:
            kernels: that compute the same, the rule's first.
            setting: (pictures, threads) of the plans, and kernels that run before the first one in its plan.
            trial: makes one plan per kernel.
        """
        key = self._key(kernels, setting)
        names = {kernel.name: kernel for kernel in kernels}
        known = names.get(self._known.get(key) or "")
        if known or monotonic() > self._end:
            return known
        seconds = self._timed(trial())
        best = min(range(len(kernels)), key=seconds.__getitem__)
        kernel = kernels[best if seconds[best] < _CLEARLY * seconds[0] else 0]
        self._known.put(key, kernel.name)
        return kernel

    def _key(self, kernels: Sequence[Kernel], setting: tuple[object, ...]) -> str:
        parts = (self._target.cpu, self._target.features, setting, *kernels)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def packed_size(kernel: Kernel, shape: tuple[int, ...], lanes: int) -> int:
    """Give how many numbers weights are at most, once a kernel has packed them.

    Args:
        kernel: of any family that has weights.
        shape: (O, C / groups, KH, KW) of the weights, (C,) of factors.
        lanes: of the kernel's vectors.
    """
    blocks = -(-shape[0] // lanes)
    if isinstance(kernel, Depthwise | Elementwise):
        return blocks * lanes * prod(shape[1:])
    in_channels, *window = shape[1:]
    taps = (kernel.tile.outputs + 2) ** 2 if isinstance(kernel, WinogradConv) else prod(window)
    return blocks * lanes * -(-in_channels // lanes) * lanes * taps


def least_seconds(trial: Trial) -> list[float]:
    """Time plans in turn and give the least time of each.

    Before every call the near caches are filled with other numbers and then with scratch memory and the maps, as a
    layer finds them in a network: what it reads was just computed, and its weights are far away.
    """
    for plan in trial.plans:
        plan.run()  # its code and its memory are there
    seconds = [_cold(trial, i) for i in range(len(trial.plans))]
    hopeful = [i for i, each in enumerate(seconds) if each <= _HOPELESS * min(seconds) or i == 0]
    for _ in range(1, _ROUNDS):
        for i in hopeful:
            seconds[i] = min(seconds[i], _cold(trial, i))
    return seconds


def _cold(trial: Trial, index: int) -> float:
    plan = trial.plans[index]
    for numbers in (_other_numbers(), plan.scratch, *trial.maps):
        numbers.max(initial=0.0)
    start = perf_counter()
    plan.run()
    return perf_counter() - start


@cache
def _other_numbers() -> Float32:
    numbers = buffer(_EVICTED)
    numbers.fill(1.0)
    return numbers


@cache
def _choices_in(folder: Path) -> Choices:
    return Choices(folder / "tuned.json")
