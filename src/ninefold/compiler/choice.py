"""Which kernel computes a node, by rule, or why none does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, singledispatch
from typing import TYPE_CHECKING, Final

from ninefold.compiler import forms
from ninefold.compiler.asked import Asked, Choice, Layouts, Precision, Rules, epilogue_of
from ninefold.compiler.light import light
from ninefold.compiler.operations import Conv, Dense, Operation
from ninefold.compiler.rounding import OF_FORM
from ninefold.kernels.llvm import depthwise, direct, first, winograd, winograd_tile
from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.direct import Direct, border_read
from ninefold.kernels.llvm.first import First
from ninefold.kernels.llvm.winograd import WinogradConv
from ninefold.spec import ConvSpec

if TYPE_CHECKING:
    import numpy as np

    from ninefold.compiler.graph import Graph, Node
    from ninefold.kernels.llvm.epilogue import Epilogue

__all__ = ["Choice", "Layouts", "Precision", "Rules", "choose"]

_PLANAR_CHANNELS: Final = 4  # up to so many are read from planes; more are worth being turned into blocks first
_MOST_ZEROS: Final = 16  # groups that are computed as one: beyond, torch is quicker
_FEW_PRODUCTS: Final = 2**24  # that take less time than a change of layout and back
_FORMS: Final = 3  # of Winograd's algorithm that are timed
_CUTS: Final = 3  # of each form
_CLEARLY: Final = 0.8  # of the direct kernel's cost: what is not better than that rounds more for little


def choose(node: Node, graph: Graph, x_shape: tuple[int, ...], is_planar: bool, rules: Rules) -> Choice | str:
    """Give the kernel for a node, or a sentence that says why it stays in torch.

    Args:
        node: of the graph; its first input has the shape `x_shape`, once reshapes before it are looked through.
        graph: where its shapes and constants are.
        x_shape: (N, C, H, W) or (N, C).
        is_planar: whether x comes in planes: from the caller or from torch.
        rules: what else decides.
    """
    return _chosen(node.operation, Asked(node, graph, x_shape, is_planar, rules))


@singledispatch
def _chosen(operation: Operation, asked: Asked) -> Choice | str:
    return light(operation, asked)


@_chosen.register(Conv)
def _conv(operation: Conv, asked: Asked) -> Choice | str:
    inputs, spec, rules = asked.node.inputs, operation.spec, asked.rules
    weight, bias = inputs[1], inputs[2] if operation.bias else ""
    if not asked.are_constants(tuple(name for name in (weight, bias) if name)):
        return "its weight is computed by the network"
    if spec.dims != 2:
        return f"kernels work on 2 spatial axes, and it has {spec.dims}"
    residual = inputs[-1] if operation.residual else ""
    epilogue = epilogue_of(operation.activation, bias=bool(bias), residual=bool(residual))
    if operation.pool > 1:
        found: Choice | str = _best(_pooling(operation, epilogue, rules))
    elif spec.transposed:
        found = _transposed(spec, epilogue, rules)
    else:
        found = _best(_kernels(spec, epilogue, asked.is_planar, rules))
    if isinstance(found, str):
        return found
    further = tuple(replace(phase, x=inputs[0], residual=residual, weight=weight, bias=bias) for phase in found.further)
    return replace(found, x=inputs[0], residual=residual, weight=weight, bias=bias, further=further)


def _best(kernels: list[Choice] | str) -> Choice | str:
    return kernels if isinstance(kernels, str) else replace(kernels[0], others=tuple(kernels[1:]))


def _transposed(spec: ConvSpec, epilogue: Epilogue, rules: Rules) -> Choice | str:
    """Give a kernel for every phase: each writes every n-th row and column of y."""
    found = forms.phases(spec)
    if isinstance(found, str):
        return f"it is no sum of dense convolutions: {found}"
    chosen: list[Choice] = []
    for phase in found:
        dense = forms.whole_blocks(phase.spec, rules.target.lanes)
        if reason := _too_many_zeros(spec, dense):
            return reason
        best, *others = (_direct(dense, epilogue, tile) for tile in direct.candidates(dense, rules.target))

        def arrange(weight: np.ndarray, phase: forms.Phase = phase, fewer: int = dense.groups) -> np.ndarray:
            return forms.between_zeros(phase.weight(weight), spec.groups, fewer)

        pixels = (phase.start, spec.stride)
        chosen.append(
            replace(best, others=tuple(others), weight_shape=dense.weight_shape, arrange=arrange, pixels=pixels)
        )
    return replace(chosen[0], why=f"{chosen[0].why}, {len(chosen)} phases", further=tuple(chosen[1:]))


def _kernels(spec: ConvSpec, epilogue: Epilogue, is_planar: bool, rules: Rules) -> list[Choice] | str:
    """Give the kernels worth timing, what the rule takes first, or say why there is none."""
    few = spec.in_channels <= _PLANAR_CHANNELS and not epilogue.residual
    if is_planar and few and first.why_not(spec) is None:
        return [_first(spec, epilogue, tile) for tile in first.candidates(spec, rules.target)]
    if depthwise.why_not(spec) is None:
        return [_depthwise(spec, epilogue, strip) for strip in depthwise.candidates(spec, rules.target)]
    if spec.groups > 1 and direct.why_not(spec, rules.target):
        return _between_zeros(spec, epilogue, rules)
    if reason := direct.why_not(spec, rules.target):
        return f"the direct kernel was asked: {reason}"
    cuts = [_winograd(spec, epilogue, cut) for cut in _cuts(spec, rules)]
    tiles = [_direct(spec, epilogue, tile) for tile in direct.candidates(spec, rules.target)]
    return [*cuts, *tiles] if _saves_products(spec, rules) else [*tiles, *cuts]


def _between_zeros(spec: ConvSpec, epilogue: Epilogue, rules: Rules) -> list[Choice] | str:
    """Give kernels that compute several groups as one, with zeros where they do not meet."""
    dense = forms.whole_blocks(spec, rules.target.lanes)
    if reason := _too_many_zeros(spec, dense):
        return reason
    found = _kernels(dense, epilogue, is_planar=False, rules=rules)
    if isinstance(found, str):
        return found
    times = spec.groups // dense.groups
    arrange = partial(forms.between_zeros, groups=spec.groups, fewer=dense.groups)
    return [
        replace(each, why=f"{each.why}, {times} groups at once", weight_shape=dense.weight_shape, arrange=arrange)
        for each in found
    ]


def _too_many_zeros(spec: ConvSpec, dense: ConvSpec) -> str:
    times = spec.groups // dense.groups
    if times <= _MOST_ZEROS or dense.macs <= _FEW_PRODUCTS:
        return ""
    return f"{times} of its groups make whole blocks of channels, and so often would kernels compute each"


def _pooling(operation: Conv, epilogue: Epilogue, rules: Rules) -> list[Choice] | str:
    cuts = _cuts(operation.spec, rules, operation.pool)
    return [_winograd(operation.spec, epilogue, cut, operation.pool) for cut in cuts] or "no kernel pools its result"


def pools(spec: ConvSpec, window: int, rules: Rules) -> bool:
    """Say whether the kernel that the rules prefer for a convolution can pool its result by windows of that size."""
    return _saves_products(spec, rules) and bool(_cuts(spec, rules, window))


def _first(spec: ConvSpec, epilogue: Epilogue, tile: direct.Tile) -> Choice:
    return Choice(lambda at: First(spec, at["y"], epilogue, tile), _tiled("first", tile), "", planar=True)


def _depthwise(spec: ConvSpec, epilogue: Epilogue, strip: depthwise.Strip) -> Choice:
    return Choice(
        lambda at: Depthwise(spec, at["x"], at["y"], epilogue, strip, at.get("residual")),
        f"depthwise {strip.rows}x{strip.columns}",
        "",
        border=border_read(spec),
    )


def _winograd(spec: ConvSpec, epilogue: Epilogue, cut: winograd.WinogradTile, pool: int = 1) -> Choice:
    return Choice(
        lambda at: WinogradConv(spec, at["x"], at["y"], epilogue, cut, at.get("residual"), pool),
        f"winograd F({cut.outputs},3), blocks of {cut.block} tiles, error {OF_FORM[cut.outputs]:.0e}",
        "",
    )


def _direct(spec: ConvSpec, epilogue: Epilogue, tile: direct.Tile) -> Choice:
    return Choice(
        lambda at: Direct(spec, at["x"], at["y"], epilogue, tile, at.get("residual")),
        _tiled("direct", tile),
        "",
        border=border_read(spec),
    )


def _cuts(spec: ConvSpec, rules: Rules, pool: int = 1) -> list[winograd.WinogradTile]:
    """Give the cuts of Winograd's algorithm that are worth timing, what the rule takes first."""
    if rules.precision == "exact" or winograd.why_not(spec):
        return []
    if min(spec.in_channels, spec.out_channels) < rules.target.lanes:
        return []
    forms = [outputs for outputs in winograd_tile.forms(spec) if outputs % pool == 0][:_FORMS]
    return [cut for outputs in forms for cut in winograd.candidates(spec, rules.target, outputs)[:_CUTS]]


