"""Watch a forward pass and write down its layers: the machinery under `summarize`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode  # the public name of this hook, underscore and all
from torch.utils._pytree import tree_leaves, tree_map_only

from ninefold.nn.summary.memory import Lifetimes
from ninefold.nn.summary.sight import Sight
from ninefold.nn.summary.steps import CONVOLUTIONS, Step, conv_spec, step_of

# Operations that move values and compute none, beside those that torch marks as views.
_MOVES = frozenset(
    {"unsafe_view", "clone", "to_copy", "contiguous", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"}
)
_NO_LAYERS = frozenset({"torch.nn.modules.module", "torch.nn.modules.container"})


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, as it ran.

    Args:
        name: path of the module that ran it, as in `model.named_modules()`; "" is the model itself.
        kind: the module's class (`Conv2d`, `ReLU`), or the function that the module called (`concat`, `add`, `relu`).
        kernel: height and width of the window, of layers that have one.
        stride: step of the window, of layers that have one.
        output_shape: (C, H, W) or (features,), without the batch.
        parameters: numbers this layer is the first to use.
        macs: multiply-accumulates of one picture; convolutions and dense layers only.
        receptive_field: input pixels one output value can depend on, per axis; padding may lie among them, and the
            statistics of normalisation are not counted.
        parameters_so_far: `parameters` of this row and all before it.
    """

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: tuple[int, ...]
    parameters_so_far: int

    @property
    def values(self) -> int:
        """Values in the output for one picture."""
        return prod(self.output_shape)


@dataclass(slots=True)
class _Frame:
    """A module that is running. The steps of a layer of `torch.nn` make one row; others make a row each."""

    name: str
    kind: str
    is_layer: bool
    input_shape: tuple[int, ...]
    steps: list[Step] = field(default_factory=list)
    weights: frozenset[int] = frozenset()


class Trace(TorchDispatchMode):
    """Record the layers of `model` while `picture` runs through it; both are on the meta device.

    Every operation passes here below autograd, where it has one form however it was called. A tensor is known either by
    its sight (it depends on the picture) or by the parameters it was made of.
    """

    def __init__(self, model: nn.Module, picture: Tensor) -> None:
        super().__init__()
        self.rows: list[LayerRow] = []
        self._names = {id(module): name for name, module in model.named_modules()}
        self._numbers = {id(p): p.numel() for p in model.parameters()}
        self._uncounted = set(self._numbers)
        self._weights = {id(p): frozenset({id(p)}) for p in model.parameters()}
        self._sights = {id(picture): Sight.of_picture(picture.shape[2:])}
        self._kept: list[object] = [picture]  # while a tensor is alive, its id names no other
        self._frames: list[_Frame] = []
        self.lifetimes = Lifetimes(picture, chain(model.parameters(), model.buffers()))
        for module in model.modules():
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def place(self) -> str:
        """Say in which layer the pass is, and with what input."""
        frame = self._frames[-1]
        layer = f"layer {frame.name!r} ({frame.kind})" if frame.name else f"the network ({frame.kind})"
        return f"{layer} cannot take the input of shape {frame.input_shape} that reaches it"

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        args, kwargs = tree_map_only(Tensor, _bare, (args, kwargs or {}))
        name = func.name().split("::")[1].split(".")[0].strip("_")
        if name == "local_scalar_dense":
            raise NotImplementedError
        if name in CONVOLUTIONS:
            conv_spec(name, args)  # its sentence about an impossible size says more than torch's
        result = func(*args, **kwargs)
        inputs, outputs = _tensors((args, kwargs)), _tensors(result)
        self.lifetimes.note(inputs + outputs)
        self._follow(name, args, inputs, outputs, is_move=func.is_view or name in _MOVES)
        return result

    def _follow(
        self, name: str, args: tuple[Any, ...], inputs: list[Tensor], outputs: list[Tensor], *, is_move: bool
    ) -> None:
        self._kept += outputs
        seen = [(tensor, self._sights[id(tensor)]) for tensor in inputs if id(tensor) in self._sights]
        weights = frozenset[int]().union(*(self._weights.get(id(tensor), frozenset()) for tensor in inputs))
        if not seen:
            self._weights |= {id(tensor): weights for tensor in outputs}
            return
        steps = [step_of(name, args, seen, out) for out in outputs]
        self._sights |= {id(out): step.sight for out, step in zip(outputs, steps, strict=True)}
        if steps and not is_move:
            self._record(name, steps[0], weights)

    def _record(self, name: str, step: Step, weights: frozenset[int]) -> None:
        frame = self._frames[-1]
        if frame.is_layer:
            frame.steps.append(step)
            frame.weights |= weights
        elif step.kind or weights & self._uncounted:
            self._write(frame.name, replace(step, kind=step.kind or name), weights)

    def _write(self, name: str, step: Step, weights: frozenset[int]) -> None:
        new = weights & self._uncounted
        self._uncounted -= new
        parameters = sum(self._numbers[i] for i in new)
        before = self.rows[-1].parameters_so_far if self.rows else 0
        row = LayerRow(
            name=name,
            kind=str(step.kind),
            kernel=step.kernel,
            stride=step.stride,
            output_shape=step.shape[1:],
            parameters=parameters,
            macs=step.macs,
            receptive_field=step.sight.field.size,
            parameters_so_far=before + parameters,
        )
        self.rows.append(row)

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        shape = next((tuple(tensor.shape[1:]) for tensor in _tensors(inputs)), ())
        self._frames.append(_Frame(self._names[id(module)], type(module).__name__, _is_layer(module), shape))

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        del module, inputs
        frame = self._frames.pop()
        if frame.steps:
            last = next((tensor for tensor in _tensors(output) if id(tensor) in self._sights), None)
            self._write(frame.name, self._merged(frame, last), frame.weights)

    def _merged(self, frame: _Frame, output: Tensor | None) -> Step:
        """Make one step of all that a layer of `torch.nn` did."""
        window = next((step for step in frame.steps if step.kernel), frame.steps[-1])
        last = frame.steps[-1]
        return Step(
            kind=frame.kind,
            shape=last.shape if output is None else tuple(output.shape),
            sight=last.sight if output is None else self._sights[id(output)],
            kernel=window.kernel,
            stride=window.stride,
            macs=sum(step.macs for step in frame.steps),
        )


def _bare(tensor: Tensor) -> Tensor:
    """Give `tensor` on the meta device: constants that a forward pass makes may live elsewhere."""
    return tensor if tensor.is_meta else tensor.to("meta")


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _is_layer(module: nn.Module) -> bool:
    """Say whether `module` is one layer of `torch.nn`, or of a class derived from one, with nothing inside."""
    homes = {base.__module__ for base in type(module).__mro__} - _NO_LAYERS
    return not any(module.children()) and any(home.startswith("torch.nn.modules.") for home in homes)
