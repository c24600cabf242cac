"""The public door: convolutions as callers write them.

Tensors and names are checked here. Sizes are for `ConvSpec`, which the operator builds from the real ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ninefold.errors import InvalidInput, InvalidSpec, Unsupported
from ninefold.ops import node
from ninefold.ops.engine import DTYPES
from ninefold.ops.node import Window
from ninefold.ops.select import AUTO, check_name, rule
from ninefold.spec import padding_pairs, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.ops.engine import Precision
    from ninefold.spec import ConvSpec, Padding


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    engine: str = AUTO,
    precision: Precision = "fast",
) -> Tensor:
    """Convolve along one axis, as `conv2d` does over two.

    Args:
        x: (N, C, L) or (C, L).
        weight: (O, C / groups, K).
        bias: (O,), or None for none.
        stride, padding, dilation, groups, engine, precision: as for `conv2d`.

    >>> conv1d(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[[1.0, 10.0]]]))
    tensor([[21., 32., 43.]])
    """
    return _dense(_operands(1, x, weight, bias), stride, padding, dilation, groups, rule(engine, precision))


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    engine: str = AUTO,
    precision: Precision = "fast",
) -> Tensor:
    """Convolve over two axes; argument for argument `torch.nn.functional.conv2d`, with more kinds of padding.

        y[n, o, i] = bias[o] + sum over c, k of  x[n, c, stride * i + dilation * k - before] * weight[o, c, k]

    Args:
        x: (N, C, H, W) or (C, H, W), of float32, float64, bfloat16 or float16.
        weight: (O, C / groups, KH, KW), of x's dtype and on its device.
        bias: (O,), likewise, or None for none.
        stride: >= 1; one integer counts for all axes.
        padding: "valid", "same", "full", integers, or (before, after) pairs: see `ninefold.spec.padding_pairs`.
        dilation: >= 1; one integer counts for all axes.
        groups: >= 1, dividing C and O.
        engine: "auto" for the one measured fastest on this machine, or a name of `ninefold.ops.ENGINES`.
        precision: "fast" for any algorithm; "exact" for those alone whose rounding errors stay within twice those of
            summing directly, which leaves Winograd's and Fourier's out.

    Returns:
        (N, O, OH, OW), or (O, OH, OW) for an x without batch; contiguous.

    Raises:
        InvalidInput: when tensors differ in dtype or device, x has the wrong number of axes, or the named
            engine is not exact and `precision` is.
        InvalidSpec: when the shapes do not meet or the output would be empty.
        UnknownName: when there is no engine of that name.
        Unsupported: when the named engine cannot compute this convolution, or forward-mode derivatives are asked for.

    >>> x, weight = torch.arange(1.0, 17).view(1, 1, 4, 4), torch.tensor([[[[-1.0, 0, 1]] * 3]])
    >>> conv2d(x, weight)
    tensor([[[[6., 6.],
              [6., 6.]]]])
    >>> conv2d(x, weight, padding=((0, 1), (2, 1))).shape
    torch.Size([1, 1, 3, 5])
    """
    return _dense(_operands(2, x, weight, bias), stride, padding, dilation, groups, rule(engine, precision))


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    engine: str = AUTO,
    precision: Precision = "fast",
) -> Tensor:
    """Convolve over three axes, as `conv2d` does over two.

    Args:
        x: (N, C, D, H, W) or (C, D, H, W).
        weight: (O, C / groups, KD, KH, KW).
        bias: (O,), or None for none.
        stride, padding, dilation, groups, engine, precision: as for `conv2d`.

    >>> conv3d(torch.ones(1, 2, 4, 5, 6), torch.ones(3, 2, 2, 2, 2), stride=2).shape
    torch.Size([1, 3, 2, 2, 3])
    """
    return _dense(_operands(3, x, weight, bias), stride, padding, dilation, groups, rule(engine, precision))


def conv_transpose1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    *,
    engine: str = AUTO,
) -> Tensor:
    """Spread values along one axis, as `conv_transpose2d` does over two.

    Args:
        x: (N, C, L) or (C, L).
        weight: (C, O / groups, K).
        bias: (O,), or None for none.
        stride, padding, output_padding, groups, dilation, engine: as for `conv_transpose2d`.

    >>> conv_transpose1d(torch.tensor([[1.0, 10.0]]), torch.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[ 1.,  2., 13., 20., 30.]])
    """
    return _transposed(_operands(1, x, weight, bias), stride, padding, output_padding, groups, dilation, engine)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    *,
    engine: str = AUTO,
) -> Tensor:
    """Spread each value over the kernel's places, the adjoint of `conv2d`; as `torch.nn.functional.conv_transpose2d`.

        y[n, o, stride * i + dilation * k - before] += x[n, c, i] * weight[c, o, k], starting from bias[o]

    Args:
        x: (N, C, H, W) or (C, H, W), of float32, float64, bfloat16 or float16.
        weight: (C, O / groups, KH, KW), of x's dtype and on its device.
        bias: (O,), likewise, or None for none.
        stride: >= 1; one integer counts for all axes.
        padding: outputs to cut off at both ends, written as for `conv2d`.
        output_padding: further outputs at the end, below max(stride, dilation).
        groups: >= 1, dividing C and O.
        dilation: >= 1; one integer counts for all axes.
        engine: as for `conv2d`.

    Returns:
        (N, O, OH, OW), or (O, OH, OW) for an x without batch; contiguous.

    Raises:
        InvalidInput: when tensors differ in dtype or device, or x has the wrong number of axes.
        InvalidSpec: when the shapes do not meet or the output would be empty.
        UnknownName: when there is no engine of that name.
        Unsupported: when the named engine cannot compute this convolution, or forward-mode derivatives are asked for.

    >>> conv_transpose2d(torch.ones(1, 8, 16, 16), torch.ones(8, 4, 3, 3), stride=2, padding=1, output_padding=1).shape
    torch.Size([1, 4, 32, 32])
    """
    return _transposed(_operands(2, x, weight, bias), stride, padding, output_padding, groups, dilation, engine)


def conv_transpose3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    *,
    engine: str = AUTO,
) -> Tensor:
    """Spread values over three axes, as `conv_transpose2d` does over two.

    Args:
        x: (N, C, D, H, W) or (C, D, H, W).
        weight: (C, O / groups, KD, KH, KW).
        bias: (O,), or None for none.
        stride, padding, output_padding, groups, dilation, engine: as for `conv_transpose2d`.

    >>> conv_transpose3d(torch.ones(1, 2, 2, 3, 4), torch.ones(2, 1, 2, 2, 2), stride=2).shape
    torch.Size([1, 1, 4, 6, 8])
    """
    return _transposed(_operands(3, x, weight, bias), stride, padding, output_padding, groups, dilation, engine)


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    spec: ConvSpec,
    engine: str = AUTO,
    precision: Precision = "fast",
) -> Tensor:
    """Compute the convolution that a spec describes, dense or transposed.

    Args:
        x: `spec.input_shape`.
        weight: `spec.weight_shape`.
        bias: (O,), or None for none.
        spec: says the rest.
        engine, precision: as for `conv2d`.

    Returns:
        `spec.output_shape`, contiguous.

    Raises:
        InvalidSpec: when a tensor has another shape than the spec says.
        InvalidInput, UnknownName, Unsupported: as `conv2d`.

    >>> from ninefold.spec import ConvSpec
    >>> x, weight = torch.ones(1, 2, 8), torch.ones(3, 2, 5)
    >>> conv(x, weight, None, ConvSpec.of(x.shape, weight.shape, padding="same")).shape
    torch.Size([1, 3, 8])
    """
    operands = _operands(spec.dims, x, weight, bias)
    for name, tensor, shape in (("x", x, spec.input_shape), ("weight", weight, spec.weight_shape)):
        if tuple(tensor.shape) != shape:
            raise InvalidSpec(
                f"{name} of shape {tuple(tensor.shape)} came, and the spec wants {shape}; describe these tensors"
            )
    return _run(operands, Window.of_spec(spec), spec.transposed, spec.output_padding, rule(engine, precision))


class _Operands(NamedTuple):
    x: Tensor  # (N, C, *size)
    weight: Tensor
    bias: Tensor | None
    batched: bool


def _dense(
    operands: _Operands,
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
    groups: int,
    engine: str,
) -> Tensor:
    window = _window(operands.weight, stride, padding, dilation, groups)
    return _run(operands, window, False, (0,) * len(window.stride), engine)


def _transposed(
    operands: _Operands,
    stride: int | Sequence[int],
    padding: Padding,
    output_padding: int | Sequence[int],
    groups: int,
    dilation: int | Sequence[int],
    engine: str,
) -> Tensor:
    window = _window(operands.weight, stride, padding, dilation, groups)
    return _run(operands, window, True, per_axis(output_padding, len(window.stride), "output_padding"), engine)


def _window(
    weight: Tensor, stride: int | Sequence[int], padding: Padding, dilation: int | Sequence[int], groups: int
) -> Window:
    if not isinstance(groups, int):
        raise InvalidInput(f"groups={groups!r} is no integer; give one that divides the channels of input and output")
    kernel = tuple(weight.shape[2:])
    strides, dilations = per_axis(stride, len(kernel), "stride"), per_axis(dilation, len(kernel), "dilation")
    before, after = zip(*padding_pairs(padding, kernel, strides, dilations), strict=True)
    return Window(strides, before, after, dilations, groups)


def _run(operands: _Operands, window: Window, transposed: bool, output_padding: Sequence[int], engine: str) -> Tensor:
    x, weight, bias, batched = operands
    check_name(engine)
    out_channels = weight.shape[1] * window.groups if transposed else weight.shape[0]
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise InvalidSpec(
            f"a bias of shape {tuple(bias.shape)} does not meet {out_channels} output channels; "
            f"give one of shape ({out_channels},)"
        )
    y: Tensor = node.conv(x, weight, bias, *window, transposed, output_padding, engine)
    return y if batched else y.squeeze(0)


def _operands(dims: int, x: Tensor, weight: Tensor, bias: Tensor | None) -> _Operands:
    named = {"x": x, "weight": weight} if bias is None else {"x": x, "weight": weight, "bias": bias}
    for name, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise InvalidInput(f"{name} is a {type(tensor).__name__}; give a torch.Tensor")
    if weight.dim() != dims + 2 or x.dim() not in (dims + 1, dims + 2):
        raise InvalidInput(
            f"x of shape {tuple(x.shape)} and weight of shape {tuple(weight.shape)} came; wanted {dims} spatial axes: "
            f"{dims + 2} axes each, or {dims + 1} for an x without batch"
        )
    cast = {name: _as_autocast_would(tensor) for name, tensor in named.items()}
    _check_kinds(cast)
    batched = x.dim() == dims + 2
    return _Operands(cast["x"] if batched else cast["x"].unsqueeze(0), cast["weight"], cast.get("bias"), batched)


def _as_autocast_would(tensor: Tensor) -> Tensor:
    kind = tensor.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return tensor
    eligible = tensor.is_floating_point() and tensor.dtype != torch.float64  # PyTorch leaves float64 alone
    return tensor.to(torch.get_autocast_dtype(kind)) if eligible else tensor


def _check_kinds(tensors: dict[str, Tensor]) -> None:
    x = tensors["x"]
    if x.dtype not in DTYPES:
        raise InvalidInput(f"x is of {x.dtype}; convert it to one of {', '.join(map(str, DTYPES))}")
    for name, tensor in tensors.items():
        if tensor.dtype != x.dtype:
            raise InvalidInput(f"x is of {x.dtype} and {name} of {tensor.dtype}; convert them to one dtype")
        if tensor.device != x.device:
            raise InvalidInput(f"x is on {x.device} and {name} on {tensor.device}; move them to one device")
        if _has_tangent(tensor):
            raise Unsupported(f"{name} carries a forward-mode tangent; use reverse mode, such as torch.func.vjp")


def _has_tangent(tensor: Tensor) -> bool:
    """Tell what the operator would drop without a word; Dynamo, which cannot trace the question, is not asked."""
    if torch.compiler.is_compiling():
        return False
    unpacked = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return unpacked.tangent is not None
