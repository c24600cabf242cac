"""What a node of a graph computes: one frozen record per operation, named as the field names it.

Every record says in its docstring which values it reads, in order; sizes that follow from them are not repeated. Axes
count from 0 and are never negative; axis 0 is the batch, axis 1 the channels.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from ninefold.spec import Axes, ConvSpec, Pairs


class Operation(ABC):  # noqa: B024  # what a record owes is to be one of those below
    """What a node computes: abstract; the records below are the final ones."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give what a line of a table says: the name, then what matters."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True)
class Activation(Operation):
    """A function of one number, applied to every element. Reads: x.

    Args:
        kind: "relu", "clamp", "leaky_relu", "elu", "selu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh",
            "gelu", "gelu_tanh", "softplus" or "mish".
        numbers: clamp: the smallest and the largest value; leaky_relu and elu: the slope.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    def __str__(self) -> str:
        """Give the kind, as `leaky_relu(0.1)`; the clamp from 0 to 6 goes by its own name."""
        if (self.kind, self.numbers) == ("clamp", (0.0, 6.0)):
            return "relu6"
        written = ", ".join(f"{number:g}" for number in self.numbers)
        return f"{self.kind}({written})" if written else self.kind


RELU = Activation("relu")
RELU6 = Activation("clamp", (0.0, 6.0))


@dataclass(frozen=True, slots=True)
class Conv(Operation):
    """A convolution with what is done to its result. Reads: x, weight, bias if any, residual if any.

        y = pool(activation(conv(x, weight) + bias + residual))

    Args:
        spec: what the convolution is.
        bias: whether a bias (O,) is read.
        residual: whether a tensor of the convolution's shape is read and added.
        activation: what is applied then.
        pool: of every window of that many rows and columns only the largest number is kept; 1 keeps all.
    """

    spec: ConvSpec
    bias: bool = False
    residual: bool = False
    activation: Activation | None = None
    pool: int = 1

    def __str__(self) -> str:
        """Give the kernel, what differs from the usual, and what is done to the result."""
        spec = self.spec
        words = ["transposed conv" if spec.transposed else "conv", "x".join(map(str, spec.kernel))]
        words += [f"stride {_short(spec.stride)}"] if max(spec.stride) > 1 else []
        words += [f"dilation {_short(spec.dilation)}"] if max(spec.dilation) > 1 else []
        words += [f"groups {spec.groups}"] if spec.groups > 1 else []
        pooled = f", max pool {self.pool}x{self.pool}" if self.pool > 1 else ""
        return " ".join(words) + _afterwards(self.residual, self.activation) + pooled


@dataclass(frozen=True, slots=True)
class Dense(Operation):
    """A dense layer over the last axis, y = activation(x * weight^T + bias). Reads: x, weight, bias if any."""

    bias: bool = False
    activation: Activation | None = None

    def __str__(self) -> str:
        """Give the name and the activation."""
        return "dense" + _afterwards(residual=False, activation=self.activation)


@dataclass(frozen=True, slots=True)
class BatchNorm(Operation):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias per channel. Reads: x, weight, bias, mean, variance."""

    epsilon: float


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    """One factor and one summand per channel, y = activation(x * scale + shift). Reads: x, scale (C,), shift (C,)."""

    activation: Activation | None = None

    def __str__(self) -> str:
        """Give the name and the activation."""
        return "scale" + _afterwards(residual=False, activation=self.activation)


@dataclass(frozen=True, slots=True)
class Add(Operation):
    """A sum, y = activation(a + b); shapes broadcast as in torch. Reads: a, b."""

    activation: Activation | None = None

    def __str__(self) -> str:
        """Give the name and the activation."""
        return "add" + _afterwards(residual=False, activation=self.activation)


@dataclass(frozen=True, slots=True)
class Multiply(Operation):
    """A product of every two elements; shapes broadcast as in torch. Reads: a, b."""


