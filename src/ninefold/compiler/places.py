"""Where values and weights lie while a plan runs: values never needed at the same time share their memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ninefold.kernels.llvm.memory import buffer, copied

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ninefold.kernels.llvm.layout import Blocked

_LINE: Final = 16  # numbers in 64 bytes


@dataclass(frozen=True, slots=True)
class Spot:
    """A value as it lies in memory.

    Args:
        name: of the value.
        layout: of its blocks; None where it lies in planes.
        size: numbers of one picture.
        inside: the spot of which this is a part; None for one with memory of its own.
        offset: numbers before it there, in every picture.
        stays: whether it keeps its memory to itself, from one run to the next.
    """

    name: str
    layout: Blocked | None
    size: int
    inside: Spot | None = None
    offset: int = 0
    stays: bool = False

    @property
    def owner(self) -> Spot:
        """Give the spot that has the memory."""
        return self if self.inside is None else self.inside.owner

    @property
    def start(self) -> int:
        """Give the numbers before it in its owner's memory."""
        return 0 if self.inside is None else self.inside.start + self.offset


@dataclass(frozen=True, slots=True)
class Places:
    """The memory of spots.

    Args:
        memory: by spot that has some.
        pictures: in a batch.
        bytes: in all.
    """

    memory: dict[Spot, np.ndarray]
    pictures: int
    bytes: int

    def address(self, spot: Spot) -> int:
        """Give the address of the first pixel of the first picture that is not border."""
        first = spot.layout.first if spot.layout else 0
        return int(self.memory[spot.owner].ctypes.data) + 4 * (spot.start + first)

    def stride(self, spot: Spot) -> int:
        """Give the bytes from one picture to the next."""
        return 4 * _rounded(spot.owner)

    def planes(self, spot: Spot) -> np.ndarray:  # (N, C * H * W)
        """Give the numbers of a spot that lies in planes."""
        numbers = self.pictures * _rounded(spot)  # what was shared may be larger
        return self.memory[spot][:numbers].reshape(self.pictures, -1)[:, : spot.size]


@dataclass(slots=True)
class _Free:
    """Memory that nobody uses just now."""

    bordered: dict[Blocked, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    plain: list[np.ndarray] = field(default_factory=list)

    def taken(self, spot: Spot, numbers: int) -> np.ndarray | None:
        """Take memory for a spot; zeros around maps last only under maps of the same layout."""
        if spot.layout and any(spot.layout.border):
            same = self.bordered[spot.layout]
            return same.pop() if same else None
        fitting = [memory for memory in self.plain if memory.size >= numbers]
        if not fitting:
            return None
        smallest = min(fitting, key=lambda memory: memory.size)
        self.plain = [memory for memory in self.plain if memory is not smallest]
        return smallest

    def give(self, spot: Spot, memory: np.ndarray) -> None:
        """Give memory back."""
        if spot.layout and any(spot.layout.border):
            self.bordered[spot.layout].append(memory)
        else:
            self.plain.append(memory)


def placed(touched: Sequence[Sequence[Spot]], pictures: int) -> Places:
    """Give every spot its memory.

    Args:
        touched: for each step of a plan in order, the spots that it reads or writes.
        pictures: in a batch.
    """
    last = {spot.owner: i for i, spots in enumerate(touched) for spot in spots}
    memory: dict[Spot, np.ndarray] = {}
    free, total = _Free(), 0
    for i, spots in enumerate(touched):
        owners = dict.fromkeys(spot.owner for spot in spots)
        for owner in owners:
            if owner in memory:
                continue
            numbers = pictures * _rounded(owner)
            found = None if owner.stays else free.taken(owner, numbers)
            total += numbers if found is None else 0
            memory[owner] = buffer(numbers) if found is None else found
        for owner in owners:
            if last[owner] == i and not owner.stays:
                free.give(owner, memory[owner])
    return Places(memory, pictures, 4 * total)


def _rounded(spot: Spot) -> int:
    return -(-spot.size // _LINE) * _LINE


@final
class Packed:
    """Weights in the order in which kernels read them."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def address(self, values: np.ndarray | None) -> int:
        """Keep an aligned copy and give its address; 0 for none."""
        if values is None:
            return 0
        self.arrays.append(copied(values))
        return int(self.arrays[-1].ctypes.data)

    @property
    def bytes(self) -> int:
        """Count them all."""
        return sum(array.nbytes for array in self.arrays)
