"""Which kernel computes a node, by rule, or why none does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final, Literal

from ninefold.compiler.operations import (
    Activation,
    Add,
    Conv,
    Dense,
    Multiply,
    Operation,
    Pool,
    Scale,
)
from ninefold.kernels.llvm import depthwise, direct, first, winograd
from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.direct import Direct, border_read
from ninefold.kernels.llvm.elementwise import Elementwise
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.first import First
from ninefold.kernels.llvm.kernel import NO_BORDER, Border, Kernel
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.pooling import GlobalAverage
from ninefold.kernels.llvm.pooling import Pool as PoolKernel
from ninefold.kernels.llvm.winograd import WinogradConv
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.compiler.graph import Graph, Node
    from ninefold.kernels.llvm.target import Target

Precision = Literal["exact", "fast"]
Layouts = dict[str, Blocked]

_PLANAR_CHANNELS: Final = 4  # up to so many are read from planes; more are worth being turned into blocks first
_KNOWN: Final = frozenset({"relu", "leaky_relu", "silu", "hardswish", "hardsigmoid", "sigmoid"})
_FAR: Final = 7  # on maps up to so many rows Winograd reads more weights than it saves products
_MIDDLE: Final = 14  # on maps up to so many rows tiles of 4x4 reach over the edge, and tiles of 3x3 less
_CUTS: Final = 4  # of each form


@dataclass(frozen=True, slots=True)
class Rules:
    """What choices depend on beside the network."""

    target: Target
    precision: Precision


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
        border: zeros around x that are read.
        planar: whether x is read from planes.
        is_heavy: whether it is worth laying x out for it; else it only takes what is laid out already.
        others: kernels that compute the same from the same inputs: of them only `make`, `why` and `border` count.
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


def is_known(activation: Activation | None) -> bool:
    """Say whether kernels can apply an activation."""
    return activation is None or activation.kind in _KNOWN or str(activation) == "relu6"


def choose(node: Node, graph: Graph, x_shape: tuple[int, ...], is_planar: bool, rules: Rules) -> Choice | str:
    """Give the kernel for a node, or a sentence that says why it stays in torch.

    Args:
        node: of the graph; its first input has the shape `x_shape`, once reshapes before it are looked through.
        graph: where its shapes and constants are.
        x_shape: (N, C, H, W) or (N, C).
        is_planar: whether x comes in planes: from the caller or from torch.
        rules: what else decides.
    """
    return _chosen(node.operation, _Asked(node, graph, x_shape, is_planar, rules))


@dataclass(frozen=True, slots=True)
class _Asked:
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
        return all(name in self.graph.constants for name in names)


@singledispatch
def _chosen(operation: Operation, asked: _Asked) -> Choice | str:  # noqa: ARG001  # the signature of all below
    return f"no kernel computes {operation}"


@_chosen.register(Conv)
def _conv(operation: Conv, asked: _Asked) -> Choice | str:
    inputs, spec, rules = asked.node.inputs, operation.spec, asked.rules
    weight, bias = inputs[1], inputs[2] if operation.bias else ""
    if not asked.are_constants(tuple(name for name in (weight, bias) if name)):
        return "its weight is computed by the network"
    if spec.dims != 2:
        return f"kernels work on 2 spatial axes, and it has {spec.dims}"
    residual = inputs[-1] if operation.residual else ""
    epilogue = _epilogue(operation.activation, bias=bool(bias), residual=bool(residual))
    kernels = _kernels(spec, epilogue, asked.is_planar, rules)
    if isinstance(kernels, str):
        return kernels
    best, *others = kernels
    return replace(best, x=inputs[0], residual=residual, weight=weight, bias=bias, others=tuple(others))


def _kernels(spec: ConvSpec, epilogue: Epilogue, is_planar: bool, rules: Rules) -> list[Choice] | str:
    """Give the kernels worth timing, what the rule takes first, or say why there is none."""
    few = spec.in_channels <= _PLANAR_CHANNELS and not epilogue.residual
    if is_planar and few and first.why_not(spec) is None:
        return [_first(spec, epilogue, tile) for tile in first.candidates(spec, rules.target)]
    if depthwise.why_not(spec) is None:
        return [_depthwise(spec, epilogue, strip) for strip in depthwise.candidates(spec, rules.target)]
    if reason := direct.why_not(spec, rules.target):
        return f"the direct kernel was asked: {reason}"
    cuts = [_winograd(spec, epilogue, cut) for cut in _cuts(spec, rules)]
    tiles = [_direct(spec, epilogue, tile) for tile in direct.candidates(spec, rules.target)]
    return [*cuts, *tiles] if _saves_products(spec, rules) else [*tiles, *cuts]


def _first(spec: ConvSpec, epilogue: Epilogue, tile: direct.Tile) -> Choice:
    return Choice(lambda at: First(spec, at["y"], epilogue, tile), _tiled("first", tile), "", planar=True)


def _depthwise(spec: ConvSpec, epilogue: Epilogue, strip: depthwise.Strip) -> Choice:
    return Choice(
        lambda at: Depthwise(spec, at["x"], at["y"], epilogue, strip, at.get("residual")),
        f"depthwise {strip.rows}x{strip.columns}",
        "",
        border=border_read(spec),
    )


def _winograd(spec: ConvSpec, epilogue: Epilogue, cut: winograd.WinogradTile) -> Choice:
    return Choice(
        lambda at: WinogradConv(spec, at["x"], at["y"], epilogue, cut, at.get("residual")),
        f"winograd F({cut.outputs},3), blocks of {cut.block} tiles",
        "",
    )


def _direct(spec: ConvSpec, epilogue: Epilogue, tile: direct.Tile) -> Choice:
    return Choice(
        lambda at: Direct(spec, at["x"], at["y"], epilogue, tile, at.get("residual")),
        _tiled("direct", tile),
        "",
        border=border_read(spec),
    )


def _cuts(spec: ConvSpec, rules: Rules) -> list[winograd.WinogradTile]:
    """Give the cuts of Winograd's algorithm that are worth timing, what the rule takes first."""
    if rules.precision == "exact" or winograd.why_not(spec):
        return []
    if min(spec.in_channels, spec.out_channels) < rules.target.lanes:
        return []
    forms = (4, 3) if min(spec.out_size) > _MIDDLE else (3, 4)
    return [cut for outputs in forms for cut in winograd.candidates(spec, rules.target, outputs)[:_CUTS]]


