"""Which convolutions can be one kernel that goes from band to band of rows, and how it is set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ninefold.compiler.asked import Choice
from ninefold.compiler.operations import Conv
from ninefold.kernels.llvm import chain, depthwise, direct, first
from ninefold.kernels.llvm.chain import Chain, Middle, Part
from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.direct import Direct
from ninefold.kernels.llvm.first import First
from ninefold.kernels.llvm.tile import pointwise

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ninefold.compiler.decide import Decisions
    from ninefold.kernels.llvm.kernel import Kernel
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec

_BANDS: Final = (4, 7, 2, 8, 14)  # heights, what the rule takes first
_TRIED: Final = 3  # of those that fit
_TILES: Final = 3  # of every part, with the first height
_NEAR: Final = 160 * 1024  # numbers of scratch that leave room for weights and output in a cache of 1 MiB
_FAR: Final = 160 * 1024  # numbers between two layers that do not stay in it from one to the other


class _Layer(NamedTuple):
    spec: ConvSpec
    choice: Choice
    result: str


def chains(decisions: Decisions, joined: Collection[str]) -> list[tuple[int, ...]]:
    """Give the nodes, by their numbers, that one kernel may compute: nobody else reads what lies between them.

    Args:
        decisions: about all nodes of a graph.
        joined: values that are written where they are joined with others.
    """
    layers = _layers(decisions)
    givers = {layer.result: i for i, layer in layers.items()}
    readers = {layer.choice.x: i for i, layer in layers.items()}
    inner = {name for name, count in decisions.graph.uses.items() if count == 1 and name not in joined}
    found: list[tuple[int, ...]] = []
    taken: set[int] = set()
    for j, middle in layers.items():
        if j in taken or depthwise.why_not(middle.spec):
            continue
        before = givers.get(middle.choice.x) if middle.choice.x in inner else None
        behind = readers.get(middle.result) if middle.result in inner else None
        row = [j]
        if before is not None and before not in taken and _leads(layers[before], middle):
            row.insert(0, before)
        if behind is not None and behind not in taken and _follows(middle, layers[behind]):
            row.append(behind)
        if len(row) > 1:
            taken.update(row)
            found.append(tuple(row))
    return found


def _layers(decisions: Decisions) -> dict[int, _Layer]:
    """Give the convolutions that kernels compute."""
    nodes = enumerate(zip(decisions.graph.nodes, decisions.of, strict=True))
    return {
        i: _Layer(node.operation.spec, decision, node.outputs[0])
        for i, (node, decision) in nodes
        if isinstance(node.operation, Conv) and isinstance(decision, Choice) and not decision.arrange
    }


def _leads(before: _Layer, middle: _Layer) -> bool:
    is_quick = before.choice.planar or pointwise(before.spec)  # others may be better off with Winograd's algorithm
    return is_quick and not before.choice.residual and chain.why_not(before.spec, middle.spec, None) is None


def _follows(middle: _Layer, behind: _Layer) -> bool:
    return not middle.choice.residual and chain.why_not(None, middle.spec, behind.spec) is None


def chained(kernels: Sequence[Kernel], target: Target) -> list[Chain]:
    """Give chains that compute what kernels compute one after the other, what the rule takes first.

    There are none where the maps between the kernels stay in a near cache anyway.

    Args:
        kernels: two or three, of convolutions that `chains` has found.
        target: the processor.
    """
    before, middle, behind = _sorted(kernels)
    if not isinstance(middle, Depthwise) or len(kernels) != 1 + bool(before) + bool(behind):
        return []
    if max(kernel.output.size for kernel in (before, middle) if kernel and kernel is not kernels[-1]) < _FAR:
        return []
    parts = _Parts(before, middle, behind, target)
    near = [made for height in _BANDS if (made := parts.chain(height)) and made.scratch <= _NEAR][:_TRIED]
    others = [parts.chain(near[0].band, tile) for tile in range(1, _TILES)] if near else []
    return list(dict.fromkeys([*near, *(made for made in others if made)]))


def _sorted(kernels: Sequence[Kernel]) -> tuple[Direct | First | None, Depthwise | None, Direct | None]:
    before = next((kernel for kernel in kernels[:1] if isinstance(kernel, Direct | First)), None)
    middle = next((kernel for kernel in kernels if isinstance(kernel, Depthwise)), None)
    behind = next((kernel for kernel in kernels[-1:] if isinstance(kernel, Direct)), None)
    return before, middle, behind


class _Parts(NamedTuple):
    """The kernels that a chain can take the place of."""

    before: Direct | First | None
    middle: Depthwise
    behind: Direct | None
    target: Target

    def chain(self, height: int, tile: int = 0) -> Chain | None:
        """Give the chain with bands of a height, less than the whole map, and each part's best tile or a later one."""
        middle, last = self.middle, self.behind or self.middle
        if height >= last.output.height:
            return None
        strip = depthwise.default_strip(_of_rows(middle.spec, height), self.target)
        return Chain(
            self._part(self.before, 1, tile),
            Middle(middle.spec, middle.epilogue, strip),
            self._part(self.behind, height, tile),
            height,
            None if isinstance(self.before, First) else (self.before or middle).input,
            last.output,
            last.residual,
        )

    def _part(self, kernel: Direct | First | None, rows: int, tile: int) -> Part | None:
        if kernel is None:
            return None
        candidates = first.candidates if isinstance(kernel, First) else direct.candidates
        tiles = candidates(_of_rows(kernel.spec, rows), self.target)
        return Part(kernel.spec, kernel.epilogue, tiles[min(tile, len(tiles) - 1)])


def _of_rows(spec: ConvSpec, rows: int) -> ConvSpec:
    """Give a convolution of as many rows as so many rows of its output see."""
    seen = (rows - 1) * spec.stride[0] + spec.extent[0]
    return replace(spec, in_size=(seen, spec.in_size[1]), padding=((0, 0), spec.padding[1]))
