"""Groups of channels for kernels that know none: some side by side fill a vector, with zeros between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

_RUN: Final = 16  # products in whose time a kernel finds its rows


def together(groups: int, widths: tuple[int, int], lanes: int) -> int:
    """Give how many groups to take together, so that the fewest vectors are multiplied.

    Args:
        groups: of them all.
        widths: input and output channels of a group.
        lanes: of a vector.

    >>> together(8, (8, 8), 16), together(4, (32, 32), 16), together(3, (2, 3), 16)
    (2, 1, 3)
    """
    each_in, each_out = widths

    def cost(some: int) -> int:
        return groups // some * (some * each_in * -(-some * each_out // lanes) + _RUN)

    return min((some for some in range(1, groups + 1) if groups % some == 0), key=cost)


def spread(weight: Tensor, groups: int, some: int) -> Tensor:
    """Give the weight of `groups / some` wider groups, with zeros where a channel sees none of its own group's.

    Args:
        weight: (O, K, C / groups).
        groups: of the weight.
        some: see `together`.

    Returns:
        (O, K, some * C / groups).
    """
    runs = weight.unflatten(0, (groups // some, some, -1))  # (R, S, O / G, K, C / G)
    wide = runs.new_zeros(*runs.shape[:-1], some, runs.shape[-1])
    wide.diagonal(dim1=1, dim2=4).copy_(runs.movedim(1, -1))
    return wide.flatten(4).flatten(0, 2)


def gathered(dw: Tensor, some: int) -> Tensor:
    """Give the gradient of a weight from the one of its `spread`, for one of the wider groups.

    Args:
        dw: (some * O, K, some * C).
        some: how many groups it was.

    Returns:
        (some * O, K, C).
    """
    blocks = dw.unflatten(2, (some, -1)).unflatten(0, (some, -1))  # (S, O, K, S, C)
    return blocks.diagonal(dim1=0, dim2=3).movedim(-1, 0).flatten(0, 1)
