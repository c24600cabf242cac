"""The part of cumm's `tensorview` that voxelisation touches: arrays go in by `from_numpy` and out by `numpy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ninefold.sparse.spconv.core import Activation

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array on the CPU.

    Args:
        array: what it holds.
    """

    array: np.ndarray

    @property
    def shape(self) -> list[int]:
        """Give its size per axis."""
        return list(self.array.shape)

    def numpy(self) -> np.ndarray:
        """Give a copy."""
        return self.array.copy()

    def numpy_view(self) -> np.ndarray:
        """Give the array itself."""
        return self.array

    def cpu(self) -> Tensor:
        """Give itself: it is there already."""
        return self


class gemm:
    """Where cumm keeps its names of activations."""

    Activation = Activation


def from_numpy(array: np.ndarray) -> Tensor:
    """Wrap an array.

    Args:
        array: of any shape.
    """
    return Tensor(array)
