"""The two operators that PyTorch sees: `ninefold::conv` and `ninefold::conv_weight_gradient`.

Each is one opaque node to `torch.compile` and `torch.export`: a kernel that selects an engine and runs it, a fake
kernel that only says the output's shape, and a rule for its gradients. With image and places as in `engines.sides`,
each operator is one of three sums, whose gradients are such sums again, so derivatives of every order exist:

    slide      conv, dense              d image = spread(d, weight)    d weight = compare(image, d)
    spread     conv, transposed         d places = slide(d, weight)    d weight = compare(d, places)
    compare    conv_weight_gradient     d image = spread(places, d)    d places = slide(image, d)

An operator's schema holds only tensors, numbers and strings, hence the long argument lists. Sizes may be symbolic
everywhere but in the two kernels, so shapes are plain sums here and no `ConvSpec` is built from them. Both operators
return new, contiguous tensors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ninefold.ops.engines.sides import at
from ninefold.ops.select import Job, choose
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ninefold.ops.engine import Engine
    from ninefold.spec import Axes


class Window(NamedTuple):
    """How a kernel moves over the image, as the operators' arguments spell it."""

    stride: Axes
    before: Axes
    after: Axes
    dilation: Axes
    groups: int

    @classmethod
    def of(
        cls, stride: Sequence[int], before: Sequence[int], after: Sequence[int], dilation: Sequence[int], groups: int
    ) -> Window:
        """Build a window from an operator's arguments, which PyTorch hands over as lists."""
        return cls(tuple(stride), tuple(before), tuple(after), tuple(dilation), groups)

    @classmethod
    def of_spec(cls, spec: ConvSpec) -> Window:
        """Read the window from a spec."""
        before, after = zip(*spec.padding, strict=True)
        return cls(spec.stride, before, after, spec.dilation, spec.groups)

    def missing(self, kernel: Sequence[int]) -> list[int]:
        """Count how many fewer places than image elements there are at stride 1, per axis."""
        axes = zip(self.dilation, kernel, self.before, self.after, strict=True)
        return [d * (k - 1) - before - after for d, k, before, after in axes]


@torch.library.custom_op(
    "ninefold::conv",
    mutates_args=(),
    schema=(
        "(Tensor x, Tensor weight, Tensor? bias, int[] stride, int[] before, int[] after, int[] dilation, int groups, "
        "bool transposed, SymInt[] output_padding, str engine) -> Tensor"
    ),
)
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    transposed: bool,
    output_padding: Sequence[int],
    engine: str,
) -> Tensor:
    """Compute a convolution with the engine of that name; `ConvSpec` says what the arguments mean."""
    window = Window.of(stride, before, after, dilation, groups)
    spec = _described((x.shape, weight.shape), window, transposed, tuple(output_padding))

    def attempt(candidate: Engine[Any]) -> Tensor:
        return candidate.run(x, candidate.prepare(weight, spec), bias, spec)

    if x.numel() == 0:  # nothing to sum: no engine needs to know of empty tensors
        y = x.new_zeros(spec.output_shape)
        return y if bias is None else y.add_(bias.view(-1, *(1,) * spec.dims))
    with torch.autocast(x.device.type, enabled=False):  # an engine decides itself what it computes in
        chosen = choose(engine, Job(spec, x.device, x.dtype, "conv"), attempt)
        return attempt(chosen).contiguous()


