"""The layers of a `Network`: each pairs a forward function of this room with its backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import TYPE_CHECKING, final

import numpy as np

from ninefold.errors import InvalidInput, InvalidSpec, UnknownName
from ninefold.reference import activations, conv, pooling
from ninefold.reference.dense import dense, dense_backward
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.reference.arrays import Array
    from ninefold.spec import Padding

_ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "relu": (activations.relu, activations.relu_backward),
    "leaky_relu": (activations.leaky_relu, activations.leaky_relu_backward),
    "sigmoid": (activations.sigmoid, activations.sigmoid_backward),
    "tanh": (activations.tanh, activations.tanh_backward),
    "softmax": (activations.softmax, activations.softmax_backward),
}


class Layer(ABC):
    """One step of a network. It remembers its parameters and nothing else.

    `parameters` is a list of arrays, empty for a layer that learns nothing; `Network.step` replaces them.
    """

    parameters: list[Array]

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """Give the layer's output."""

    @abstractmethod
    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """Turn the output's gradient into the input's, and one gradient for each of `parameters`."""


# --8<-- [start:conv]
@final
class Conv(Layer):
    """A convolution layer: `correlate` with a weight and a bias that learn.

    Args:
        in_channels, out_channels: C and O, >= 1.
        kernel: spatial size, one value per axis: 1, 2 or 3 of them.
        stride, padding: as in `correlate`.
        rng: draws the weight by `he_normal`; the bias starts at 0.

    Raises:
        InvalidInput: when the kernel is one integer, or a count is below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        rng: np.random.Generator,
    ) -> None:
        if isinstance(kernel, int):
            raise InvalidInput(f"kernel={kernel} does not say how many axes there are; give one size per axis: (3, 3)")
        self.stride, self.padding = stride, padding
        self.parameters = [he_normal((out_channels, in_channels, *kernel), rng), np.zeros(out_channels)]

    def forward(self, x: Array) -> Array:
        """(N, C, *size) -> (N, O, *out_size)."""
        weight, bias = self.parameters
        return conv.run(x, weight, bias, self._spec(x))

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """(N, O, *out_size) -> (N, C, *size), and the gradients of weight and bias."""
        spec = self._spec(x)
        weight_and_bias = [conv.weight_gradient(x, grad, spec), conv.bias_gradient(grad)]
        return conv.input_gradient(grad, self.parameters[0], spec), weight_and_bias

    def _spec(self, x: Array) -> ConvSpec:
        return ConvSpec.of(x.shape, self.parameters[0].shape, stride=self.stride, padding=self.padding)


# --8<-- [end:conv]


@final
class Dense(Layer):
    """A dense layer: `dense` with a weight and a bias that learn.

    Args:
        in_features, out_features: C and O, >= 1.
        rng: draws the weight by `he_normal`; the bias starts at 0.
    """

    def __init__(self, in_features: int, out_features: int, *, rng: np.random.Generator) -> None:
        self.parameters = [he_normal((out_features, in_features), rng), np.zeros(out_features)]

    def forward(self, x: Array) -> Array:
        """(N, C) -> (N, O)."""
        return dense(x, *self.parameters)

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """(N, O) -> (N, C), and the gradients of weight and bias."""
        dx, dw, db = dense_backward(grad, x, self.parameters[0])
        return dx, [dw, db]


@final
class MaxPool(Layer):
    """Max pooling; the arguments are those of `max_pool`."""

    def __init__(
        self, kernel: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = 0
    ) -> None:
        self.kernel, self.stride, self.padding, self.parameters = kernel, stride, padding, []

    def forward(self, x: Array) -> Array:
        """(N, C, *size) -> (N, C, *out_size)."""
        return pooling.max_pool(x, self.kernel, stride=self.stride, padding=self.padding)

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """(N, C, *out_size) -> (N, C, *size)."""
        return pooling.max_pool_backward(grad, x, self.kernel, stride=self.stride, padding=self.padding), []


@final
class AveragePool(Layer):
    """Average pooling; the arguments are those of `average_pool`."""

    def __init__(
        self,
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] | None = None,
        padding: Padding = 0,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel, self.stride, self.padding, self.parameters = kernel, stride, padding, []
        self.count_include_pad = count_include_pad

    def forward(self, x: Array) -> Array:
        """(N, C, *size) -> (N, C, *out_size)."""
        return pooling.average_pool(
            x, self.kernel, stride=self.stride, padding=self.padding, count_include_pad=self.count_include_pad
        )

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """(N, C, *out_size) -> (N, C, *size)."""
        dx = pooling.average_pool_backward(
            grad, x, self.kernel, stride=self.stride, padding=self.padding, count_include_pad=self.count_include_pad
        )
        return dx, []


@final
class Flatten(Layer):
    """Lay channels and space out in one row per picture, for a dense layer to take."""

    def __init__(self) -> None:
        self.parameters = []

    def forward(self, x: Array) -> Array:
        """(N, C, *size) -> (N, C * elements)."""
        return x.reshape(len(x), prod(x.shape[1:]))

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """(N, C * elements) -> (N, C, *size)."""
        return grad.reshape(x.shape), []


@final
class Activation(Layer):
    """An activation, element by element; softmax runs over the last axis.

    Args:
        name: "relu", "leaky_relu", "sigmoid", "tanh" or "softmax".

    Raises:
        UnknownName: when there is no such activation.
    """

    def __init__(self, name: str) -> None:
        if name not in _ACTIVATIONS:
            raise UnknownName.among("activation", name, _ACTIVATIONS)
        self.function, self.function_backward = _ACTIVATIONS[name]
        self.parameters = []

    def forward(self, x: Array) -> Array:
        """Any shape, the same out."""
        return self.function(x)

    def backward(self, grad: Array, x: Array) -> tuple[Array, list[Array]]:
        """Any shape, the same out."""
        return self.function_backward(grad, x), []


def he_normal(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw a weight that keeps the size of values through ReLU layers: normal, mean 0, variance 2 / inputs.

    Args:
        shape: (O, C, *kernel) or (O, C); one output sums over prod(shape[1:]) inputs.
        rng: the source of chance.

    Raises:
        InvalidSpec: when a length is below 1.

    Source: K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """
    if min(shape) < 1:
        raise InvalidSpec(f"a weight of shape {tuple(shape)} is empty; every channel count and size must be at least 1")
    return rng.normal(0, np.sqrt(2 / prod(shape[1:])), shape)
