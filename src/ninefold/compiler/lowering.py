"""Which operators of torch the graph knows, and how their arguments read.

A lowering takes a `Call` and gives the names of its results; None leaves the operator to torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Node as FxNode

from ninefold.compiler import windows
from ninefold.compiler.operations import (
    RELU,
    RELU6,
    Activation,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Multiply,
    Pad,
    Permute,
    Reshape,
    Shuffle,
    Slice,
)
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.compiler.call import Call, Lowering, Names

aten = torch.ops.aten


# Convolution and dense layers.


def _conv(call: Call) -> Names:
    return _conv_of(call, padding=call["padding"], transposed=False, output_padding=0)


def _conv_transpose(call: Call) -> Names:
    return _conv_of(call, padding=call["padding"], transposed=True, output_padding=call["output_padding"])


def _own_conv(call: Call) -> Names:
    padding = tuple(zip(call["before"], call["after"], strict=True))
    transposed = call["transposed"]
    return _conv_of(call, padding=padding, transposed=transposed, output_padding=call["output_padding"], x="x")


def _conv_of(call: Call, padding: Any, transposed: bool, output_padding: Any, x: str = "input") -> Names:
    of_x, of_weight = call.value(call.tensor(x)), call.value(call.tensor("weight"))
    if len(of_x.shape) != len(of_weight.shape):  # a single picture without a batch axis
        return None
    spec = ConvSpec.of(
        of_x.shape,
        of_weight.shape,
        stride=call["stride"],
        padding=padding,
        dilation=call["dilation"],
        groups=call["groups"],
        transposed=transposed,
        output_padding=output_padding,
    )
    bias = call.tensor("bias")
    return call.emit(Conv(spec, bias=bool(bias)), call.tensor(x), call.tensor("weight"), bias)


def _dense(call: Call) -> Names:
    bias = call.tensor("bias")
    if len(call.value(call.tensor("weight")).shape) != 2 or not call.is_float:
        return None
    return call.emit(Dense(bias=bool(bias)), call.first, call.tensor("weight"), bias)


def _batch_norm(call: Call) -> Names:
    return None if call["training"] else _normalized(call)


def _batch_norm_with_statistics(call: Call) -> Names:
    name = _normalized(call) if call.uses_only(0) else None
    return name if name is None else (name, "", "")


def _normalized(call: Call) -> str | None:
    statistics = [call.tensor(name) for name in ("running_mean", "running_var")]
    if not all(statistics):
        return None
    channels = call.result.shape[1]
    affine = [call.tensor(name) or call.constant(born, channels) for name, born in (("weight", 1.0), ("bias", 0.0))]
    return call.emit(BatchNorm(call["eps"]), call.first, *affine, *statistics)


# Elementwise.


def _activation(kind: str, *numbers: str) -> Lowering:
    def lower(call: Call) -> Names:
        activation = Activation(kind, tuple(float(call[number]) for number in numbers))
        return call.emit(activation, call.first) if call.is_float else None

    return lower


def _clamp(lower: str, upper: str) -> Lowering:
    def clamped(call: Call) -> Names:
        low = -torch.inf if call[lower] is None else float(call[lower])
        high = torch.inf if not upper or call[upper] is None else float(call[upper])
        activation = RELU if (low, high) == (0.0, torch.inf) else Activation("clamp", (low, high))
        return call.emit(activation, call.first) if call.is_float else None

    return clamped


def _relu6(call: Call) -> Names:
    return call.emit(RELU6, call.first) if call.is_float else None


def _gelu(call: Call) -> Names:
    return call.emit(Activation("gelu" if call["approximate"] == "none" else "gelu_tanh"), call.first)


def _softplus(call: Call) -> Names:
    # Beyond a threshold of 15 or more, x itself is log(1 + exp(x)) in float32.
    return call.emit(Activation("softplus"), call.first) if call["beta"] == 1 and call["threshold"] >= 15 else None


def _elu(call: Call) -> Names:
    plain = call["scale"] == 1 and call["input_scale"] == 1
    return call.emit(Activation("elu", (float(call["alpha"]),)), call.first) if plain else None


def _operands(call: Call, change: Callable[[float], float]) -> tuple[str, str] | None:
    """Give the names of both operands, a number as a constant; None unless all are of the result's dtype."""
    other = call["other"]
    if not call.is_float or call.value(call.first).dtype != call.result.dtype:
        return None
    if isinstance(other, FxNode):
        return (
            (call.first, call.tensor("other")) if call.value(call.tensor("other")).dtype == call.result.dtype else None
        )
    return call.first, call.constant(change(float(other)))


