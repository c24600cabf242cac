"""What `torch.compile` shall not look into: finding pairs and calling kernels is no graph of torch's operators."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """Let `torch.compile` call a function as it is: a graph ends before the call, and the next begins behind it.

    Args:
        function: any.
    """

    @wraps(function)
    def called(*args: P.args, **named: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **named)
        return function(*args, **named)

    return called
