"""Draw the zoo's blocks as they stand inside its networks: `python docs/draw_blocks.py` writes docs/networks/*.svg."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diagram import Box, draw
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from ninefold import networks
from ninefold import nn as blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent / "networks"
# The drawing's name: a network that has the block, and the block's place in it.
BLOCKS = {
    "basic-block": ("resnet18", "backbone.stage2.0"),
    "bottleneck": ("resnet50", "backbone.stage2.0"),
    "inception-v1": ("inception_v1", "backbone.stages.2.1"),
    "inception-v2": ("inception_v2", "backbone.stages.2.1"),
    "inception-v2-reduction": ("inception_v2", "backbone.stages.3.0"),
    "inception-v3-a": ("inception_v3", "backbone.stages.2.1"),
    "inception-v3-b": ("inception_v3", "backbone.stages.3.1"),
    "inception-v3-c": ("inception_v3", "backbone.stages.4.1"),
    "inception-v4-stem": ("inception_v4", "backbone.stages.1"),
    "inception-v4-c": ("inception_v4", "backbone.stages.4.1"),
    "inception-resnet-b": ("inception_resnet_v2", "backbone.stages.3.1.0"),
    "fire": ("squeezenet1_1", "backbone.stages.1.1"),
    "depthwise-separable": ("mobilenet_v1", "backbone.stages.1.0"),
    "inverted-residual": ("mobilenet_v2", "backbone.stages.1.1"),
    "inverted-residual-se": ("mobilenet_v3_large", "backbone.stages.2.1"),
    "shuffle-unit": ("shufflenet_v1_g3", "backbone.stages.2.1"),
    "shuffle-unit-reduction": ("shufflenet_v1_g3", "backbone.stages.2.0"),
    "shuffle-unit-v2": ("shufflenet_v2_x1_0", "backbone.stages.2.1"),
    "shuffle-unit-v2-reduction": ("shufflenet_v2_x1_0", "backbone.stages.2.0"),
    "xception-block": ("xception", "backbone.stages.3.1"),
    "mixed-depthwise": ("mixnet_s", "backbone.stages.3.1.depthwise.conv"),
    "mixed-block": ("mixnet_s", "backbone.stages.3.1"),
    "ghost-module": ("ghostnet", "backbone.stages.1.0.expand"),
    "ghost-bottleneck": ("ghostnet", "backbone.stages.1.0"),
    "squeeze-excitation": ("se_resnet50", "backbone.stage1.0.attention"),
    "scse": ("scse_resnet50", "backbone.stage1.0.attention"),
    "cbam": ("cbam_resnet50", "backbone.stage1.0.attention"),
    "non-local": ("nl_resnet50", "backbone.stage3.5"),
    "global-context": ("gc_resnet50", "backbone.stage2.0.attention"),
}
# Blocks that are one box inside another block, for they have a drawing of their own.
WHOLE = (
    *(blocks.SqueezeExcitation, blocks.ConcurrentSqueezeExcitation, blocks.CBAM, blocks.GlobalContext, blocks.NonLocal),
    *(blocks.GhostModule, blocks.MixConv2d, blocks.ChannelShuffle, blocks.SeparableConv2d),
)
SIGNS = {"add": "+", "mul": "\u00d7", "matmul": "·", "bmm": "·", "einsum": "·"}
MOVES = {
    *("flatten", "unflatten", "view", "reshape", "transpose", "permute", "squeeze", "unsqueeze"),
    *("expand", "expand_as", "contiguous", "getattr", "size"),
}
NAMES = {
    nn.BatchNorm2d: "batch norm",
    nn.ReLU: "ReLU",
    nn.ReLU6: "ReLU6",
    nn.Hardswish: "hard swish",
    nn.Hardsigmoid: "hard sigmoid",
    nn.SiLU: "swish",
    nn.Sigmoid: "sigmoid",
    nn.LayerNorm: "layer norm",
}


class Tracer(fx.Tracer):
    """Stops at the layers of torch and at blocks that are drawn elsewhere."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.whole = tuple(kind for kind in WHOLE if not isinstance(root, kind))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether a module is one box."""
        return isinstance(m, self.whole) or super().is_leaf_module(m, module_qualified_name)

    def iter(self, obj: fx.Proxy) -> Iterator[fx.Proxy]:
        """Give the parts of a map that was split, as many as their sizes."""
        node = obj.node
        return iter([obj[i] for i in range(len(node.args[1]))]) if node.target == "split" else super().iter(obj)


def picture_of(network: str, path: str) -> str:
    """Give the SVG of the block at `path` in a network, with the sizes that it has there."""
    with torch.device("meta"):
        model = networks.create(network).eval()
        seen: list[Tensor] = []
        block = model.get_submodule(path)
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        model(torch.empty(1, *networks.card(network).input))
        block._forward_pre_hooks.clear()  # noqa: SLF001  # a trace would run it again
        graph = fx.GraphModule(block, Tracer(block).trace(block))
        ShapeProp(graph).propagate(seen[0])
    return draw(_boxes(graph))


