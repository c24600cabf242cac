"""How much memory the values of a forward pass take at the same time."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


class Lifetimes:
    """From which operation to which one the memory behind tensors is needed.

    A value lives from the operation that makes it to the last one that reads it; views, and what is changed in place,
    share the memory of the tensor they are made of. Tensors must be kept alive while this is in use: it knows their
    memory by its address.

    Args:
        picture: lives from the start.
        weights: parameters and buffers, which are not counted.
    """

    def __init__(self, picture: Tensor, weights: Iterable[Tensor]) -> None:
        self._weights = {_address(tensor) for tensor in weights}
        self._spans: dict[int, tuple[int, int, int]] = {}  # address: first operation, last operation, bytes
        self._now = 0
        self._see(picture)

    def note(self, tensors: Iterable[Tensor]) -> None:
        """Take down the next operation by the tensors that it reads and makes."""
        self._now += 1
        for tensor in tensors:
            self._see(tensor)

    def peak(self) -> int:
        """Give the bytes of the operation during which the most of them live."""
        changes = [0] * (self._now + 2)
        for first, last, size in self._spans.values():
            changes[first] += size
            changes[last + 1] -= size
        return max(accumulate(changes))

    def _see(self, tensor: Tensor) -> None:
        address = _address(tensor)
        if address not in self._weights:
            first = self._spans[address][0] if address in self._spans else self._now
            self._spans[address] = (first, self._now, tensor.untyped_storage().nbytes())


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # noqa: SLF001  # tensors without data have no other address
