"""Keeping packed weights within a number of bytes: which layers give up the larger forms of Winograd's algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm import winograd_tile
from ninefold.kernels.llvm.direct import Direct
from ninefold.kernels.llvm.winograd import WinogradConv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ninefold.kernels.llvm.kernel import Kernel

_NOTHING: Final = 1.0  # products that a layer loses at least, so that gains can be compared where nothing is lost


@dataclass(frozen=True, slots=True)
class _Step:
    """What it means for a layer to make do with its next smaller weights."""

    layer: int
    to: int
    saved: int
    lost: float

    @property
    def gain(self) -> float:
        return self.saved / max(self.lost, _NOTHING)


def affordable(layers: Sequence[Mapping[Kernel, int]], numbers: int) -> list[int]:
    """Give how many numbers the weights of every layer may take at most, so that all take no more than allowed.

    As long as there are too many, the layer gives way that saves most numbers for the time it loses, by the estimates
    of `winograd_tile`. Where the smallest weights are too many together, each layer gets its smallest.

    Args:
        layers: for each one, the kernels that can compute it with the numbers that their weights take.
        numbers: that all weights may take together.
    """
    caps = [max(sizes.values()) for sizes in layers]
    while sum(caps) > numbers:
        steps = [_step(i, sizes, cap) for i, (sizes, cap) in enumerate(zip(layers, caps, strict=True))]
        best = max((step for step in steps if step), key=lambda step: step.gain, default=None)
        if best is None:
            break
        caps[best.layer] = best.to
    return caps


def _step(layer: int, sizes: Mapping[Kernel, int], cap: int) -> _Step | None:
    to = max((size for size in sizes.values() if size < cap), default=None)
    return None if to is None else _Step(layer, to, cap - to, _least(sizes, to) - _least(sizes, cap))


def _least(sizes: Mapping[Kernel, int], cap: int) -> float:
    return min(_cost(kernel) for kernel, size in sizes.items() if size <= cap)


def _cost(kernel: Kernel) -> float:
    if isinstance(kernel, WinogradConv):
        return winograd_tile.cost(kernel.spec, kernel.tile.outputs)
    return winograd_tile.direct_cost(kernel.spec) if isinstance(kernel, Direct) else 0.0