def _saves_products(spec: ConvSpec, rules: Rules) -> bool:
    """Whether Winograd's algorithm, where it is allowed, is better by rule."""
    if min(spec.in_channels, spec.out_channels) < 2 * rules.target.lanes or winograd.why_not(spec):
        return False
    return min(
        winograd_tile.cost(spec, outputs) for outputs in winograd_tile.FORMS
    ) < _CLEARLY * winograd_tile.direct_cost(spec)


def _tiled(name: str, tile: direct.Tile) -> str:
    return f"{name} {tile.rows}x{tile.columns}x{tile.vectors}"


@_chosen.register(Dense)
def _dense(operation: Dense, asked: Asked) -> Choice | str:
    x, weight, *bias = asked.node.inputs
    if not asked.are_constants((weight, *bias)):
        return "its weight is computed by the network"
    if len(asked.graph.shape(x)) != 2:
        return "it works on more than two axes"
    out = asked.graph.shape(weight)[0]
    spec = ConvSpec.of(asked.maps, (out, *asked.maps[1:]))
    epilogue = epilogue_of(operation.activation, bias=bool(bias), residual=False)
    best, *others = (_direct(spec, epilogue, tile) for tile in direct.candidates(spec, asked.rules.target))
    return replace(
        best,
        x=x,
        weight=weight,
        bias=bias[0] if bias else "",
        weight_shape=spec.weight_shape,
        others=tuple(others),
    )
