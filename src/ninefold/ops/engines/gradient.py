"""The gradient for the weight by a generated kernel, for the engines that share it; see `kernels.llvm.gradient`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, final

import torch

from ninefold.kernels.llvm.convert import ClearBorder, ToBlocks
from ninefold.kernels.llvm.direct import border_read
from ninefold.kernels.llvm.gradient import WeightGradient
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.plan import Plan
from ninefold.kernels.llvm.target import host
from ninefold.ops.engines.form import Form
from ninefold.ops.engines.maps import Maps, Ready, blocked, group_size, room, useful_threads, working_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.kernel import Kernel
    from ninefold.kernels.llvm.plan import Step
    from ninefold.spec import ConvSpec


def weight_gradient(x: Tensor, grad: Tensor, spec: ConvSpec) -> Tensor:
    """Compute the gradient for the weight of a dense convolution that `direct.why_not` of the kernels does not refuse.

    Args:
        x: `spec.input_shape`, float32 on the CPU.
        grad: `spec.output_shape`, likewise.
        spec: of one or two axes, not transposed.

    Returns:
        `spec.weight_shape`.
    """
    program = _program_of(spec)
    packed = program.run(x.contiguous(), grad.contiguous())
    return packed.reshape(spec.weight_shape)


def warm_up(spec: ConvSpec) -> None:
    """Compile the kernels for a spec."""
    _program_of(spec)


@final
@dataclass(frozen=True)
class Program:
    """The kernels of a weight's gradient, compiled.

    Args:
        kernel: adds up the gradient, picture by picture.
        library: keeps the kernels in memory.
        steps: the kernels by what they do: "image" and "places" come in, "clear" where needed, "add".
    """

    kernel: WeightGradient
    library: Library
    steps: dict[str, Ready]

    def run(self, x: Tensor, grad: Tensor) -> Tensor:  # -> (O, C / groups, KH, KW)
        """Sum over the batch; both are contiguous."""
        image, places = self.kernel.input, self.kernel.output
        total = buffer(self.kernel.size)
        group = group_size(len(x), room(image) + room(places))
        memory = working_memory(group * (room(image) + room(places)))
        images = Maps.within(memory.ctypes.data, image)
        into = images, Maps.within(memory.ctypes.data + group * images.stride, places)
        steps = [self.steps["clear"].step(Maps(), images, group)] if "clear" in self.steps else []
        for first in range(0, len(x), group):
            some = slice(first, min(first + group, len(x)))
            steps += self._group((x[some], grad[some]), into, total.ctypes.data)
        macs = len(x) * self.kernel.spec.macs
        Plan(steps, useful_threads(macs, torch.get_num_threads())).run()
        return torch.from_numpy(self.kernel.unpack(total).copy())

    def _group(self, planes: tuple[Tensor, Tensor], into: tuple[Maps, Maps], total: int) -> Iterator[Step]:
        (x, grad), (images, places) = planes, into
        yield self.steps["image"].step(Maps.planar(x), images, len(x))
        yield self.steps["places"].step(Maps.planar(grad), places, len(x), waits=False)
        for picture in range(len(x)):  # one after the other: all add to the same sums
            add = self.steps["add"].step(Maps(images.first + picture * images.stride), Maps(total), 1)
            yield replace(add, residual=places.first + picture * places.stride)


@lru_cache(maxsize=4096)  # as in `planned`
def _program_of(spec: ConvSpec) -> Program:
    return _program(Form.of(replace(spec, batch=1)).dense)


@lru_cache(maxsize=256)
def _program(dense: ConvSpec) -> Program:
    target = host()
    image = blocked(dense.in_channels, dense.in_size, target, border_read(dense))
    places = blocked(dense.out_channels, dense.out_size, target)
    kernel = WeightGradient.of(dense, (image, places), target)
    kernels: dict[str, Kernel] = {"image": ToBlocks(image), "places": ToBlocks(places), "add": kernel}
    if any(image.border):
        kernels["clear"] = ClearBorder(image)
    library = build(kernels.values(), target)
    return Program(kernel, library, {name: Ready.of(each, library) for name, each in kernels.items()})