def _boxes(graph: fx.GraphModule) -> list[Box]:
    boxes: list[Box] = []
    place: dict[fx.Node, int] = {}
    users: dict[int, int] = {}
    for node in graph.graph.nodes:
        inputs = [place[n] for n in node.all_input_nodes if n in place]
        box = _box(node, graph)
        if box is None:
            place |= {node: inputs[0]} if inputs else {}
        elif box.title in NAMES.values() and boxes[inputs[0]].kind == "box" and users[inputs[0]] == 1:
            _append(boxes[inputs[0]], box)
            place[node] = inputs[0]
        else:
            box.inputs = inputs
            place[node] = len(boxes)
            boxes.append(box)
        if node in place:
            users[place[node]] = len(node.users)
    return boxes


def _append(box: Box, norm: Box) -> None:
    """Put a norm or an activation into the box of the layer before it: title, what follows it, shape."""
    *words, shape = box.notes
    box.notes = [", ".join([*words, norm.title]), shape]


def _box(node: fx.Node, graph: fx.GraphModule) -> Box | None:
    """Give a node's box; None where it computes nothing."""
    shape = _shape(node)
    if node.op in ("placeholder", "output"):
        return Box("x" if node.op == "placeholder" else "y", [shape], kind="end")
    if node.op == "get_attr":
        return None
    if node.op == "call_module":
        title = _title(graph.get_submodule(str(node.target)))
        return Box(title, [shape]) if title else None
    name = (node.target if isinstance(node.target, str) else node.target.__name__).strip("_")
    name = {"iadd": "add", "imul": "mul"}.get(name, name)
    if name in MOVES or not isinstance(node.meta.get("tensor_meta"), tuple):
        return None
    if name == "getitem" and _shape(node.all_input_nodes[0]) == shape:
        return None  # the whole of it
    if name == "getitem":
        return Box("part", [shape])
    sign = SIGNS.get(name)
    read = [n for n in node.all_input_nodes if n.op != "get_attr"]
    if sign and len(read) > 1:
        return Box(sign, kind="op")
    title = _worded(name, node)
    return Box(title, [shape] if shape else []) if title else None


def _worded(name: str, node: fx.Node) -> str:
    if name in SIGNS and len(node.args) > 1:
        (other,) = (arg for arg in node.args if not isinstance(arg, fx.Node) or arg.op == "get_attr")
        if other == 1:
            return ""
        return f"{SIGNS[name]} {other.target if isinstance(other, fx.Node) else other}"
    over = "channels" if node.kwargs.get("dim", node.args[-1]) == 1 else "the map"
    worded = {
        "cat": "concat",
        "chunk": "split",
        "relu": "ReLU",
        "mean": f"mean over {over}",
        "amax": f"maximum over {over}",
    }
    return worded.get(name, name.replace("_", " "))


def _shape(node: fx.Node) -> str:
    meta: Any = node.meta.get("tensor_meta")
    if not isinstance(meta, tuple) or not isinstance(getattr(meta, "shape", None), torch.Size):
        return ""
    channels, *size = meta.shape[1:]
    return f"{channels} · {'x'.join(map(str, size))}" if size else str(channels)


def _title(layer: nn.Module) -> str:
    if isinstance(layer, nn.Identity | nn.Dropout | nn.Flatten):
        return ""
    if isinstance(layer, nn.Conv2d):
        return _conv(layer)
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        kind = "max" if isinstance(layer, nn.MaxPool2d) else "average"
        return f"{_size(layer.kernel_size)} {kind} pool{_stride(layer.stride)}"
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return "mean over the map" if isinstance(layer, nn.AdaptiveAvgPool2d) else "maximum over the map"
    if isinstance(layer, nn.Linear):
        return "dense"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(layer).__name__.removesuffix("2d"))
    return NAMES.get(type(layer)) or words.lower()


def _conv(layer: nn.Conv2d) -> str:
    depthwise = layer.groups == layer.in_channels > 1
    groups = f", {layer.groups} groups" if layer.groups > 1 and not depthwise else ""
    return f"{_size(layer.kernel_size)} {'depthwise' if depthwise else 'conv'}{groups}{_stride(layer.stride)}"


def _size(kernel: int | tuple[int, ...]) -> str:
    return "x".join(map(str, kernel if isinstance(kernel, tuple) else (kernel, kernel)))


def _stride(stride: int | tuple[int, ...]) -> str:
    step = stride if isinstance(stride, int) else stride[0]
    return f", stride {step}" if step > 1 else ""


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, (network, path) in BLOCKS.items():
        (FOLDER / f"{name}.svg").write_text(picture_of(network, path), encoding="utf-8")
