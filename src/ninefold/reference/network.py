"""A network as a list of layers: forward through the list, backward through it reversed, then one step of SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ninefold.errors import InvalidInput
from ninefold.reference.arrays import as_numbers
from ninefold.reference.losses import cross_entropy, cross_entropy_backward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ninefold.reference.arrays import Array
    from ninefold.reference.layers import Layer
    from ninefold.reference.sgd import SGD


# --8<-- [start:network]
@final
class Network:
    """A classifier: layers that end in one logit per class, trained by cross-entropy.

    Args:
        layers: at least one, in the order in which data meets them.
        sgd: the rule of `step`; assign `network.sgd` to change it in training.

    Raises:
        InvalidInput: when there are no layers.

    >>> import numpy as np
    >>> from ninefold.reference import SGD, Dense
    >>> network = Network([Dense(2, 2, rng=np.random.default_rng(0))], SGD(learning_rate=1.0))
    >>> x, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> for _ in range(20):
    ...     loss = network.step(x, labels)
    >>> network.predict(x)
    array([0, 1])
    """

    def __init__(self, layers: Sequence[Layer], sgd: SGD) -> None:
        if not layers:
            raise InvalidInput("a network of no layers came; give at least one")
        self.layers, self.sgd = list(layers), sgd
        self.velocities = [sgd.start(layer.parameters) for layer in self.layers]

    def forward(self, x: ArrayLike) -> list[Array]:
        """Give x and the output of every layer; the last are the logits (N, classes)."""
        values = [as_numbers(x, "x")]
        for layer in self.layers:
            values.append(layer.forward(values[-1]))
        return values

    def backward(self, grad: Array, values: Sequence[Array]) -> list[list[Array]]:
        """Give the gradients of every layer's parameters.

        Args:
            grad: the loss's gradient for the logits, (N, classes).
            values: what `forward` gave.
        """
        gradients = []
        for layer, x in zip(reversed(self.layers), reversed(values[:-1]), strict=True):
            grad, of_parameters = layer.backward(grad, x)
            gradients.append(of_parameters)
        return gradients[::-1]

    def step(self, x: ArrayLike, labels: ArrayLike) -> float:
        """Learn from one batch, and give its loss from before the step.

        Args:
            x: (N, C, *size), or whatever the first layer takes; N >= 1.
            labels: integers (N,), 0 <= label < classes.

        Raises:
            InvalidInput: when a layer or the loss cannot take what it is given.
        """
        values = self.forward(x)
        gradients = self.backward(cross_entropy_backward(values[-1], labels), values)
        for i, layer in enumerate(self.layers):
            layer.parameters, self.velocities[i] = self.sgd.step(layer.parameters, gradients[i], self.velocities[i])
        return cross_entropy(values[-1], labels)

    def predict(self, x: ArrayLike) -> Array:
        """Give the most probable class of every picture, (N,)."""
        return self.forward(x)[-1].argmax(axis=1)


# --8<-- [end:network]
