"""Noticing that a model's weights are not what they were, at a cost of microseconds per call."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import nn


@final
class Weights:
    """The parameters and buffers of a model at one moment.

    Torch counts what is written to a tensor, but not through `.data`; that such a change moved the tensors, as `.to()`
    does, is seen at the first and the last of them.

    Args:
        model: whose they are.
    """

    def __init__(self, model: nn.Module) -> None:
        tables = [table for module in model.modules() for table in (module._parameters, module._buffers)]  # noqa: SLF001
        self._places = [(table, name, tensor) for table in tables for name, tensor in table.items()]
        tensors = [tensor for _, _, tensor in self._places if tensor is not None]
        self._counted = [tensor for tensor in tensors if not tensor.is_inference()]
        self._ends = [*tensors[:1], *tensors[-1:]]
        self._found = self._state()

    def are_same(self) -> bool:
        """Say whether the model has the same tensors and nothing was written to them since."""
        in_place = all([table.get(name) is tensor for table, name, tensor in self._places])  # noqa: C419  # faster
        return in_place and self._found == self._state()

    def _state(self) -> tuple[list[int], list[int]]:
        counts = [tensor._version for tensor in self._counted]  # noqa: SLF001  # torch has no other door
        return counts, [tensor.data_ptr() for tensor in self._ends]
