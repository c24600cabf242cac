"""A network in ncnn's two files: `network.param` says what the layers are, `network.bin` holds their weights.

A line of the first is: kind, name, number of inputs, number of outputs, their names, then settings `key=value`, whose
keys are numbers. A value that several layers read goes through a layer Split first.

Source: docs/developer-guide/operators.md and param-and-model-file-structure.md of github.com/Tencent/ncnn.
"""

from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ninefold.compiler import captured, simplified
from ninefold.compiler.operations import (
    Activation,
    Add,
    Concat,
    Conv,
    Dense,
    Operation,
    Pool,
    Reshape,
    Shuffle,
)
from ninefold.errors import Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from ninefold.compiler import Graph, Node

_MAGIC: Final = "7767517"
_RAW: Final = np.zeros(1, np.uint32).tobytes()  # before weights that are plain float32


def write(model: nn.Module, x: Tensor, folder: Path) -> tuple[int, ...]:
    """Write both files for a network of one input and one output.

    Args:
        model: in evaluation mode.
        x: (1, C, H, W).
        folder: where the files go.

    Returns:
        The output's shape.

    Raises:
        Unsupported: naming the operation that has no layer here.
    """
    graph = simplified(captured(model, (x,)))
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise Unsupported(f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs came; wanted one of both")
    files = _Files(graph)
    for node in graph.nodes:
        _write(node.operation, node, files)
    (folder / "network.param").write_text(files.text(), encoding="utf-8")
    (folder / "network.bin").write_bytes(b"".join(files.weights))
    return graph.shape(graph.outputs[0].name)


@final
class _Files:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.weights: list[bytes] = []
        self._names = {graph.inputs[0]: "x", graph.outputs[0].name: "y"}
        self._copies: dict[str, list[str]] = {}
        self._lines: list[str] = []
        self._blobs = 0
        self.layer("Input", (), graph.inputs[0])

    def text(self) -> str:
        """Give the first file."""
        return "\n".join([_MAGIC, f"{len(self._lines)} {self._blobs}", *self._lines]) + "\n"

    def layer(self, kind: str, inputs: tuple[str, ...], output: str, settings: dict[int, Any] | None = None) -> None:
        """Write a layer."""
        self._line(kind, [self._read(name) for name in inputs], [self._called(output)], settings or {})
        uses = self.graph.uses[output]
        if uses > 1:
            self._copies[output] = [f"{self._called(output)}_{i}" for i in range(uses)]
            self._line("Split", [self._called(output)], self._copies[output], {})

    def constant(self, name: str, *, raw: bool = False) -> int:
        """Write weights; gives how many numbers they are."""
        if name not in self.graph.constants:
            raise Unsupported(f"the weight {name} is computed by the network")
        array = self.graph.constants[name].detach().numpy().astype(np.float32)
        self.weights.append((b"" if raw else _RAW) + array.tobytes())
        return array.size

    def _line(self, kind: str, inputs: list[str], outputs: list[str], settings: dict[int, Any]) -> None:
        written = [f"{key}={value}" for key, value in settings.items()]
        counts = [str(len(inputs)), str(len(outputs))]
        self._lines.append(" ".join([kind, f"layer{len(self._lines)}", *counts, *inputs, *outputs, *written]))
        self._blobs += len(outputs)

    def _read(self, name: str) -> str:
        copies = self._copies.get(name)
        return copies.pop() if copies else self._called(name)

    def _called(self, name: str) -> str:
        return self._names.setdefault(name, f"v{len(self._names)}")


@singledispatch
def _write(operation: Operation, node: Node, files: _Files) -> None:  # noqa: ARG001  # the signature of all below
    raise Unsupported(f"{operation} has no layer in the writer of ncnn's files")


@_write.register(Conv)
def _conv(operation: Conv, node: Node, files: _Files) -> None:
    spec = operation.spec
    if spec.dims != 2 or spec.transposed:
        raise Unsupported(f"{operation} over {spec.dims} axes has no layer in the writer of ncnn's files")
    x, weight, *others = node.inputs
    residual = others.pop() if operation.residual else ""
    numbers = files.constant(weight)
    for bias in others:
        files.constant(bias, raw=True)
    settings = {0: spec.out_channels, 5: len(others), 6: numbers, **_window(spec.kernel, spec.stride, spec.dilation)}
    (settings[14], settings[16]), (settings[4], settings[15]) = spec.padding
    if spec.groups > 1:
        settings[7] = spec.groups
    kind = "ConvolutionDepthWise" if spec.groups > 1 else "Convolution"
    if not residual:
        files.layer(kind, (x,), node.outputs[0], settings | _fused(operation.activation))
        return
    before = f"{node.outputs[0]} before its residual"
    files.layer(kind, (x,), before, settings)
    _sum(files, (before, residual), node.outputs[0], operation.activation)


def _window(kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> dict[int, Any]:
    # Columns first; rows have keys of their own.
    return {1: kernel[1], 11: kernel[0], 2: dilation[1], 12: dilation[0], 3: stride[1], 13: stride[0]}


@_write.register(Dense)
def _dense(operation: Dense, node: Node, files: _Files) -> None:
    x, weight, *bias = node.inputs
    if len(files.graph.shape(x)) != 2:
        raise Unsupported(f"a dense layer on {files.graph.shape(x)} has no layer in the writer of ncnn's files")
    out, numbers = files.graph.shape(weight)[0], files.constant(weight)
    for name in bias:
        files.constant(name, raw=True)
    settings = {0: out, 1: len(bias), 2: numbers} | _fused(operation.activation)
    files.layer("InnerProduct", (x,), node.outputs[0], settings)


@_write.register(Pool)
def _pool(operation: Pool, node: Node, files: _Files) -> None:
    if len(operation.kernel) != 2 or operation.divisor or max(operation.dilation) > 1:
        raise Unsupported(f"{operation} has no layer in the writer of ncnn's files")
    (above, below), (left, right) = operation.padding
    window = {1: operation.kernel[1], 11: operation.kernel[0], 2: operation.stride[1], 12: operation.stride[0]}
    files.layer(
        "Pooling",
        node.inputs,
        node.outputs[0],
        window
        | {0: int(operation.kind == "average"), 3: left, 13: above, 14: right, 15: below}
        | {5: 1, 6: int(operation.count_padding)},  # sizes rounded down; the padding counted or not
    )


@_write.register(Add)
def _add(operation: Add, node: Node, files: _Files) -> None:
    _sum(files, node.inputs, node.outputs[0], operation.activation)


@_write.register(Concat)
def _concat(operation: Concat, node: Node, files: _Files) -> None:
    files.layer("Concat", node.inputs, node.outputs[0], {0: operation.axis - 1})  # there is no batch axis


@_write.register(Shuffle)
def _shuffle(operation: Shuffle, node: Node, files: _Files) -> None:
    files.layer("ShuffleChannel", node.inputs, node.outputs[0], {0: operation.groups})


@_write.register(Reshape)
def _reshape(operation: Reshape, node: Node, files: _Files) -> None:
    if len(operation.shape) != 2 or operation.shape[1] != prod(files.graph.shape(node.inputs[0])[1:]):
        raise Unsupported(f"a reshape to {operation.shape} has no layer in the writer of ncnn's files")
    files.layer("Flatten", node.inputs, node.outputs[0])


@_write.register(Activation)
def _activation(operation: Activation, node: Node, files: _Files) -> None:
    _separate(files, node.inputs[0], node.outputs[0], operation)


def _sum(files: _Files, inputs: tuple[str, ...], output: str, activation: Activation | None) -> None:
    before = f"{output} before its activation" if activation else output
    files.layer("BinaryOp", inputs, before, {0: 0})
    if activation:
        _separate(files, before, output, activation)


def _separate(files: _Files, x: str, output: str, activation: Activation) -> None:
    match activation.kind:
        case "relu":
            files.layer("ReLU", (x,), output)
        case "leaky_relu":
            files.layer("ReLU", (x,), output, {0: activation.numbers[0]})
        case "clamp":
            files.layer("Clip", (x,), output, {0: activation.numbers[0], 1: activation.numbers[1]})
        case _:
            raise Unsupported(f"{activation} has no layer in the writer of ncnn's files")


def _fused(activation: Activation | None) -> dict[int, Any]:
    """Give the settings of an activation inside a convolution or dense layer: its kind, then its numbers."""
    if activation is None:
        return {}
    if activation.kind == "relu":
        return {9: 1}
    if activation.kind == "leaky_relu":
        return {9: 2, -23310: f"1,{activation.numbers[0]}"}
    if activation.kind == "clamp":
        return {9: 3, -23310: f"2,{activation.numbers[0]},{activation.numbers[1]}"}
    raise Unsupported(f"{activation} has no layer in the writer of ncnn's files")
