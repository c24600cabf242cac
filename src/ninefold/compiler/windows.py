"""How torch's operators over windows and sizes read: pooling, means, changes of size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ninefold.compiler.operations import ChannelPool, Pool, Reshape, Resize, Upsample
from ninefold.spec import per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.compiler.call import Call, Names
    from ninefold.compiler.operations import Operation


def max_pool(call: Call) -> Names:
    """Lower max pooling."""
    shape = call.value(call.first).shape
    if len(shape) != call.dims + 2 or not call.is_float:
        return None
    pool = _pool(call, shape, per_axis(call["dilation"], call.dims, "dilation"))
    return call.emit(pool, call.first)


def max_pool_with_places(call: Call) -> Names:
    """Lower max pooling whose places nobody reads."""
    name = max_pool(call) if call.uses_only(0) else None
    return name if name is None else (name, "")


def average_pool(call: Call) -> Names:
    """Lower average pooling."""
    shape = call.value(call.first).shape
    if len(shape) != call.dims + 2 or not call.is_float:
        return None
    pool = _pool(call, shape, (1,) * call.dims)
    if any(before != after for before, after in pool.padding):  # a window over the edge counts in a way of its own
        return None
    divisor = call.get("divisor_override", None) or 0
    average = replace(pool, kind="average", divisor=divisor, count_padding=call["count_include_pad"])
    return call.emit(average, call.first)


def _pool(call: Call, shape: Sequence[int], dilation: tuple[int, ...]) -> Pool:
    dims = call.dims
    kernel = per_axis(call["kernel_size"], dims, "kernel")
    stride = per_axis(call["stride"] or kernel, dims, "stride")
    before = per_axis(call["padding"], dims, "padding")
    axes = zip(shape[2:], call.result.shape[2:], kernel, stride, before, dilation, strict=True)
    # With `ceil_mode` the last window reaches further than the padding.
    after = [max(p, (out - 1) * s + d * (k - 1) + 1 - n - p) for n, out, k, s, p, d in axes]
    return Pool("max", kernel, stride, tuple(zip(before, after, strict=True)), dilation)


def adaptive_average_pool(call: Call) -> Names:
    """Lower average pooling to a size, where all windows are equal."""
    sizes, outs = call.value(call.first).shape[2:], call.result.shape[2:]
    if len(call.result.shape) < 3 or len(sizes) != len(call["output_size"]):
        return None
    if any(n % out for n, out in zip(sizes, outs, strict=True)):  # windows of different sizes
        return None
    return call.emit(_blocks(sizes, outs), call.first)


def adaptive_max_pool(call: Call) -> Names:
    """Lower max pooling to a size, where all windows are equal and nobody reads the places."""
    sizes, outs = call.value(call.first).shape[2:], call.result.shape[2:]
    equal = len(call.result.shape) == 4 and not any(n % out for n, out in zip(sizes, outs, strict=True))
    if not equal or not call.is_float or not call.uses_only(0):
        return None
    return call.emit(replace(_blocks(sizes, outs), kind="max"), call.first), ""


def mean(call: Call) -> Names:
    """Lower the mean over all places, or over the channels."""
    return _reduced(call, "average", call["dim"] or ()) if call["dtype"] is None else None


def largest(call: Call) -> Names:
    """Lower the largest value of all places, or of the channels."""
    return _reduced(call, "max", call["dim"])


def largest_with_place(call: Call) -> Names:
    """Lower the largest value, whose place nobody reads."""
    name = _reduced(call, "max", [call["dim"]]) if call.uses_only(0) else None
    return name if name is None else (name, "")


def _reduced(call: Call, kind: Literal["max", "average"], dims: Sequence[int]) -> str | None:
    """Reduce all spatial axes, or the channels of maps."""
    shape = call.value(call.first).shape
    axes = sorted(axis % len(shape) for axis in dims)
    if len(shape) >= 3 and axes == list(range(2, len(shape))):
        pool: Operation = replace(_blocks(shape[2:], (1,) * len(axes)), kind=kind)
        reduced, kept = (*shape[:2], *(1,) * len(axes)), shape[:2]
    elif len(shape) == 4 and axes == [1]:
        pool, reduced, kept = ChannelPool(kind), (shape[0], 1, *shape[2:]), (shape[0], *shape[2:])
    else:
        return None
    if not call.is_float:
        return None
    if call["keepdim"]:
        return call.emit(pool, call.first)
    return call.emit(Reshape(kept), call.emit(pool, call.first, name="pooled", shape=reduced))


def _blocks(sizes: Sequence[int], outs: Sequence[int]) -> Pool:
    window = tuple(n // out for n, out in zip(sizes, outs, strict=True))
    return Pool("average", window, window, ((0, 0),) * len(window), (1,) * len(window))


def upsample(call: Call) -> Names:
    """Lower a change of size to the nearest pixels."""
    sizes, outs = call.value(call.first).shape[2:], call.result.shape[2:]
    factors = tuple(out // n for n, out in zip(sizes, outs, strict=True))
    scales = call["scale_factors"] or factors
    if all(n * f == out == n * s for n, f, s, out in zip(sizes, factors, scales, outs, strict=True)):
        return call.emit(Upsample(factors), call.first)
    return None if call["scale_factors"] else call.emit(Resize("nearest", outs), call.first)


def upsample_bilinear(call: Call) -> Names:
    """Lower a change of size between pixels."""
    sizes, outs = call.value(call.first).shape[2:], call.result.shape[2:]
    scales = call["scale_factors"] or [out / n for n, out in zip(sizes, outs, strict=True)]
    # A factor whose size was rounded down counts as it is, unlike the quotient of the sizes.
    is_quotient = all(abs(n * s - out) < 1e-6 for n, s, out in zip(sizes, scales, outs, strict=True))
    exact = is_quotient or call["align_corners"]
    return call.emit(Resize("bilinear", outs, call["align_corners"]), call.first) if exact else None