def _saves_products(spec: ConvSpec, rules: Rules) -> bool:
    """Whether Winograd's algorithm, where it is allowed, is better by rule."""
    wide = min(spec.in_channels, spec.out_channels) >= 2 * rules.target.lanes
    return wide and min(spec.out_size) > _FAR


def _tiled(name: str, tile: direct.Tile) -> str:
    return f"{name} {tile.rows}x{tile.columns}x{tile.vectors}"


@_chosen.register(Dense)
def _dense(operation: Dense, asked: _Asked) -> Choice | str:
    x, weight, *bias = asked.node.inputs
    if not asked.are_constants((weight, *bias)):
        return "its weight is computed by the network"
    if len(asked.graph.shape(x)) != 2:
        return "it works on more than two axes"
    out = asked.graph.shape(weight)[0]
    spec = ConvSpec.of(asked.maps, (out, *asked.maps[1:]))
    epilogue = _epilogue(operation.activation, bias=bool(bias), residual=False)
    best, *others = (_direct(spec, epilogue, tile) for tile in direct.candidates(spec, asked.rules.target))
    return replace(
        best,
        x=x,
        weight=weight,
        bias=bias[0] if bias else "",
        weight_shape=spec.weight_shape,
        others=tuple(others),
    )


@_chosen.register(Pool)
def _pool(operation: Pool, asked: _Asked) -> Choice | str:
    maps = asked.maps
    if len(asked.x_shape) != 4:
        return f"kernels work on 2 spatial axes, and x has the shape {asked.x_shape}"
    if operation.divisor:
        return "the kernel divides by the size of the window only"
    if operation.kind == "average" and operation.kernel == maps[2:] and not any(map(any, operation.padding)):
        return _light(lambda at: GlobalAverage(at["x"], at["y"]), "global average", asked)
    axes = zip(operation.padding, operation.kernel, operation.dilation, strict=True)
    if any(max(pair) > d * (k - 1) for pair, k, d in axes):
        return "a window meets padding only"
    spec = ConvSpec.of(
        maps,
        (maps[1], 1, *operation.kernel),
        stride=operation.stride,
        padding=operation.padding,
        dilation=operation.dilation,
        groups=maps[1],
    )
    counted = operation.count_padding
    return _light(
        lambda at: PoolKernel(operation.kind, spec, at["x"], at["y"], counted), f"{operation.kind} pool", asked
    )


@_chosen.register(Scale)
def _scale(operation: Scale, asked: _Asked) -> Choice | str:
    x, scale, shift = asked.node.inputs
    epilogue = _epilogue(operation.activation, bias=True, residual=False)
    if not asked.are_constants((scale, shift)):
        return "its factors are computed by the network"
    chosen = _light(lambda at: Elementwise(at["x"], at["y"], epilogue, "weight"), "elementwise", asked)
    return replace(chosen, x=x, weight=scale, bias=shift)


@_chosen.register(Activation)
def _activation(operation: Activation, asked: _Asked) -> Choice | str:
    if not is_known(operation):
        return f"kernels do not know {operation}"
    epilogue = _epilogue(operation, bias=False, residual=False)
    return _light(lambda at: Elementwise(at["x"], at["y"], epilogue), "elementwise", asked)


@_chosen.register(Add)
def _add(operation: Add, asked: _Asked) -> Choice | str:
    a, b = asked.node.inputs
    if asked.graph.shape(a) != asked.graph.shape(b) or b in asked.graph.constants:
        return "its operands have different shapes, or one is a constant"
    epilogue = _epilogue(operation.activation, bias=False, residual=True)

    def make(at: Layouts) -> Kernel:
        return Elementwise(at["x"], at["y"], epilogue, residual=at["residual"])

    return replace(_light(make, "elementwise", asked), residual=b)


@_chosen.register(Multiply)
def _multiply(operation: Multiply, asked: _Asked) -> Choice | str:  # noqa: ARG001
    for x, gate in (asked.node.inputs, asked.node.inputs[::-1]):
        shape = asked.graph.shape(x)
        if len(shape) == 4 and asked.graph.shape(gate) == (*shape[:2], 1, 1) and gate not in asked.graph.constants:
            return replace(_light(_gated, "elementwise", asked), x=x, residual=gate)
    return "only a gate of one number per channel has a kernel"


def _gated(at: Layouts) -> Kernel:
    return Elementwise(at["x"], at["y"], Epilogue(), "gate", at["residual"])


def _light(make: Callable[[Layouts], Kernel], why: str, asked: _Asked) -> Choice:
    return Choice(make, why, asked.node.inputs[0], is_heavy=False)


def _epilogue(activation: Activation | None, *, bias: bool, residual: bool) -> Epilogue:
    if activation is None:
        return Epilogue(bias, residual)
    kind: Any = "relu6" if activation.kind == "clamp" else activation.kind
    slope = activation.numbers[0] if kind == "leaky_relu" else 0.01
    return Epilogue(bias, residual, kind, slope)
