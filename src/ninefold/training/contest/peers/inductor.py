"""torch.compile with frozen weights: batch norms folded, weights packed, C++ generated and compiled."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, ClassVar, final

from ninefold.training.contest.peers.base import Peer

if TYPE_CHECKING:
    from ninefold.training.contest.peers.base import Call, Task


@final
class Inductor(Peer):
    """Needs a C++ compiler on the machine."""

    name: ClassVar[str] = "inductor"

    def prepare(self, task: Task) -> Call:
        """Compile a copy of the model, as the weights of the original go away when they are frozen."""
        import torch

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inductor warns of its own parts
            torch.compiler.reset()  # what it remembers of other networks counts towards its limit of recompilations
            compiled = torch.compile(deepcopy(task.model), options={"freezing": True})
            compiled(task.x)
        return lambda: compiled(task.x)
