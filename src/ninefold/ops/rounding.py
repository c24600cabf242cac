"""How far engines are from the exact result, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ninefold.ops.engines import Native
from ninefold.ops.select import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ninefold.ops.engine import Engine
    from ninefold.spec import ConvSpec


class Rounding(NamedTuple):
    """The difference from the same convolution in float64.

    Args:
        largest: the largest one, in parts of the largest number of the result.
        rms: its root mean square, in parts of that of the result.
    """

    largest: float
    rms: float


def rounding(
    spec: ConvSpec, engines: Sequence[Engine[Any]] = ENGINES[:-1], seeds: Iterable[int] = range(4)
) -> dict[str, Rounding]:
    """Measure the rounding errors of engines on normally distributed float32 numbers on the CPU.

    Args:
        spec: the convolution; engines that refuse it are left out.
        engines: all but the reference, if none are named.
        seeds: of the draws; the worst of them counts.

    >>> from ninefold.spec import ConvSpec
    >>> found = rounding(ConvSpec.of((1, 32, 12, 12), (32, 32, 3, 3), padding=1))
    >>> found["winograd"].rms > found["direct"].rms > 1e-8
    True
    """
    able = [engine for engine in engines if engine.why_not(spec, torch.device("cpu"), torch.float32) is None]
    draws = [_draw(spec, able, seed) for seed in seeds]
    return {
        engine.name: Rounding(
            max(draw[engine.name].largest for draw in draws), max(draw[engine.name].rms for draw in draws)
        )
        for engine in able
    }


def _draw(spec: ConvSpec, engines: Iterable[Engine[Any]], seed: int) -> dict[str, Rounding]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(spec.input_shape, generator=generator)
    weight = torch.randn(spec.weight_shape, generator=generator)
    exact = Native().run(x.double(), weight.double(), None, spec)
    results = {engine.name: engine.run(x, engine.prepare(weight, spec), None, spec) for engine in engines}
    return {name: _between(result.double(), exact) for name, result in results.items()}


def _between(result: torch.Tensor, exact: torch.Tensor) -> Rounding:
    gap = result - exact
    return Rounding((gap.abs().max() / exact.abs().max()).item(), (gap.norm() / exact.norm()).item())
