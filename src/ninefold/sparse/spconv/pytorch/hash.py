"""A table from integers to numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class HashTable:
    """Keys and values, kept sorted by key.

    Args:
        device: where both are.
        key_dtype: int32 or int64.
        value_dtype: any.
        max_size: taken and not needed.

    >>> table = HashTable(torch.device("cpu"), torch.int32, torch.int64)
    >>> table.insert(torch.tensor([5, 3], dtype=torch.int32), torch.tensor([50, 30]))
    >>> table.query(torch.tensor([3, 4], dtype=torch.int32))
    (tensor([30,  0]), tensor([False,  True]))
    """

    def __init__(
        self,
        device: torch.device,
        key_dtype: torch.dtype,
        value_dtype: torch.dtype,
        max_size: int = -1,  # noqa: ARG002  # upstream's argument
    ) -> None:
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self._keys = torch.empty(0, dtype=key_dtype, device=device)
        self._values = torch.empty(0, dtype=value_dtype, device=device)

    def insert(self, keys: Tensor, values: Tensor | None = None) -> None:
        """Add keys, or give those that are there other values.

        Args:
            keys: (N,); of equal ones the last counts.
            values: (N,), or None for zeros.
        """
        new = keys.new_zeros(len(keys), dtype=self.value_dtype) if values is None else values
        every, row_of = torch.unique(torch.cat([self._keys, keys]), return_inverse=True)
        numbers = torch.arange(len(row_of), device=row_of.device)
        last = numbers.new_zeros(len(every)).scatter_reduce(0, row_of, numbers, "amax")
        self._keys, self._values = every, torch.cat([self._values, new])[last]

    def query(self, keys: Tensor, values: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Look keys up.

        Args:
            keys: (N,).
            values: (N,) that is written into; None for a new one.

        Returns:
            (N,) values, unchanged where a key is missing, and bool (N,): which are missing.
        """
        out = keys.new_zeros(len(keys), dtype=self.value_dtype) if values is None else values
        rows, there = self._rows(keys)
        out[there] = self._values[rows[there]]
        return out, ~there

    def insert_exist_keys(self, keys: Tensor, values: Tensor) -> Tensor:
        """Change values of keys that are there.

        Args:
            keys: (N,).
            values: (N,).

        Returns:
            uint8 (N,): 1 where a key is missing.
        """
        rows, there = self._rows(keys)
        self._values[rows[there]] = values[there]
        return (~there).to(torch.uint8)

    def assign_arange_(self) -> Tensor:
        """Number the keys from 0 on, and give int64 (1,): how many there are."""
        self._values = torch.arange(len(self._keys), dtype=self.value_dtype, device=self._keys.device)
        return torch.tensor([len(self._keys)])

    def items(self, max_size: int = -1) -> tuple[Tensor, Tensor, Tensor]:
        """Give keys, values, and int64 (1,): how many there are.

        Args:
            max_size: the most to give; -1 for all.
        """
        count = len(self._keys) if max_size < 0 else min(max_size, len(self._keys))
        return self._keys[:count], self._values[:count], torch.tensor([count])

    def _rows(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        if not len(self._keys):
            return torch.zeros_like(keys, dtype=torch.int64), torch.zeros_like(keys, dtype=torch.bool)
        rows = torch.searchsorted(self._keys, keys).clamp(max=len(self._keys) - 1)
        return rows, self._keys[rows] == keys