@torch.library.custom_op(
    "ninefold::conv_weight_gradient",
    mutates_args=(),
    schema=(
        "(Tensor x, Tensor grad, SymInt[] kernel, int[] stride, int[] before, int[] after, int[] dilation, int groups, "
        "str engine) -> Tensor"
    ),
)
def conv_weight_gradient(
    x: Tensor,
    grad: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    engine: str,
) -> Tensor:
    """Compute the gradient for the weight of a dense convolution; `ConvSpec` says what the arguments mean."""
    window = Window.of(stride, before, after, dilation, groups)
    weight_shape = (grad.shape[1], x.shape[1] // groups, *kernel)
    spec = _described((x.shape, weight_shape), window, False, (0,) * len(kernel))

    def attempt(candidate: Engine[Any]) -> Tensor:
        return candidate.weight_gradient(x, grad, spec)

    if x.numel() == 0:
        return x.new_zeros(weight_shape)
    with torch.autocast(x.device.type, enabled=False):
        chosen = choose(engine, Job(spec, x.device, x.dtype, "weight_gradient"), attempt)
        return attempt(chosen).contiguous()


@conv.register_fake
def _conv_shape(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,  # noqa: ARG001  # the operator's signature
    stride: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    transposed: bool,
    output_padding: Sequence[int],
    engine: str,  # noqa: ARG001  # the operator's signature
) -> Tensor:
    window = Window.of(stride, before, after, dilation, groups)
    if all(type(n) is int for n in (*x.shape, *weight.shape, *output_padding)):
        return x.new_empty(_described((x.shape, weight.shape), window, transposed, tuple(output_padding)).output_shape)
    missing = window.missing(weight.shape[2:])
    if transposed:
        axes = zip(x.shape[2:], stride, missing, output_padding, strict=True)
        size = [(n - 1) * s + more + p + 1 for n, s, more, p in axes]
        return x.new_empty((x.shape[0], weight.shape[1] * groups, *size))
    size = [(n - more - 1) // s + 1 for n, s, more in zip(x.shape[2:], stride, missing, strict=True)]
    return x.new_empty((x.shape[0], weight.shape[0], *size))


@conv_weight_gradient.register_fake
def _conv_weight_gradient_shape(
    x: Tensor,
    grad: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],  # noqa: ARG001  # the operator's signature
    before: Sequence[int],  # noqa: ARG001
    after: Sequence[int],  # noqa: ARG001
    dilation: Sequence[int],  # noqa: ARG001
    groups: int,
    engine: str,  # noqa: ARG001
) -> Tensor:
    return x.new_empty((grad.shape[1], x.shape[1] // groups, *kernel))


# --8<-- [start:gradients]
def _slide(image: Tensor, weight: Tensor, window: Window, engine: str) -> Tensor:
    places: Tensor = conv(image, weight, None, *window, False, [0] * len(window.stride), engine)
    return places


def _spread(places: Tensor, weight: Tensor, image_size: Sequence[int], window: Window, engine: str) -> Tensor:
    if 0 in image_size:
        return places.new_zeros((places.shape[0], weight.shape[1] * window.groups, *image_size))
    missing = window.missing(weight.shape[2:])
    left_over = [(n - more - 1) % s for n, more, s in zip(image_size, missing, window.stride, strict=True)]
    image: Tensor = conv(places, weight, None, *window, True, left_over, engine)
    return image


def _compare(image: Tensor, places: Tensor, kernel: Sequence[int], window: Window, engine: str) -> Tensor:
    weight: Tensor = conv_weight_gradient(image, places, kernel, *window, engine)
    return weight


def _keep_for_conv(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  # PyTorch's signature
    x, weight, _, *window, ctx.transposed, ctx.output_padding, ctx.engine = inputs
    ctx.window = Window.of(*window)
    ctx.save_for_backward(x, weight)


def _conv_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    window, engine = ctx.window, ctx.engine
    wants_x, wants_weight, wants_bias = ctx.needs_input_grad[:3]
    bias_gradient = grad.sum((0, *range(2, grad.dim()))) if wants_bias else None
    image, places = x, grad
    if ctx.transposed:
        reached, window = _reached(grad, window, ctx.output_padding)
        image, places = reached, x
    x_gradient = weight_gradient = None
    if wants_x and ctx.transposed:
        x_gradient = _slide(image, weight, window, engine)
    elif wants_x:
        x_gradient = _spread(places, weight, x.shape[2:], window, engine)
    if wants_weight:
        weight_gradient = _compare(image, places, weight.shape[2:], window, engine)
    return x_gradient, weight_gradient, bias_gradient, *(None,) * 8


def _keep_for_conv_weight_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, grad, _, *window, ctx.engine = inputs
    ctx.window = Window.of(*window)
    ctx.save_for_backward(x, grad)


def _conv_weight_gradient_gradients(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
    image, places = ctx.saved_tensors
    wants_image, wants_places = ctx.needs_input_grad[:2]
    image_gradient = _spread(places, weight, image.shape[2:], ctx.window, ctx.engine) if wants_image else None
    places_gradient = _slide(image, weight, ctx.window, ctx.engine) if wants_places else None
    return image_gradient, places_gradient, *(None,) * 7


conv.register_autograd(_conv_gradients, setup_context=_keep_for_conv)
conv_weight_gradient.register_autograd(_conv_weight_gradient_gradients, setup_context=_keep_for_conv_weight_gradient)
# --8<-- [end:gradients]


def _reached(grad: Tensor, window: Window, output_padding: Sequence[int]) -> tuple[Tensor, Window]:
    """Leave out the ends of a transposed convolution's output that no input reaches: `ConvSpec.input_gradient`."""
    unreached = [p // s * s for p, s in zip(output_padding, window.stride, strict=True)]
    if not any(unreached):
        return grad, window
    sizes = zip(grad.shape[2:], unreached, window.after, strict=True)
    kept = [n - max(u - after, 0) for n, u, after in sizes]  # negative where `before` cuts off all that is reached
    before = tuple(b + min(n, 0) for b, n in zip(window.before, kept, strict=True))
    after = tuple(max(a - u, 0) for a, u in zip(window.after, unreached, strict=True))
    return at(grad, (slice(0, max(n, 0)) for n in kept)), window._replace(before=before, after=after)


@lru_cache(maxsize=4096)  # small convolutions would spend more time on checking their sizes than on computing
def _described(shapes: tuple[Axes, Axes], window: Window, transposed: bool, output_padding: Axes) -> ConvSpec:
    stride, before, after, dilation, groups = window
    return ConvSpec.of(
        *shapes,
        stride=stride,
        padding=tuple(zip(before, after, strict=True)),
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=output_padding,
    )