def _add(call: Call) -> Names:
    operands = _operands(call, float) if call["alpha"] == 1 else None
    return call.emit(Add(), *operands) if operands else None


def _subtract(call: Call) -> Names:
    is_number = not isinstance(call["other"], FxNode) and call["alpha"] == 1
    operands = _operands(call, lambda number: -number) if is_number else None
    return call.emit(Add(), *operands) if operands else None


def _multiply(call: Call) -> Names:
    operands = _operands(call, float)
    return call.emit(Multiply(), *operands) if operands else None


def _divide(call: Call) -> Names:
    is_number = not isinstance(call["other"], FxNode) and call["other"] != 0
    operands = _operands(call, lambda number: 1.0 / number) if is_number else None
    return call.emit(Multiply(), *operands) if operands else None


# Shapes.


def _same(call: Call) -> Names:
    """Give x itself for what copies it; a copy that is returned stays one, so that a caller may change it."""
    name = call.first
    same = call.value(name) == call.result
    return name if same and (call.is_computed(name) or not call.is_returned) else None


def _dropout(call: Call) -> Names:
    return None if call["train"] else _same(call)


def _reshape(call: Call) -> Names:
    return call.emit(Reshape(call.result.shape), call.first)


def _permute(call: Call) -> Names:
    rank = len(call.result.shape)
    return call.emit(Permute(tuple(axis % rank for axis in call["dims"])), call.first)


def _transpose(call: Call) -> Names:
    rank = len(call.result.shape)
    if rank == 0:
        return None
    axes = list(range(rank))
    first, second = call["dim0"] % rank, call["dim1"] % rank
    axes[first], axes[second] = second, first
    return call.emit(Permute(tuple(axes)), call.first)


def _slice(call: Call) -> Names:
    shape = call.value(call.first).shape
    axis = call["dim"] % len(shape)
    length = shape[axis]
    start, stop, _ = slice(call["start"], call["end"]).indices(length)
    return call.emit(Slice(axis, start, max(start, stop), call["step"]), call.first)


def _split(call: Call) -> Names:
    parts = [part.shape for part in call.results]
    axis, start, names = call["dim"] % len(parts[0]), 0, []
    for index, shape in enumerate(parts):
        part = Slice(axis, start, start + shape[axis])
        names.append(call.emit(part, call.first, name=str(index), shape=shape))
        start += shape[axis]
    return tuple(names)


def _concat(call: Call) -> Names:
    names, shape = [call.name(t) for t in call["tensors"]], call.result.shape
    values = [call.value(name) for name in names]
    if any(len(v.shape) != len(shape) or v.dtype != call.result.dtype for v in values):
        return None
    return call.emit(Concat(call["dim"] % len(shape)), *names)


def _pad(call: Call) -> Names:
    constant = call.get("mode", "constant") == "constant"
    pairs = list(zip(call["pad"][::2], call["pad"][1::2], strict=True))
    if not constant or not call.is_float or min(map(min, pairs), default=0) < 0:
        return None
    rank = len(call.result.shape)
    padding = ((0, 0),) * (rank - len(pairs)) + tuple(reversed(pairs))
    return call.emit(Pad(padding, float(call["value"] or 0.0)), call.first)


