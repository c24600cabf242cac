"""The innermost kernel of every convolution: some pixels times some vectors of output channels, held in registers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

from ninefold.kernels.llvm.text import POINTER, Function

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Value

LINE: Final = 16  # float32 numbers in a cache line
ARGUMENTS: Final = ("x", "weight", "bias", "y", "residual", "ahead")


@dataclass(frozen=True, slots=True)
class Sum:
    """A part of what is summed up for one output: loops around a few taps.

    Args:
        start: offset of its first input from the pixel's own.
        loops: (count, step of the input) from the outermost to the innermost.
        taps: offsets of the inputs that one round of the innermost loop meets.
    """

    start: int
    loops: tuple[tuple[int, int], ...]
    taps: tuple[int, ...]

    @property
    def rounds(self) -> int:
        """How often the taps are met."""
        return prod(count for count, _ in self.loops)

    @property
    def length(self) -> int:
        """How many products one output gets from here."""
        return self.rounds * len(self.taps)


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where one pixel of the tile lies behind the tile's first one, in input, output and residual."""

    x: int
    y: int
    residual: int


@dataclass(frozen=True, slots=True)
class Micro:
    """y[p, o] = epilogue(sum over t of x[p + t] * weight[t, o]) for a tile of pixels p and vectors of channels o.

    All sums stay in registers. Per tap, the weights of `vectors` vectors are read one after the other, and one input
    number per pixel is spread over the lanes. The weights are read strictly in order.

    Args:
        pixels: of the tile.
        vectors: of output channels.
        sums: in the order of the weights.
        epilogue: applied before the sums are written.
        y_block: from a vector of the output to the next one.
        residual_block: the same, of the residual.
        filled: channels in the last vector, where the lanes behind them must stay zeros.
        prefetched: cache lines behind `ahead` to ask for in every round of the innermost loops.
    """

    pixels: tuple[Offsets, ...]
    vectors: int
    sums: tuple[Sum, ...]
    epilogue: Epilogue
    y_block: int
    residual_block: int
    filled: int | None = None
    prefetched: int = 0

    def function(self, name: str, target: Target) -> Function:
        """Write it."""
        f = Function(name, [(POINTER, argument) for argument in ARGUMENTS], target, internal=True)
        starts = [self.epilogue.start(f, f["bias"], v * f.lanes) for v in range(self.vectors)]
        sums = [start for _ in self.pixels for start in starts]
        state = [f["x"], f["weight"], f["ahead"], *sums]
        for part in self.sums:
            state[0] = f.at(f["x"], part.start)
            state = _nested(f, part.loops, state, lambda inner, part=part: self._round(f, part, inner))
        self._finish(f, state[3:])
        return f

    # --8<-- [start:round]
    def _round(self, f: Function, part: Sum, state: list[Value]) -> list[Value]:
        x, weight, ahead, *sums = state
        for line in range(self.prefetched):
            f.prefetch(ahead, line * LINE)
        for t, tap in enumerate(part.taps):
            weights = [f.load(weight, (t * self.vectors + v) * f.lanes) for v in range(self.vectors)]
            for p, pixel in enumerate(self.pixels):
                number = f.broadcast(x, pixel.x + tap)
                for v in range(self.vectors):
                    at = p * self.vectors + v
                    sums[at] = f.fma(number, weights[v], sums[at])
        read = len(part.taps) * self.vectors * f.lanes
        return [x, f.at(weight, read), f.at(ahead, self.prefetched * LINE), *sums]

    # --8<-- [end:round]

    def _finish(self, f: Function, sums: list[Value]) -> None:
        for p, pixel in enumerate(self.pixels):
            for v in range(self.vectors):
                at = pixel.residual + v * self.residual_block
                filled = self.filled if v == self.vectors - 1 else None
                value = self.epilogue.apply(f, sums[p * self.vectors + v], f["residual"], at, filled=filled)
                f.store(value, f["y"], pixel.y + v * self.y_block)


def _nested(
    f: Function,
    loops: tuple[tuple[int, int], ...],
    state: list[Value],
    body: Callable[[list[Value]], list[Value]],
) -> list[Value]:
    """Write loops around a body; the first value of the state is the input, which moves by each loop's step."""
    if not loops:
        return body(state)
    (count, step), inner = loops[0], loops[1:]
    if count == 1:
        return _nested(f, inner, state, body)

    def one(_: Value, carried: list[Value]) -> list[Value]:
        after = _nested(f, inner, carried, body)
        return [f.at(carried[0], step), *after[1:]]

    return f.loop(0, count, one, state)