@dataclass(frozen=True, slots=True)
class Pool(Operation):
    """The largest or the mean value under a window. Reads: x.

    Args:
        kind: "max" or "average".
        kernel: of the window, one size per spatial axis.
        stride: between windows.
        padding: around x, (before, after) per axis: never chosen by max; zeros for average.
        dilation: between the elements of a window; 1 for average.
        divisor: average only: a number by which the sum is divided, or 0 for the count of elements under the window.
        count_padding: average only: whether the count includes the padding.
    """

    kind: Literal["max", "average"]
    kernel: Axes
    stride: Axes
    padding: Pairs
    dilation: Axes
    divisor: int = 0
    count_padding: bool = True

    def __str__(self) -> str:
        """Give the kind, the window and the stride."""
        return f"{self.kind} pool {'x'.join(map(str, self.kernel))} stride {_short(self.stride)}"


@dataclass(frozen=True, slots=True)
class ChannelPool(Operation):
    """The largest or the mean value over all channels of a pixel, as one channel. Reads: x.

    Args:
        kind: "max" or "average".
    """

    kind: Literal["max", "average"]

    def __str__(self) -> str:
        """Give the kind and over what."""
        return f"{self.kind} over channels"


@dataclass(frozen=True, slots=True)
class LocalResponse(Operation):
    """x / (k + alpha / size * sum of the squares of `size` neighbouring channels)^beta. Reads: x."""

    size: int
    alpha: float
    beta: float
    k: float

    def __str__(self) -> str:
        """Give the name and the window."""
        return f"local response over {self.size}"


@dataclass(frozen=True, slots=True)
class Concat(Operation):
    """Tensors one behind the other along an axis. Reads: any number of them."""

    axis: int


@dataclass(frozen=True, slots=True)
class Upsample(Operation):
    """Every element repeated, `factors` times per spatial axis. Reads: x."""

    factors: Axes


@dataclass(frozen=True, slots=True)
class Resize(Operation):
    """Maps of another size; see `kernels.llvm.resize.taps`. Reads: x.

    Args:
        kind: "nearest" or "bilinear".
        size: of the result, (H, W).
        align_corners: bilinear only: whether the first and last pixels' middles are the ends, not their edges.
    """

    kind: Literal["nearest", "bilinear"]
    size: Axes
    align_corners: bool = False

    def __str__(self) -> str:
        """Give the name and the kind."""
        return f"resize {self.kind}"


@dataclass(frozen=True, slots=True)
class Pad(Operation):
    """A constant around x, (before, after) per axis, all axes. Reads: x."""

    padding: Pairs
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class Slice(Operation):
    """Elements start, start + step, ... below stop along an axis. Reads: x."""

    axis: int
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Reshape(Operation):
    """The same numbers in the same order in another shape. Reads: x."""

    shape: Axes


@dataclass(frozen=True, slots=True)
class Permute(Operation):
    """Axis i of the result is axis `axes[i]` of x. Reads: x."""

    axes: Axes


@dataclass(frozen=True, slots=True)
class Shuffle(Operation):
    """Channel g * n + i of x becomes channel i * groups + g, for groups of n channels. Reads: x.

    Source: X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet", CVPR 2018, section 3.1.
    """

    groups: int


@dataclass(frozen=True, slots=True)
class Gather(Operation):
    """Channel i of the result is channel `channels[i]` of the inputs one behind the other. Reads: one or two maps."""

    channels: Axes

    def __str__(self) -> str:
        """Give the name and how many channels there are."""
        return f"gather {len(self.channels)} channels"


class Reference(NamedTuple):
    """Stands in a torch call's arguments for value `index` of those the node reads."""

    index: int


@dataclass(frozen=True, slots=True)
class Torch(Operation):
    """Any other operator, left to torch. Reads: the tensors among its arguments, in order.

    Args:
        target: the operator.
        arguments: positional ones; a tensor stands as its `Reference`, also inside lists.
        named: the others, as pairs.
        reason: why it is left to torch, as a table says it.
    """

    target: Any
    arguments: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()
    reason: str = "no operation of the graph computes it"

    def __str__(self) -> str:
        """Give the operator as torch calls it."""
        return f"torch {self.target}"


def activation_of(operation: Operation) -> Activation | None:
    """Give the activation that a layer applies last; None for none, and for operations that apply none."""
    return operation.activation if isinstance(operation, Conv | Dense | Scale | Add) else None


def _short(values: Axes) -> str:
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


def _afterwards(residual: bool, activation: Activation | None) -> str:
    return (" + residual" if residual else "") + (f", {activation}" if activation else "")