def _channel_shuffle(call: Call) -> Names:
    return call.emit(Shuffle(call["groups"]), call.first)


def lowering_of(target: Any) -> Lowering | None:
    """Give what an operator becomes, or None for one that the graph does not know."""
    return _LOWERINGS.get(target) or _BY_NAME.get(str(target))


# Operators that exist only once their room has been imported.
_BY_NAME: dict[str, Lowering] = {"ninefold.conv.default": _own_conv}

_LOWERINGS: dict[Any, Lowering] = {
    **{getattr(aten, f"conv{d}d").default: _conv for d in (1, 2, 3)},
    **{getattr(aten, f"conv{d}d").padding: _conv for d in (1, 2, 3)},
    aten.conv_transpose1d.default: _conv_transpose,
    aten.conv_transpose2d.input: _conv_transpose,
    aten.conv_transpose3d.input: _conv_transpose,
    aten.linear.default: _dense,
    aten.batch_norm.default: _batch_norm,
    aten._native_batch_norm_legit_no_training.default: _batch_norm_with_statistics,  # noqa: SLF001
    aten.relu.default: _activation("relu"),
    aten.relu6.default: _relu6,
    aten.hardtanh.default: _clamp("min_val", "max_val"),
    aten.clamp.default: _clamp("min", "max"),
    aten.clamp_min.default: _clamp("min", ""),
    aten.leaky_relu.default: _activation("leaky_relu", "negative_slope"),
    aten.elu.default: _elu,
    aten.silu.default: _activation("silu"),
    aten.hardswish.default: _activation("hardswish"),
    aten.hardsigmoid.default: _activation("hardsigmoid"),
    aten.sigmoid.default: _activation("sigmoid"),
    aten.tanh.default: _activation("tanh"),
    aten.gelu.default: _gelu,
    aten.selu.default: _activation("selu"),
    aten.softplus.default: _softplus,
    aten.mish.default: _activation("mish"),
    aten.add.Tensor: _add,
    aten.sub.Tensor: _subtract,
    aten.mul.Tensor: _multiply,
    aten.div.Tensor: _divide,
    **{getattr(aten, f"max_pool{d}d").default: windows.max_pool for d in (1, 2, 3)},
    aten.max_pool2d_with_indices.default: windows.max_pool_with_places,
    aten.max_pool3d_with_indices.default: windows.max_pool_with_places,
    **{getattr(aten, f"avg_pool{d}d").default: windows.average_pool for d in (1, 2, 3)},
    **{getattr(aten, f"adaptive_avg_pool{d}d").default: windows.adaptive_average_pool for d in (1, 2, 3)},
    aten.adaptive_max_pool2d.default: windows.adaptive_max_pool,
    aten.mean.dim: windows.mean,
    aten.amax.default: windows.largest,
    aten.max.dim: windows.largest_with_place,
    **dict.fromkeys((aten.clone.default, aten.alias.default, aten.detach.default, aten.contiguous.default), _same),
    **dict.fromkeys((aten.lift_fresh_copy.default, aten._to_copy.default), _same),  # noqa: SLF001
    **dict.fromkeys((aten.dropout.default, aten.feature_dropout.default), _dropout),
    **dict.fromkeys((aten.view.default, aten._unsafe_view.default, aten.reshape.default), _reshape),  # noqa: SLF001
    **dict.fromkeys((aten.flatten.using_ints, aten.unflatten.int, aten.unsqueeze.default), _reshape),
    **dict.fromkeys((aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims), _reshape),
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.slice.Tensor: _slice,
    **dict.fromkeys((aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default), _split),
    aten.cat.default: _concat,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _pad,
    aten.upsample_nearest2d.vec: windows.upsample,
    aten.upsample_bilinear2d.vec: windows.upsample_bilinear,
    aten.channel_shuffle.default: _channel_shuffle,
}
