"""What every function of this room checks about its arrays before it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ninefold.errors import InvalidInput, InvalidSpec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[Any]


def as_numbers(value: ArrayLike, name: str) -> Array:
    """Give `value` as an array of numbers, in the dtype it has.

    Raises:
        InvalidInput: when it is ragged, or holds something that is no number.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise InvalidInput(f"{name} is ragged: its rows differ in length; give a full array of numbers") from None
    if array.dtype.kind not in "biufc":
        raise InvalidInput(f"{name} has dtype {array.dtype}; give an array of numbers")
    return array


def as_floats(value: ArrayLike, name: str) -> Array:
    """Give `value` as an array of floats, in the dtype it has.

    Raises:
        InvalidInput: when it holds anything else.
    """
    array = as_numbers(value, name)
    if array.dtype.kind != "f":
        raise InvalidInput(f"{name} has dtype {array.dtype} where floats are wanted; pass {name}.astype(float)")
    return array


def expect_shape(array: Array, shape: tuple[int, ...], name: str) -> None:
    """Refuse an array of any other shape.

    Raises:
        InvalidSpec: naming the shape that came and the one wanted.
    """
    if array.shape != shape:
        raise InvalidSpec(f"{name} of shape {array.shape} came where {shape} was wanted; pass {name} of that shape")
