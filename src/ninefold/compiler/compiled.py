"""`ninefold.compile`: a torch module that runs on the kernels, and is the model itself where it cannot."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final, get_args

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map_only  # the only place where torch keeps them

from ninefold.compiler.capture import captured
from ninefold.compiler.choice import Precision
from ninefold.compiler.locks import Lock
from ninefold.compiler.program import Plan, Program
from ninefold.compiler.saved import Settings, save
from ninefold.compiler.simplify import simplified
from ninefold.compiler.weights import Weights
from ninefold.errors import InvalidInput, NinefoldError, Unsupported

if TYPE_CHECKING:
    from collections.abc import Hashable


_KEPT: Final = 8  # programs, of the shapes seen last


def compile(  # noqa: A001  # as torch and re call theirs
    model: nn.Module,
    example_input: Any = None,
    *,
    threads: int | None = None,
    precision: Precision = "fast",
    tune: bool = True,
    max_weight_bytes: int | None = None,
) -> Compiled:
    """Make a model run on kernels written for this processor.

    The result is called like the model and returns what it returns. A plan is made for every shape of input when it
    is first seen; batch norm is folded, activations and sums are done by the layers before them, and operators that
    no kernel computes stay in torch: `result.plan.table()` says which and why. The model itself runs in training
    mode, for inputs that need gradients, that are not float32 or not on the CPU, and where torch cannot export it;
    then `result.plan` says so. Results carry no gradients.

    Args:
        model: any module; its parameters are shared, and changes of them are noticed.
        example_input: a tensor, or a tuple of positional arguments, to plan for at once; None waits for the first call.
        threads: that may compute, >= 1; None for as many as torch uses.
        precision: "fast" allows Winograd's algorithm, and `plan.error` is what it costs; "exact" keeps to sums in the
            direct order.
        tune: whether a layer's kernel is chosen by measuring several, which takes up to a minute the first time and is
            remembered in the cache folder; else a rule chooses.
        max_weight_bytes: that weights in the kernels' order may take, >= 0, at the price of speed: Winograd's algorithm
            wants up to seven times as many as summing directly. Where even that wants more, the plan says so.

    Raises:
        InvalidInput: when `threads`, `precision` or `max_weight_bytes` is none of the above.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> fast = compile(model, torch.zeros(1, 3, 8, 8), threads=1, tune=False)
    >>> torch.allclose(fast(torch.ones(1, 3, 8, 8)), model(torch.ones(1, 3, 8, 8)), atol=1e-5)
    True
    """
    if threads is not None and threads < 1:
        raise InvalidInput(f"threads={threads} came; wanted at least 1, or None for as many as torch uses")
    if precision not in get_args(Precision):
        raise InvalidInput(f"precision={precision!r} is not known; use one of {', '.join(get_args(Precision))}")
    if max_weight_bytes is not None and max_weight_bytes < 0:
        raise InvalidInput(f"max_weight_bytes={max_weight_bytes} came; wanted at least 0, or None for no limit")
    made = Compiled(model, Settings(precision, threads, tune, max_weight_bytes))
    if example_input is not None:
        made.prepare(*(example_input if isinstance(example_input, tuple) else (example_input,)))
    return made


@final
class Compiled(nn.Module):
    """A model and its programs. Any number of threads may call it; `compile` makes one.

    Args:
        model: what is computed.
        settings: how it is planned.
    """

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.model = model
        self._itself = (model,)  # found sooner than a module among modules
        self.training = model.training
        self.plan = Plan(reason="it was not called yet")
        self._settings = settings
        self._programs: OrderedDict[Hashable, Program | Plan] = OrderedDict()
        self._examples: dict[Hashable, tuple[Any, ...]] = {}
        self._lock = Lock()
        self._weights = Weights(model)

    def forward(self, *inputs: Any) -> Any:
        """Compute the model."""
        made = self._program_for(inputs)
        plan = made if isinstance(made, Plan) else made.plan
        if self.plan is not plan:  # a module takes its time over attributes
            self.plan = plan
        if isinstance(made, Plan):
            return self.model(*inputs)
        return made.compute(inputs if _is_tensor(inputs) else tree_flatten(inputs)[0])

    def prepare(self, *inputs: Any) -> None:
        """Plan for inputs of these shapes without computing anything; the plan is `plan` afterwards."""
        made = self._program_for(inputs)
        self.plan = made if isinstance(made, Plan) else made.plan

    def refresh(self) -> None:
        """Forget all programs: for weights that were changed in a way that torch does not count, as through `.data`."""
        with self._lock.own:
            self._forget()

    def save(self, path: str | Path) -> None:
        """Write all programs made so far to one file of safetensors, which `ninefold.load` reads.

        Weights are saved as they are at this moment. The file holds no code and does not need the model.

        Args:
            path: of the file; its folder must exist.

        Raises:
            InvalidInput: when the folder does not exist, or the model is in training mode.
            Unsupported: when there is no program, or a part of one cannot be written; the message names it.
            StorageFull: when the disk has no room; an older file is as it was.
        """
        with self._lock.own:
            examples = [self._examples[key] for key, made in self._programs.items() if isinstance(made, Program)]
        if not examples:
            reason = self.plan.reason or "none is kept"
            raise Unsupported(f"there is no program to save, as {reason}; call prepare first")
        inputs = [tree_map_only(torch.Tensor, torch.Tensor.contiguous, example) for example in examples]
        with torch.inference_mode(mode=False):
            graphs = [(simplified(captured(self.model, example)), example) for example in inputs]
        save(Path(path), graphs, self._settings)

    def _forget(self) -> None:
        self._programs.clear()
        self._examples.clear()
        self._weights = Weights(self.model)

    def _program_for(self, inputs: tuple[Any, ...]) -> Program | Plan:
        """Give the program for these inputs, or a plan that says why there is none."""
        (model,) = self._itself
        if self.training or model.training:
            return Plan(reason="it is in training mode; call .eval()")
        if torch.is_autocast_enabled("cpu"):
            return Plan(reason="autocast is on, and kernels compute with float32 only")
        key = (_form(inputs), self._settings.threads or torch.get_num_threads())
        with self._lock.own:
            if not self._weights.are_same():
                self._forget()
            if key in self._programs:
                self._programs.move_to_end(key)
                return self._programs[key]
            if reason := _why_not(inputs):
                return Plan(reason=reason)
            self._programs[key], self._examples[key] = self._new(inputs), tree_map_only(torch.Tensor, _zeros, inputs)
            while len(self._programs) > _KEPT:
                oldest, _ = self._programs.popitem(last=False)
                del self._examples[oldest]
            return self._programs[key]

    def _new(self, inputs: tuple[Any, ...]) -> Program | Plan:
        if any(tensor.device.type != "cpu" for tensor in self.model.parameters()):
            return Plan(reason="a parameter is not on the CPU")
        try:
            with torch.inference_mode(mode=False):  # what is made here is also written to outside of that mode
                program = self._settings.planned(simplified(captured(self.model, inputs)))
        except NinefoldError as reason:
            return Plan(reason=str(reason))
        return program if program.plan.kernels else Plan(reason="there is nothing in it that a kernel computes")


def _is_tensor(inputs: tuple[Any, ...]) -> bool:
    """Whether the input is one plain tensor, the usual case, in which nothing has to be flattened."""
    return len(inputs) == 1 and type(inputs[0]) is torch.Tensor


def _form(inputs: tuple[Any, ...]) -> Hashable:
    """Give all of the inputs that a program depends on."""
    if _is_tensor(inputs):
        return _form_of(inputs[0])
    leaves, structure = tree_flatten(inputs)
    return str(structure), *(_form_of(leaf) if isinstance(leaf, torch.Tensor) else repr(leaf) for leaf in leaves)


def _form_of(tensor: torch.Tensor) -> Hashable:
    return tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad and torch.is_grad_enabled()


def _why_not(inputs: tuple[Any, ...]) -> str:
    """Say why kernels cannot take inputs, or ""."""
    leaves = tree_flatten(inputs)[0]
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if leaves and not tensors:
        came = type(leaves[0]).__name__
        return f"its input is a {came}, and plans take tensors; sparse layers run on kernels of their own"
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return "an input needs gradients"
    if not tensors or tensors[0].dim() == 0 or 0 in tensors[0].shape:
        return "its first input is no tensor of numbers with a batch axis"
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "an input is not on the CPU"
    return ""


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    """Give a tensor of the same shape and dtype that takes no memory."""
    return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
