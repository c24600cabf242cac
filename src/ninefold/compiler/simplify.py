"""The same network in fewer nodes: constants computed, batch norm folded, what follows a layer done by the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from ninefold.compiler.channels import channel_multiplier, gathering
from ninefold.compiler.draft import Draft
from ninefold.compiler.folding import FOLDINGS
from ninefold.compiler.fusing import FUSIONS
from ninefold.compiler.recognizing import RECOGNITIONS

if TYPE_CHECKING:
    from ninefold.compiler.graph import Graph

RULES: Final = (*FOLDINGS, *RECOGNITIONS, gathering, channel_multiplier, *FUSIONS)


def simplified(graph: Graph) -> Graph:
    """Rewrite a graph into one that computes the same with less, up to rounding.

    The rules are in `folding` (constants and factors per channel go into weights), `recognizing` (what several nodes
    spell out is one operation), `channels` (what only changes its place does so once) and `fusing` (activations, sums
    and padding go into the layer before or after).
    Weights change once more at most by rounding: they are folded in float64.

    Args:
        graph: as `captured` gives it; it stays as it is.

    >>> from ninefold.compiler.capture import captured
    >>> from torch import nn
    >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Hardtanh(0, 6), nn.Dropout()).eval()
    >>> [str(node.operation) for node in simplified(captured(block, [torch.zeros(1, 3, 6, 6)])).nodes]
    ['conv 3x3, relu6']
    """
    draft = Draft(graph)
    with torch.no_grad():
        while draft.sweep(RULES):
            pass
    return draft.graph()
