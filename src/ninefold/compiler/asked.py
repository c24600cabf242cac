"""What is asked about a node before a kernel is chosen for it, and what the answer looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ninefold.compiler.operations import RELU6, Activation
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import NO_BORDER, Border, Kernel
from ninefold.kernels.llvm.layout import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ninefold.compiler.graph import Graph, Node
    from ninefold.kernels.llvm.target import Target

Precision = Literal["exact", "fast"]
Layouts = dict[str, Blocked]


@dataclass(frozen=True, slots=True)
class Rules:
    """What choices depend on beside the network."""

    target: Target
    precision: Precision
    max_weight_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel for a node, before the layouts are known.

    Args:
        make: gives the kernel for the layouts of "x" (not where it is planar), "y" and "residual" (if any).
        why: what a table says: the kernel's name and how it was set.
        x: the value that is read.
        residual: a second value that is read, or "".
        weight: constant, or "".
        bias: constant, or "".
        weight_shape: in which the kernel takes the weight; () for its own.
        arrange: gives the weight in that shape; None where only the shape differs.
        border: zeros around x that are read.
        planar: whether x is read from planes.
        is_heavy: whether it is worth laying x out for it; else it only takes what is laid out already.
        others: kernels that compute the same from the same inputs: of them only `make`, `why` and `border` count.
        pixels: of y that are computed: the first row and column, and steps down and across.
        further: choices for y's other pixels.
    """

    make: Callable[[Layouts], Kernel]
    why: str
    x: str
    residual: str = ""
    weight: str = ""
    bias: str = ""
    weight_shape: tuple[int, ...] = ()
    border: Border = NO_BORDER
    planar: bool = False
    is_heavy: bool = True
    others: tuple[Choice, ...] = ()
    arrange: Callable[[np.ndarray], np.ndarray] | None = None
    pixels: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (1, 1))
    further: tuple[Choice, ...] = ()

    def arranged(self, weight: np.ndarray) -> np.ndarray:
        """Give the weight as the kernel takes it."""
        arranged = self.arrange(weight) if self.arrange else weight
        return arranged.reshape(self.weight_shape or weight.shape)


@dataclass(frozen=True, slots=True)
class Asked:
    """A node and what the choice of its kernel may depend on.

    Args:
        node: of the graph.
        graph: where its shapes and constants are.
        x_shape: (N, C, H, W) or (N, C) of its first input, once reshapes before it are looked through.
        is_planar: whether x comes in planes: from the caller or from torch.
        rules: what else decides.
    """

    node: Node
    graph: Graph
    x_shape: tuple[int, ...]
    is_planar: bool
    rules: Rules

    @property
    def maps(self) -> tuple[int, ...]:
        """(N, C, H, W) of x."""
        return (*self.x_shape, 1, 1)[:4]

    def are_constants(self, names: tuple[str, ...]) -> bool:
        """Say whether all of these values are constants."""
        return all(name in self.graph.constants for name in names)


def epilogue_of(activation: Activation | None, *, bias: bool, residual: bool) -> Epilogue:
    """Give the epilogue that ends with an activation of the graph."""
    if activation is None:
        return Epilogue(bias, residual)
    if activation == RELU6:
        return Epilogue(bias, residual, "relu6")
    kind: Any = activation.kind
    return Epilogue(bias, residual, kind, activation.numbers)
