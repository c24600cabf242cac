"""Active sites: the cells of a grid that hold something, in one fixed order."""

from __future__ import annotations

from math import prod
from operator import index
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, final

import torch

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.site_lists import can_sort, sorted_sites

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from torch import Tensor

    from ninefold.spec import Axes

_MOST_CELLS: Final = 2**62
_LONGEST: Final = 2**31 - 1  # cells of an axis, and pictures: coordinates are int32
_INTEGERS: Final = (torch.int32, torch.int64, torch.int16, torch.uint8, torch.int8)


@final
class Sites:
    """The active sites of a batch of grids, sorted by (picture, coordinate per axis), no two alike.

    A value: nothing in it changes, so that what was found out about it, such as the pairs of a kernel map, is kept in
    `memory`, and goes when the sites go.

    Args:
        coords: int32 (N, 1 + D): picture, then one coordinate per axis, sorted.
        size: of the grid, one number per axis.
        batch: number of pictures.
    """

    def __init__(self, coords: Tensor, size: Axes, batch: int) -> None:
        self.coords = coords
        self.size = size
        self.batch = batch
        self.memory: dict[Hashable, Any] = {}
        self._keys: Tensor | None = None

    @classmethod
    def of(cls, coords: Tensor, size: Sequence[int], batch: int | None = None) -> tuple[Self, Tensor]:
        """Sort sites that come in any order.

        Args:
            coords: integers (N, 1 + D), N >= 0.
            size: of the grid, D numbers >= 1.
            batch: number of pictures; None for as many as `coords` speaks of.

        Returns:
            The sites, and int64 (N,): for every row of theirs, the row of `coords` that it was.

        Raises:
            InvalidInput: when the shape or dtype is wrong, or a site lies outside or comes twice: naming the first row.
        """
        try:
            grid, given = tuple(index(n) for n in size), None if batch is None else index(batch)
        except TypeError as error:
            raise InvalidInput(f"size={size} and batch={batch} came; wanted integers, one size per axis") from error
        _check_form(coords, grid)
        pictures = max(1, int(coords[:, 0].max()) + 1 if len(coords) else 1) if given is None else given
        check_cells(grid, pictures)
        narrow = coords.to(torch.int32).contiguous()
        found, order, twice = _sorted(coords, narrow, (pictures, *grid))
        if twice >= 0:
            first, second = sorted(order[twice - 1 : twice + 1].tolist())
            raise InvalidInput(
                f"rows {first} and {second} are both site {tuple(coords[first].tolist())}; give every site once"
            )
        return cls(found, grid, pictures), order

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def keys(self) -> Tensor:
        """Give int64 (N,): the number of every site's cell, ((picture * size[0] + c[0]) * size[1] + c[1]) ..."""
        if self._keys is None:
            self._keys = _keys(self.coords, self.size)
        return self._keys

    def to(self, device: torch.device | str) -> Sites:
        """Give the same sites on another device; themselves where they are there."""
        if self.coords.device == torch.device(device):
            return self
        return Sites(self.coords.to(device), self.size, self.batch)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without the memory: what is there may hold addresses of this process."""
        return Sites, (self.coords, self.size, self.batch)

    def __len__(self) -> int:
        """Number of active sites, N."""
        return len(self.coords)

    def __repr__(self) -> str:
        """Give the numbers that matter."""
        return f"Sites({len(self)} of {self.batch} x {'x'.join(map(str, self.size))})"


def rows_of(keys: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Give where keys stand in a sorted list of keys, and whether they do.

    Args:
        keys: int64 (N,), sorted.
        wanted: int64 (M,).

    Returns:
        int64 (M,) rows, and bool (M,): rows of keys that are not there mean nothing.
    """
    if not len(keys):
        return torch.zeros_like(wanted), torch.zeros_like(wanted, dtype=torch.bool)
    rows = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return rows, keys[rows] == wanted


def check_cells(size: Axes, batch: int) -> None:
    """Refuse grids whose cells cannot be numbered.

    Args:
        size: of a grid.
        batch: number of grids.

    Raises:
        InvalidInput: when there are too many cells, or less than no grids.
    """
    if max(*size, batch) > _LONGEST or prod(size) * batch > _MOST_CELLS:
        raise InvalidInput(
            f"{batch} grids of {size} came; wanted up to 2^31 - 1 grids and cells per axis, and 2^62 cells in all: "
            "take larger cells"
        )
    if batch < 0:
        raise InvalidInput(f"batch={batch} came; wanted the number of pictures, at least 0")


def _keys(coords: Tensor, size: Axes) -> Tensor:
    keys = coords[:, 0].long()
    for axis, n in enumerate(size, start=1):
        keys = keys * n + coords[:, axis]
    return keys


def _check_form(coords: Tensor, size: Axes) -> None:
    if coords.dim() != 2 or coords.shape[1] != 1 + len(size) or coords.dtype not in _INTEGERS:
        raise InvalidInput(
            f"coords of shape {tuple(coords.shape)} and {coords.dtype} came; wanted integers (N, {1 + len(size)}): "
            f"the picture, then {len(size)} coordinates"
        )
    if not 1 <= len(size) <= 4 or min(size) < 1:
        raise InvalidInput(f"size={size} came; wanted 1 to 4 numbers of at least 1")


class _Sorted(NamedTuple):
    coords: Tensor
    order: Tensor
    twice: int  # the first row that is the same site as the one before, or -1


def _sorted(coords: Tensor, narrow: Tensor, limits: tuple[int, ...]) -> _Sorted:
    """Sort sites by their keys, once none is outside."""
    is_whole = coords.dtype == torch.int32 or torch.equal(narrow.to(coords.dtype), coords)
    if coords.device.type != "cpu" or not is_whole or not can_sort(len(coords), limits):
        outside = ((coords < 0) | (coords >= coords.new_tensor(limits, dtype=torch.int64))).any(dim=1).nonzero()
        _refuse_outside(coords, int(outside[0]) if len(outside) else -1, limits)
        keys, order = torch.sort(_keys(coords, limits[1:]), stable=True)
        twice = (keys[1:] == keys[:-1]).nonzero()
        return _Sorted(narrow[order], order, int(twice[0]) + 1 if len(twice) else -1)
    found = sorted_sites(narrow.numpy(), limits)
    _refuse_outside(coords, found.outside, limits)
    return _Sorted(torch.from_numpy(found.coords), torch.from_numpy(found.order), found.twice)


def _refuse_outside(coords: Tensor, row: int, limits: tuple[int, ...]) -> None:
    if row >= 0:
        raise InvalidInput(
            f"row {row} is site {tuple(coords[row].tolist())}, outside {limits[0]} grids of {limits[1:]}; "
            "cut the points to the grid first"
        )
