"""A trained network on kernels, for commands that were asked to compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.compiler import Compiled
from ninefold.training.progress import say

if TYPE_CHECKING:
    from torch import nn


def say_why_not(network: nn.Module, style: str) -> None:
    """Say on standard error why a compiled network ran as it is, where it did.

    Args:
        network: after its last call.
        style: "none" for no word.
    """
    if isinstance(network, Compiled) and network.plan.reason:
        say(style, f"the network was not compiled: {network.plan.reason}")
