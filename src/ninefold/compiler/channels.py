"""Channels that only change their places: a shuffle of a concatenation, and a slice of that, are one gathering."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from ninefold.compiler.graph import Node
from ninefold.compiler.operations import Concat, Conv, Gather, Shuffle, Slice

if TYPE_CHECKING:
    from ninefold.compiler.draft import Draft, Result
    from ninefold.compiler.operations import Operation
    from ninefold.spec import Axes

_MOST: Final = 2  # inputs that one kernel reads


def order(operation: Operation, channels: int) -> Axes | None:
    """Give, for every channel of a result, the channel of the input it is; None where more happens.

    Args:
        operation: of a node that reads one input, or `Gather`.
        channels: of all inputs together.

    >>> order(Shuffle(2), 6), order(Slice(1, 2, 5), 6)
    ((0, 3, 1, 4, 2, 5), (2, 3, 4))
    """
    if isinstance(operation, Gather):
        return operation.channels
    if isinstance(operation, Shuffle):
        n = channels // operation.groups
        return tuple(i % operation.groups * n + i // operation.groups for i in range(channels))
    if isinstance(operation, Slice) and operation.axis == 1:
        return tuple(range(operation.start, operation.stop, operation.step))
    return None


def gathering(draft: Draft, node: Node) -> Result:
    """Take channels from where they were before they changed their places."""
    if not isinstance(node.operation, Gather | Shuffle | Slice) or len(draft.shape(node.inputs[0])) != 4:
        return None
    own = [origin for name in node.inputs for origin in _own(draft, name)]
    channels = order(node.operation, len(own))
    if not channels:
        return None
    # A slice of a concatenation may be a part of its maps, and needs no kernel then.
    looked_through = (Shuffle, Gather) if isinstance(node.operation, Slice) else (Shuffle, Gather, Slice, Concat)
    origins = [origin for name in node.inputs for origin in _origins(draft, name, looked_through)]
    inputs = tuple(dict.fromkeys(origins[channel][0] for channel in channels))
    if origins == own or len(inputs) > _MOST:
        return None
    places = {origin: i for i, origin in enumerate(chain.from_iterable(_own(draft, name) for name in inputs))}
    return [Node(Gather(tuple(places[origins[channel]] for channel in channels)), inputs, node.outputs)]


def _own(draft: Draft, name: str) -> list[tuple[str, int]]:
    return [(name, channel) for channel in range(draft.shape(name)[1])]


def _origins(draft: Draft, name: str, kinds: tuple[type[Operation], ...]) -> list[tuple[str, int]]:
    """Give (value, channel) from which each channel of a value comes, if it only changed its place."""
    giver = draft.giver(name)
    if giver is None or not isinstance(giver.operation, kinds):
        return _own(draft, name)
    before = [origin for read in giver.inputs for origin in _own(draft, read)]
    if isinstance(giver.operation, Concat):
        return before if giver.operation.axis == 1 else _own(draft, name)
    channels = order(giver.operation, len(before))
    return _own(draft, name) if channels is None else [before[channel] for channel in channels]


def channel_multiplier(draft: Draft, node: Node) -> Result:
    """Repeat channels before a depthwise convolution that computes several from each: then it has one from each."""
    conv = node.operation
    if not isinstance(conv, Conv) or conv.spec.transposed or conv.spec.dims != 2:
        return None
    spec, times = conv.spec, conv.spec.out_channels // conv.spec.in_channels
    if not 1 < spec.groups == spec.in_channels or times < 2:
        return None
    value = replace(draft.value(node.inputs[0]), shape=(spec.batch, spec.out_channels, *spec.in_size))
    name = draft.name(f"{node.inputs[0]} repeated", value)
    repeated = Node(Gather(tuple(i // times for i in range(spec.out_channels))), node.inputs[:1], (name,))
    wide = replace(spec, in_channels=spec.out_channels, groups=spec.out_channels)
    return [repeated, Node(replace(conv, spec=wide), (name, *node.inputs[1:]), node.outputs)]
