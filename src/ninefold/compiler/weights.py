"""Noticing that a model's weights are not what they were, at a cost of microseconds per call."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Final, final

from ninefold.kernels.llvm.prefetch import Prefetch

if TYPE_CHECKING:
    from torch import nn

_VERSION: Final = attrgetter("_version")  # torch has no other door
_NEVER_READ: Final = frozenset({"num_batches_tracked"})  # by batch norm in evaluation mode


@final
class Weights:
    """The parameters and buffers of a model at one moment.

    Torch counts what is written to a tensor, but not through `.data`; that such a change moved the tensors, as `.to()`
    does, is seen at the first and the last of them.

    Args:
        model: whose they are.
    """

    def __init__(self, model: nn.Module) -> None:
        tables = [table for module in model.modules() for table in (module._parameters, module._buffers) if table]  # noqa: SLF001
        named = [pair for table in tables for pair in table.items()]
        self._places = [*(table.values() for table in tables), (self,)]
        self._tensors = [*(tensor for _, tensor in named), self]
        counted = [tensor for name, tensor in named if tensor is not None and name not in _NEVER_READ]
        self._counted = [tensor for tensor in counted if not tensor.is_inference()]
        self._ends = [*counted[:1], *counted[-1:]]
        implementations = [tensor._cdata for tensor in self._counted]  # noqa: SLF001  # where its count is
        self._prefetch = Prefetch([*map(id, tables), *map(id, self._tensors), *implementations])
        self._found = self._state()

    def are_same(self) -> bool:
        """Say whether the model has the same tensors and nothing was written to them since."""
        self._prefetch()
        in_place = all(map(is_, chain.from_iterable(self._places), self._tensors))
        return in_place and self._found == self._state()

    def _state(self) -> tuple[list[int], list[int]]:
        return list(map(_VERSION, self._counted)), [tensor.data_ptr() for tensor in self._ends]
