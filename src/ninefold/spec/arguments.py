"""Turn what callers write (`stride=2`, `padding="same"`) into what a `ConvSpec` holds: one value per axis."""

from __future__ import annotations

from collections.abc import Sequence

from ninefold.errors import InvalidSpec

Axes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]


def per_axis(value: int | Sequence[int], dims: int, name: str) -> Axes:
    """Give `value` once per spatial axis; a sequence of one counts for all axes, as in torch.

    >>> per_axis(2, 3, "stride"), per_axis((1, 2), 2, "stride")
    ((2, 2, 2), (1, 2))
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if len(values) == 1:
        values *= dims
    if len(values) != dims or not all(isinstance(v, int) for v in values):
        raise InvalidSpec(f"{name}={value!r} does not fit {dims} spatial axes; give one integer or {dims} of them")
    return values


def padding_pairs(padding: Padding, kernel: Axes, stride: Axes, dilation: Axes) -> Pairs:
    """Give the zeros before and after the input, one pair per spatial axis.

    With the extent e = dilation * (kernel - 1):

        "valid"    (0, 0)                  only places where the whole kernel meets the input
        "same"     (e // 2, e - e // 2)    as many outputs as inputs; stride 1 only, as in torch
        "full"     (e, e)                  every place where the kernel meets the input at all
        p          (p, p)
        (p, q)     (p, p), (q, q)          one per axis, as in torch
        ((a, b),)  (a, b)                  before and after, one pair per axis

    >>> padding_pairs("same", (3, 4), (1, 1), (1, 1))
    ((1, 1), (1, 2))
    >>> padding_pairs(((0, 1), (2, 1)), (3, 3), (1, 1), (1, 1))
    ((0, 1), (2, 1))
    """
    dims = len(kernel)
    extents = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if isinstance(padding, str):
        return _named_padding(padding, extents, stride)
    if not isinstance(padding, Sequence) or all(isinstance(p, int) for p in padding):
        return tuple((p, p) for p in per_axis(padding, dims, "padding"))  # type: ignore[arg-type]  # ints, just checked
    pairs = tuple(tuple(p) if isinstance(p, Sequence) else (p,) for p in padding)
    if len(pairs) != dims or not all(len(p) == 2 and all(isinstance(v, int) for v in p) for p in pairs):
        raise InvalidSpec(f"padding={padding!r} does not fit {dims} spatial axes; give {dims} pairs (before, after)")
    return pairs  # type: ignore[return-value]  # every element was just checked to be a pair of integers


def _named_padding(padding: str, extents: list[int], stride: Axes) -> Pairs:
    if padding == "valid":
        return ((0, 0),) * len(extents)
    if padding == "full":
        return tuple((e, e) for e in extents)
    if padding != "same":
        raise InvalidSpec(
            f"padding={padding!r} is no mode; use 'valid', 'same', 'full', integers or (before, after) pairs"
        )
    if any(s != 1 for s in stride):
        raise InvalidSpec(
            f"padding='same' keeps the size only with stride 1, and stride={stride} came; "
            "give (before, after) pairs that sum to the padding you mean"
        )
    return tuple((e // 2, e - e // 2) for e in extents)
