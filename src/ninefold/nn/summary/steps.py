"""One operation of a forward pass: is it a layer, what does it cost, and what does its output see of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec import ConvSpec, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.nn.summary.sight import Sight, Window
    from ninefold.spec import Axes

CONVOLUTIONS: Final = frozenset({"convolution", "conv"})
_POOLS = {f"max_pool{dims}d_with_indices": f"max_pool{dims}d" for dims in (2, 3)}
_POOLS |= {name: name for name in ("avg_pool1d", "avg_pool2d", "avg_pool3d")}
_ADAPTIVE = frozenset(f"adaptive_{kind}_pool{dims}d" for kind in ("avg", "max") for dims in (2, 3))
_SUMS = frozenset({"mean", "sum", "amax", "amin"})
_PRODUCTS = frozenset({"addmm", "mm", "bmm", "baddbmm"})
_JOINS = {"cat": "concat", "stack": "stack", "add": "add", "sub": "sub", "mul": "mul", "maximum": "maximum"}
_ALONE = {
    **{name: name for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "sigmoid", "tanh", "softplus")},
    **{name: name for name in ("hardtanh", "hardswish", "hardsigmoid", "softmax", "log_softmax")},
    "prelu_kernel": "prelu",
    "native_batch_norm": "batch_norm",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
}
_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}  # inputs per output and axis


@dataclass(frozen=True, slots=True)
class Step:
    """What a row needs to know of one operation.

    Args:
        kind: what to call it where it stands alone; None where it is no layer of its own.
        shape: of its output, batch first.
        sight: of its output.
        kernel: of the sliding window, if it has one.
        stride: of the sliding window, if it has one.
        macs: of a convolution or dense layer.
    """

    kind: str | None
    shape: tuple[int, ...]
    sight: Sight
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    macs: int = 0


def conv_spec(name: str, args: Sequence[Any]) -> ConvSpec:
    """Give the spec of a call of `aten::convolution`, or of `ninefold::conv`, which pads before and after.

    Raises:
        InvalidSpec: when it has no output.
    """
    if name == "convolution":
        x, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
    else:
        x, weight, _, stride, before, after, dilation, groups, transposed, output_padding, _ = args
        padding = tuple(zip(before, after, strict=True))
    return ConvSpec.of(
        x.shape,
        weight.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=output_padding if transposed else 0,
    )


def step_of(name: str, args: Sequence[Any], seen: Sequence[tuple[Tensor, Sight]], out: Tensor) -> Step:
    """Describe the operation `name(*args)` that gave `out`; `seen` are the inputs that depend on the picture."""
    shape = tuple(out.shape)
    if name in CONVOLUTIONS:
        return _convolution(conv_spec(name, args), seen[0][1], shape)
    if name in _POOLS:
        return _pool(name, args, seen[0][1], shape)
    if name in _ADAPTIVE:
        return Step(name, shape, _adaptive(args[0].shape, seen[0][1], shape))
    if name in _PRODUCTS:
        return _product(args[-2], seen, shape)
    if name in _SUMS:
        return _sum(name, args, seen[0][1], shape)
    joined = reduce(lambda a, b: a.joined(b), (sight for _, sight in seen))
    sight = _moved(name, args, joined, shape) or _followed(joined, [tuple(tensor.shape) for tensor, _ in seen], shape)
    if name in _JOINS:
        return Step(_JOINS[name] if len(seen) > 1 else None, shape, sight)
    return Step("upsample" if name.startswith("upsample_") else _ALONE.get(name), shape, sight)


def _convolution(spec: ConvSpec, sight: Sight, shape: tuple[int, ...]) -> Step:
    windows = _trailing(spec.kernel, spec.stride, spec.dilation)
    after = sight.spread(windows, shape) if spec.transposed else sight.through(windows, shape)
    kind = f"conv_transpose{spec.dims}d" if spec.transposed else f"conv{spec.dims}d"
    return Step(kind, shape, after, spec.kernel, spec.stride, spec.macs)


def _pool(name: str, args: Sequence[Any], sight: Sight, shape: tuple[int, ...]) -> Step:
    dims = int(_POOLS[name][-2])
    kernel = per_axis(args[1], dims, "kernel")
    stride = per_axis(args[2], dims, "stride") if len(args) > 2 and args[2] else kernel
    dilated = name.startswith("max") and len(args) > 4
    dilation = per_axis(args[4], dims, "dilation") if dilated else (1,) * dims
    return Step(_POOLS[name], shape, sight.through(_trailing(kernel, stride, dilation), shape), kernel, stride)


def _adaptive(old: Sequence[int], sight: Sight, new: tuple[int, ...]) -> Sight:
    """Give the sight after windows that share n places out among m: the widest of them counts."""
    windows: dict[int, Window] = {}
    for dim, (n, m) in enumerate(zip(old, new, strict=True)):
        if dim > 1 and m > 1:
            widest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
            windows[dim] = (widest, -(-n // m), 1)
    return sight.used_up({dim for dim in range(2, len(new)) if new[dim] == 1}).through(windows, new)


def _product(left: Tensor, seen: Sequence[tuple[Tensor, Sight]], shape: tuple[int, ...]) -> Step:
    """Describe a matrix product: a dense layer if one side is constant, else every value sees what both sides saw."""
    if len(seen) > 1:
        everything = [sight.used_up(sight.dims) for _, sight in seen]
        return Step("matmul", shape, reduce(lambda a, b: a.joined(b), everything))
    tensor, sight = seen[0]
    summed = tensor.ndim - (1 if tensor is left else 2)
    return Step("linear", shape, sight.used_up({summed}), macs=prod(shape) * left.shape[-1])


def _sum(name: str, args: Sequence[Any], sight: Sight, shape: tuple[int, ...]) -> Step:
    rank = args[0].ndim
    given = args[1] if len(args) > 1 and args[1] else range(rank)
    dims = {d % rank for d in ([given] if isinstance(given, int) else given)}
    kept = [d for d in range(rank) if d not in dims] if len(shape) < rank else list(range(rank))
    moved = [kept.index(d) if d in kept else None for d in range(rank)]
    is_pooling = not dims.isdisjoint(sight.dims)
    return Step(name if is_pooling else None, shape, sight.used_up(dims, moved))


def _moved(name: str, args: Sequence[Any], sight: Sight, shape: tuple[int, ...]) -> Sight | None:
    """Give the sight after an operation that moves places about; None for all others."""
    rank = len(shape)
    if name == "permute":
        return sight.permuted([d % rank for d in args[1]])
    if name in {"transpose", "t"}:
        order = list(range(rank))
        first, second = (args[1], args[2]) if name == "transpose" else (0, -1)
        order[first], order[second] = order[second], order[first]
        return sight.permuted(order)
    if name == "stack":
        dim, old = (args[1] if len(args) > 1 else 0) % rank, tuple(args[0][0].shape)
        return sight.reshaped(old, (*old[:dim], 1, *old[dim:]))
    if name == "slice" and len(args) > 4:
        return sight.through({args[1] % rank: (1, args[4], 1)}, shape)
    if name in {"pixel_shuffle", "pixel_unshuffle"}:
        factor, spread = args[1], name == "pixel_shuffle"
        windows = _trailing((factor if spread else 1,) * 2, (factor,) * 2, (1, 1))
        return sight.spread(windows, shape) if spread else sight.through(windows, shape)
    if name.startswith("upsample_"):
        return _upsampled(name, args[0].shape, sight, shape)
    return None


def _upsampled(name: str, old: Sequence[int], sight: Sight, new: tuple[int, ...]) -> Sight:
    method = name.removeprefix("upsample_").strip("123d")
    factors = [max(1, m // n) for n, m in zip(old[2:], new[2:], strict=True)]
    kernel = tuple(_TAPS.get(method, 1) * f for f in factors)
    return sight.spread(_trailing(kernel, factors, (1,) * len(factors)), new)


def _followed(sight: Sight, inputs: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> Sight:
    """Give the sight after any other operation: element-wise, joining, padding, cropping or reshaping."""
    old = max(inputs, key=lambda came: (len(came) == len(shape), prod(came)))
    if old == shape:
        return sight
    if prod(old) == prod(shape):
        return sight.reshaped(old, shape)
    return sight.resized(old, shape) if len(old) == len(shape) else sight.used_up(sight.dims)


def _trailing(kernel: Axes, stride: Sequence[int], dilation: Sequence[int]) -> dict[int, Window]:
    """Give the windows of a layer that slides along the dimensions behind batch and channels."""
    return dict(enumerate(zip(kernel, stride, dilation, strict=True), start=2))
