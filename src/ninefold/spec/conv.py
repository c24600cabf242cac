"""One convolution, described before it is computed: sizes, work and bytes, without data."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Self

from ninefold.errors import InvalidSpec
from ninefold.spec.arguments import Axes, Padding, Pairs, padding_pairs, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """One convolution of 1, 2 or 3 spatial axes, dense or transposed, without its data.

    Dense, per axis, with input x, weight w and output y (cross-correlation, as every deep learning library calls
    convolution; `ninefold.reference.convolve` flips the kernel):

        y[n, o, i] = b[o] + sum over c, k of  x[n, c, stride * i + dilation * k - before] * w[o, c, k]
        out        = (in + before + after - dilation * (kernel - 1) - 1) // stride + 1

    Transposed, the adjoint of the above (each input value spreads over the kernel's places):

        y[n, o, stride * i + dilation * k - before] += x[n, c, i] * w[c, o, k]
        out        = (in - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1

    With groups, input and output channels are cut into that many equal runs, and run g of the output sees run g of the
    input only. Build one with `ConvSpec.of`, which takes shapes and arguments as callers write them.

    Args:
        batch: pictures, >= 0.
        in_channels: channels of x, >= 1, divisible by `groups`.
        out_channels: channels of y, >= 1, divisible by `groups`.
        in_size: spatial size of x, in elements, one per axis.
        kernel: spatial size of w, >= 1 per axis.
        stride: step between neighbouring outputs, >= 1 per axis.
        padding: zeros (before, after) the input, >= 0, one pair per axis; transposed: outputs cut off.
        dilation: step between neighbouring kernel elements, >= 1 per axis.
        groups: >= 1.
        transposed: whether this is the adjoint.
        output_padding: transposed only: further outputs at the end, below max(stride, dilation) per axis.

    Raises:
        InvalidSpec: when a value is out of range or the output would be empty; the message quotes the input.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv 1603.07285, relations
    6 and 14, extended by dilation and by padding per side.
    """

    batch: int
    in_channels: int
    out_channels: int
    in_size: Axes
    kernel: Axes
    stride: Axes
    padding: Pairs
    dilation: Axes
    groups: int = 1
    transposed: bool = False
    output_padding: Axes = ()

    def __post_init__(self) -> None:
        if not self.output_padding:
            object.__setattr__(self, "output_padding", (0,) * self.dims)
        self._check_ranges()
        self._check_channels()
        self._check_size()

    @classmethod
    def of(
        cls,
        x_shape: Sequence[int],
        weight_shape: Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        transposed: bool = False,
        output_padding: int | Sequence[int] = 0,
    ) -> Self:
        """Describe the convolution of an input and a weight of these shapes.

        Args:
            x_shape: (N, C, *in_size).
            weight_shape: (O, C / groups, *kernel); transposed: (C, O / groups, *kernel).
            stride: as in `ConvSpec`; one integer counts for all axes.
            padding: "valid", "same", "full", integers or (before, after) pairs: see `padding_pairs`.
            dilation: as `stride`.
            groups: as in `ConvSpec`.
            transposed: as in `ConvSpec`.
            output_padding: as in `ConvSpec`; one integer counts for all axes.

        Raises:
            InvalidSpec: when the shapes do not meet or the output would be empty.

        >>> ConvSpec.of((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3).output_shape
        (1, 64, 112, 112)
        """
        dims = len(weight_shape) - 2
        if dims not in (1, 2, 3) or len(x_shape) != dims + 2:
            raise InvalidSpec(
                f"an input of shape {tuple(x_shape)} does not meet a weight of shape {tuple(weight_shape)}; "
                "wanted (N, C, *size) and (O, C / groups, *kernel) with the same 1, 2 or 3 spatial axes"
            )
        kernel = tuple(weight_shape[2:])
        strides, dilations = per_axis(stride, dims, "stride"), per_axis(dilation, dims, "dilation")
        spec = cls(
            batch=x_shape[0],
            in_channels=x_shape[1],
            out_channels=weight_shape[1] * groups if transposed else weight_shape[0],
            in_size=tuple(x_shape[2:]),
            kernel=kernel,
            stride=strides,
            padding=padding_pairs(padding, kernel, strides, dilations),
            dilation=dilations,
            groups=groups,
            transposed=transposed,
            output_padding=per_axis(output_padding, dims, "output_padding"),
        )
        if tuple(weight_shape) != spec.weight_shape:
            raise InvalidSpec(
                f"a weight of shape {tuple(weight_shape)} does not meet an input of {spec.in_channels} channels in "
                f"{groups} groups; wanted a weight of shape {spec.weight_shape}"
            )
        return spec

    @property
    def dims(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return len(self.kernel)

    @property
    def extent(self) -> Axes:
        """Input elements that one output spans, per axis: dilation * (kernel - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def out_size(self) -> Axes:
        """Spatial size of the output, per axis: the formulas of the class."""
        axes = zip(self.in_size, self.extent, self.stride, self.padding, self.output_padding, strict=True)
        if self.transposed:
            return tuple((n - 1) * s - before - after + e + extra for n, e, s, (before, after), extra in axes)
        return tuple((n + before + after - e) // s + 1 for n, e, s, (before, after), _ in axes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, *in_size)."""
        return (self.batch, self.in_channels, *self.in_size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(O, C / groups, *kernel); transposed: (C, O / groups, *kernel)."""
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(N, O, *out_size)."""
        return (self.batch, self.out_channels, *self.out_size)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the definition, padding included: batch * places * kernel * C * O / groups.

        Places are those of y; transposed, those of x.
        """
        places = prod(self.in_size if self.transposed else self.out_size)
        return self.batch * places * prod(self.weight_shape)

    def bytes(self, itemsize: int) -> int:
        """Bytes of input, weight and output together, each touched once, at `itemsize` bytes per number."""
        return itemsize * (prod(self.input_shape) + prod(self.weight_shape) + prod(self.output_shape))

    def input_gradient(self) -> ConvSpec:
        """Describe the convolution that maps the output's gradient to the input's, with the same weight tensor.

        Dense gives transposed and transposed gives dense. What a stride leaves over at the end of the input becomes
        `output_padding`; outputs that no input reaches (`output_padding` of a stride or more) are left out: `in_size`
        is `out_size` less those that `padding` does not cut off, and `padding` is less those that it does.

        >>> dense = ConvSpec.of((1, 2, 8), (5, 2, 3), stride=2)
        >>> dense.out_size, dense.input_gradient().output_padding, dense.input_gradient().out_size
        ((3,), (1,), (8,))
        """
        if self.transposed:
            in_size, padding = self._without_unreached()
            return self._adjoint(in_size, padding, output_padding=())
        axes = zip(self.in_size, self.padding, self.extent, self.stride, strict=True)
        left_over = tuple((n + before + after - e) % s for n, (before, after), e, s in axes)
        return self._adjoint(self.out_size, self.padding, output_padding=left_over)

    def _without_unreached(self) -> tuple[Axes, Pairs]:
        # The unreached values are the last ones before `padding` cuts: what `after` cuts of them is not in the output.
        sizes, pairs = [], []
        axes = zip(self.out_size, self.output_padding, self.stride, self.padding, strict=True)
        for n, p, s, (before, after) in axes:
            unreached = p // s * s
            kept = n - max(unreached - after, 0)  # negative when `before` cuts every value that an input reaches
            sizes.append(max(kept, 0))
            pairs.append((before + min(kept, 0), max(after - unreached, 0)))
        return tuple(sizes), tuple(pairs)

    def _adjoint(self, in_size: Axes, padding: Pairs, output_padding: Axes) -> ConvSpec:
        return ConvSpec(
            batch=self.batch,
            in_channels=self.out_channels,
            out_channels=self.in_channels,
            in_size=in_size,
            kernel=self.kernel,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
            transposed=not self.transposed,
            output_padding=output_padding,
        )

    def _check_ranges(self) -> None:
        per_axis_values = (self.in_size, self.stride, self.padding, self.dilation, self.output_padding)
        if self.dims not in (1, 2, 3) or any(len(v) != self.dims for v in per_axis_values):
            raise InvalidSpec(f"{self} does not have one value per spatial axis for 1, 2 or 3 axes")
        for name, values in (("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)):
            if min(values) < 1:
                raise InvalidSpec(f"{name}={values} has a value below 1; every {name} must be at least 1")
        if any(min(pair) < 0 for pair in self.padding):
            raise InvalidSpec(f"padding={self.padding} has a negative value; crop the input instead")
        if self.batch < 0 or min(self.in_size) < 0:
            raise InvalidSpec(f"an input of batch {self.batch} and size {self.in_size} has a negative length")
        if self.transposed:
            limits = tuple(max(s, d) for s, d in zip(self.stride, self.dilation, strict=True))
        else:
            limits = (1,) * self.dims
        if any(not 0 <= p < limit for p, limit in zip(self.output_padding, limits, strict=True)):
            wanted = "below max(stride, dilation)" if self.transposed else "0, since this is not transposed"
            raise InvalidSpec(f"output_padding={self.output_padding} is out of range; wanted {wanted} on every axis")

    def _check_channels(self) -> None:
        if self.groups < 1 or min(self.in_channels, self.out_channels) < 1:
            raise InvalidSpec(
                f"in_channels={self.in_channels}, out_channels={self.out_channels}, groups={self.groups}: "
                "every one of them must be at least 1"
            )
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise InvalidSpec(f"{name}={channels} is not divisible by groups={self.groups}")

    def _check_size(self) -> None:
        if min(self.out_size) >= 1:
            return
        if self.transposed:
            raise InvalidSpec(
                f"a transposed kernel of {self.kernel} with stride {self.stride} on an input of {self.in_size} makes "
                f"fewer values than padding={self.padding} cuts off; use less padding"
            )
        padded = tuple(n + sum(pair) for n, pair in zip(self.in_size, self.padding, strict=True))
        missing = tuple(max(0, e - n) for e, n in zip(self.extent, padded, strict=True))
        raise InvalidSpec(
            f"a kernel of {self.kernel} with dilation {self.dilation} spans {self.extent} and does not fit into an "
            f"input of {self.in_size} padded to {padded}; add at least {missing} to the input or padding, "
            "or use a smaller kernel"
        )
