"""What the engines on generated kernels share: from tensors to a plan of kernels and back.

A batch goes through in groups of pictures small enough for the caches: into blocks of channels, through the kernel, and
back. Numbers too small for a float32 of full precision count as zero.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch.nn import functional as F

from ninefold.kernels.llvm import direct
from ninefold.kernels.llvm.convert import ClearBorder, FromBlocks, Spread, ToBlocks
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.memory import Float32, buffer, copied
from ninefold.kernels.llvm.plan import Plan
from ninefold.kernels.llvm.target import host
from ninefold.ops.engine import Engine
from ninefold.ops.engines import gradient
from ninefold.ops.engines.form import Form
from ninefold.ops.engines.im2col import Im2col
from ninefold.ops.engines.maps import Maps, Ready, blocked, group_size, room, useful_threads, working_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.kernel import Border, Kernel
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.plan import Step
    from ninefold.kernels.llvm.target import Target
    from ninefold.ops.engine import Direction
    from ninefold.spec import ConvSpec


class Planned(Engine[Float32]):
    """An engine whose work is done by one generated kernel for float32 on a CPU.

    The gradient for the weight is computed by a kernel of its own where groups are whole blocks of channels, elsewhere
    by the engine `im2col`.
    """

    least_macs: ClassVar[int] = 2_000_000

    @abstractmethod
    def refuses(self, spec: ConvSpec, target: Target) -> str | None:
        """Say why the kernel cannot compute a spec of one or two axes, or None."""

    @abstractmethod
    def border(self, dense: ConvSpec) -> Border:
        """Give the zeros around the input that the kernel wants."""

    @abstractmethod
    def kernel(self, dense: ConvSpec, layouts: tuple[Blocked, Blocked], epilogue: Epilogue, target: Target) -> Kernel:
        """Build the kernel for layouts of input and output."""

    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:
        """Refuse other devices and dtypes, three axes, and what the kernel does not take."""
        if device.type != "cpu":
            return f"{self.name} is made of kernels for CPUs, and the device is {device.type}"
        if dtype != torch.float32:
            return f"{self.name} computes in float32 only, and the tensors are of {str(dtype).removeprefix('torch.')}"
        if spec.dims > 2:
            return f"{self.name} computes over one or two axes, and this convolution has {spec.dims}"
        return self.refuses(spec, host())

    def warm_up(self, spec: ConvSpec, direction: Direction) -> None:
        """Compile the kernels."""
        if direction == "conv":
            _program_of(self, spec)
        elif self._has_gradient(spec):
            gradient.warm_up(spec)

    def prepare(self, weight: Tensor, spec: ConvSpec) -> Float32:
        """Pack the weight in the order in which the kernel reads it."""
        program = _program_of(self, spec)
        return copied(program.kernel.pack(program.form.weight(weight, spec).detach().numpy()))

    def run(self, x: Tensor, prepared: Float32, bias: Tensor | None, spec: ConvSpec) -> Tensor:
        """Run a plan over groups of pictures."""
        program = _program_of(self, spec)
        y = x.new_empty(spec.batch, *program.form.dense.output_shape[1:])
        program.run(x.contiguous(), prepared, bias, y)
        cut = [-n for pair in reversed(program.form.cut) for n in pair]
        return (F.pad(y, cut) if any(cut) else y).view(spec.output_shape)

    def weight_gradient(self, x: Tensor, grad: Tensor, spec: ConvSpec) -> Tensor:
        """Add up the products, by `engines.gradient` or by `im2col`."""
        if self._has_gradient(spec):
            return gradient.weight_gradient(x, grad, spec)
        return Im2col().weight_gradient(x, grad, spec)

    def _has_gradient(self, spec: ConvSpec) -> bool:
        return direct.why_not(Form.of(spec).dense, host()) is None


@final
@dataclass(frozen=True)
class Program:
    """The kernels of a form, compiled.

    Args:
        form: what they compute.
        kernel: what computes it.
        source: layout of x.
        spread: layout of x', which the kernel reads; the same as `source` where nothing is put in between.
        result: layout of y.
        library: keeps the kernels in memory.
        steps: the kernels by what they do: "enter", "spread" and "clear" where needed, "compute", "leave".
    """

    form: Form
    kernel: Kernel
    source: Blocked
    spread: Blocked
    result: Blocked
    library: Library
    steps: dict[str, Ready]

    def run(self, x: Tensor, weight: Float32, bias: Tensor | None, y: Tensor) -> None:
        """Compute y from x, both contiguous."""
        filled = buffer(self.result.blocks * self.result.lanes)
        if bias is not None:
            filled[: self.result.channels] = bias.detach().numpy()
        pictures = len(x)
        group = group_size(pictures, self._numbers)
        memory = working_memory(group * self._numbers)
        addresses = weight.ctypes.data, filled.ctypes.data, memory.ctypes.data
        steps = [*self._cleared(memory.ctypes.data, group)]
        for first in range(0, pictures, group):
            some = slice(first, min(first + group, pictures))
            steps += self._group(x[some], y[some], addresses, group)
        Plan(steps, useful_threads(pictures * self.form.dense.macs, torch.get_num_threads())).run()

    @cached_property
    def _numbers(self) -> int:
        between = 0 if self.source == self.spread else room(self.source)
        return room(self.spread) + room(self.result) + between

    @cached_property
    def _scratch(self) -> int:
        return self.kernel.scratch

    def _cleared(self, memory: int, pictures: int) -> Iterator[Step]:
        if "clear" in self.steps:
            yield self.steps["clear"].step(Maps(), Maps.within(memory, self.spread), pictures)

    def _group(self, x: Tensor, y: Tensor, addresses: tuple[int, int, int], room: int) -> Iterator[Step]:
        weight, bias, memory = addresses
        pictures = len(x)
        source = spread = Maps.within(memory, self.spread)
        result = Maps.within(memory + room * spread.stride, self.result)
        if "spread" in self.steps:
            source = Maps.within(memory + room * (spread.stride + result.stride), self.source)
        # The last group has been computed, although its result may still be on its way to y.
        yield self.steps["enter"].step(Maps.planar(x), source, pictures, waits=False)
        if "spread" in self.steps:
            yield self.steps["spread"].step(source, spread, pictures)
        compute = self.steps["compute"].step(spread, result, pictures)
        yield replace(compute, weight=weight, bias=bias, scratch=self._scratch)
        yield self.steps["leave"].step(result, Maps.planar(y), pictures)


@lru_cache(maxsize=4096)  # small convolutions would spend more time on describing themselves than on computing
def _program_of(engine: Planned, spec: ConvSpec) -> Program:
    return _program(engine, Form.of(replace(spec, batch=1)))


@lru_cache(maxsize=256)
def _program(engine: Planned, form: Form) -> Program:
    target, dense = host(), form.dense
    in_size = tuple((n - 1) // s + 1 for n, s in zip(dense.in_size, form.step, strict=True))
    spread = blocked(dense.in_channels, dense.in_size, target, engine.border(dense))
    source = spread if form.step == (1, 1) else blocked(dense.in_channels, in_size, target)
    result = blocked(dense.out_channels, dense.out_size, target)
    kernel = engine.kernel(dense, (spread, result), Epilogue(bias=True), target)
    kernels: dict[str, Kernel] = {"enter": ToBlocks(source), "compute": kernel, "leave": FromBlocks(result)}
    if source != spread:
        kernels["spread"] = Spread(source, spread, form.step)
    if any(spread.border):
        kernels["clear"] = ClearBorder(spread)
    library = build(kernels.values(), target)
    steps = {name: Ready.of(each, library) for name, each in kernels.items()}
    return Program(form, kernel, source, spread, result, library, steps)
