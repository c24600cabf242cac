"""A convolution in contest: engines from tensor to tensor, and kernels by themselves on maps in blocks."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ninefold.errors import InvalidInput, UnknownName
from ninefold.kernels.llvm import depthwise, direct, first, winograd, winograd_tile
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.kernel import NO_BORDER, build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.memory import buffer, copied
from ninefold.kernels.llvm.peak import PeakMeter
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import host
from ninefold.ops import ENGINES
from ninefold.spec import ConvSpec
from ninefold.training.contest.rounds import alternate, torch_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ninefold.kernels.llvm.kernel import Kernel
    from ninefold.kernels.llvm.target import Target

# Layers of ResNet-50, VGG-16 and MobileNetV2: 3x3, 1x1, strided, the first, depthwise.
LAYERS: Final = (
    *("3x224x224:64k7s2", "3x224x224:64k3", "64x224x224:64k3", "128x112x112:128k3", "256x56x56:256k3"),
    *("512x28x28:512k3", "512x14x14:512k3", "64x56x56:64k3", "128x28x28:128k3", "256x14x14:256k3", "512x7x7:512k3"),
    *("128x56x56:128k3s2", "256x28x28:256k3s2", "64x56x56:64k1", "64x56x56:256k1", "256x56x56:64k1"),
    *("512x28x28:128k1", "128x28x28:512k1", "1024x14x14:256k1", "256x14x14:1024k1", "2048x7x7:512k1"),
    *("144x56x56:144k3g144", "96x112x112:96k3s2g96", "384x14x14:384k3g384"),
)
_WRITTEN: Final = re.compile(
    r"(?P<C>\d+)x(?P<H>\d+)x(?P<W>\d+):(?P<O>\d+)k(?P<k>\d+)(s(?P<s>\d+))?(p(?P<p>\d+))?(d(?P<d>\d+))?(g(?P<g>\d+))?"
)
FAMILIES: Final = ("first", "depthwise", "direct", "winograd")
_TRIALS: Final = 2  # rounds in which tiles are compared


@dataclass(frozen=True, slots=True)
class Row:
    """How one way to compute a layer did.

    Args:
        layer: as it was written.
        way: an engine of `ninefold.conv2d`, or a kernel by itself.
        gflops: multiplications and additions of the definition, 2 * MACs, in 10^9 per second of the median call.
        best_gflops: the same of the shortest call.
        share_of_peak: `best_gflops` in parts of the FMA peak; above 1 only for algorithms that multiply less.
        max_rel_error: largest difference from float64, relative to the largest value of the result.
        fma_peak_gflops: what these threads can multiply and add; the largest of a sample per round.
        threads: that could compute.
        tile: of a kernel: how it was set; "" for an engine.
    """

    layer: str
    way: str
    gflops: float
    best_gflops: float
    share_of_peak: float
    max_rel_error: float
    fma_peak_gflops: float
    threads: int
    tile: str = ""


class _Way(NamedTuple):
    run: Callable[[], Any]
    result: Callable[[], np.ndarray]  # after a run, (O, H, W)
    tile: str = ""
    owner: Any = None  # keeps what the run only knows the addresses of


def parse_layer(text: str) -> ConvSpec:
    """Read a convolution of one picture, CxHxW:OkKsSpPdDgG.

    That is C channels of H by W pixels, O output channels, a kernel of K by K, stride S (else 1), padding P (else what
    keeps the size at stride 1), dilation D and G groups (else 1).

    Raises:
        InvalidInput: when it is anything else.

    >>> spec = parse_layer("64x56x56:128k3s2")
    >>> spec.weight_shape, spec.stride, spec.padding, spec.out_size
    ((128, 64, 3, 3), (2, 2), ((1, 1), (1, 1)), (28, 28))
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text!r} is no layer; write CxHxW:OkKsSpPdDgG, such as 64x56x56:128k3s2 or 32x14x14:32k3g32"
        )
    given = {name: int(value) for name, value in found.groupdict().items() if value is not None}
    kernel, dilation, groups = given["k"], given.get("d", 1), given.get("g", 1)
    if groups < 1 or given["C"] % groups:
        raise InvalidInput(f"{text!r} has {given['C']} channels, which {groups} groups cannot share; name a divisor")
    return ConvSpec.of(
        (1, given["C"], given["H"], given["W"]),
        (given["O"], given["C"] // groups, kernel, kernel),
        stride=given.get("s", 1),
        padding=given.get("p", dilation * (kernel - 1) // 2),
        dilation=dilation,
        groups=groups,
    )


def contest(layer: str, threads: int = 1, rounds: int = 10, only: Sequence[str] = ()) -> list[Row]:
    """Compute a layer in every way that can, and time them in alternation.

    Of every kind of kernel, the tile or cut that takes least time competes.

    Args:
        layer: see `parse_layer`.
        threads: that may compute, >= 1.
        rounds: of three timed calls each, >= 1.
        only: families of `FAMILIES` whose kernels compete by themselves; () for all, and the engines.

    Raises:
        InvalidInput: when the layer is none, or there is no thread or round.
        UnknownName: when there is no such family.
    """
    spec = parse_layer(layer)
    for name in only:
        if name not in FAMILIES:
            raise UnknownName.among("family of kernels", name, FAMILIES)
    if threads < 1:
        raise InvalidInput(f"threads={threads} came; wanted at least 1")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(spec.input_shape, generator=generator)
    weight = torch.randn(spec.weight_shape, generator=generator)
    with torch_threads(threads), torch.no_grad():
        truth = _convolved(spec, x.double(), weight.double())
        engines = () if only else _engines(spec, x, weight)
        ways = dict([*engines, *_kernels(spec, x, weight, threads, only or FAMILIES)])
        errors = {name: _error(way, truth) for name, way in ways.items()}
        meter, peaks = PeakMeter(threads), []
        times = alternate({name: way.run for name, way in ways.items()}, rounds, lambda: peaks.append(meter.gflops()))
    peak, work = max(peaks), 2 * spec.macs / 1e9
    return [
        Row(
            *(layer, name, work / own.median, work / own.least, work / own.least / peak),
            *(errors[name], peak, threads, ways[name].tile),
        )
        for name, own in times.items()
    ]


def _convolved(spec: ConvSpec, x: torch.Tensor, weight: torch.Tensor) -> np.ndarray:
    padding = [before for before, _ in spec.padding]
    return F.conv2d(x, weight, None, spec.stride, padding, spec.dilation, spec.groups)[0].numpy()


def _error(way: _Way, truth: np.ndarray) -> float:
    way.run()
    return float(np.abs(way.result() - truth).max() / np.abs(truth).max())


# From tensor to tensor.


def _engines(spec: ConvSpec, x: torch.Tensor, weight: torch.Tensor) -> Iterator[tuple[str, _Way]]:
    for engine in ENGINES[:-1]:  # the reference is for reading
        if engine.why_not(spec, x.device, x.dtype) is None:
            yield engine.name, _engine_way(partial(engine.run, x, engine.prepare(weight, spec), None, spec))


def _engine_way(run: Callable[[], torch.Tensor]) -> _Way:
    return _Way(run, lambda: np.asarray(run()[0]))


# By themselves.


def _kernels(
    spec: ConvSpec, x: torch.Tensor, weight: torch.Tensor, threads: int, families: Sequence[str]
) -> Iterator[tuple[str, _Way]]:
    for name, kernels in _candidates(spec, host()):
        if name.split()[0] not in families:
            continue
        ways = [_kernel_way(kernel, x[0].numpy(), weight.numpy(), threads) for kernel in kernels]
        times = alternate({str(i): way.run for i, way in enumerate(ways)}, _TRIALS)
        yield f"{name} kernel", ways[min(range(len(ways)), key=lambda i, times=times: times[str(i)].least)]


def _candidates(spec: ConvSpec, target: Target) -> Iterator[tuple[str, list[Kernel]]]:
    output, epilogue = _layout(spec.out_channels, spec.out_size, target), Epilogue()
    if spec.in_channels <= target.lanes // 4 and first.why_not(spec) is None:
        yield "first", [first.First(spec, output, epilogue, tile) for tile in first.candidates(spec, target)]
    bordered = _input(spec, target)
    if depthwise.why_not(spec) is None:
        strips = depthwise.candidates(spec, target)
        yield "depthwise", [depthwise.Depthwise(spec, bordered, output, epilogue, strip) for strip in strips]
    if direct.why_not(spec, target) is None:
        tiles = direct.candidates(spec, target)
        yield "direct", [direct.Direct(spec, bordered, output, epilogue, tile) for tile in tiles]
    plain = _layout(spec.in_channels, spec.in_size, target)
    for m in winograd_tile.FORMS if winograd.why_not(spec) is None else ():
        cuts = winograd.candidates(spec, target, m)
        yield f"winograd F({m})", [winograd.WinogradConv(spec, plain, output, epilogue, cut) for cut in cuts]


def _layout(channels: int, size: tuple[int, ...], target: Target, border: Any = NO_BORDER) -> Blocked:
    return Blocked(channels, size[0], size[1], target.lanes, border)


def _input(spec: ConvSpec, target: Target) -> Blocked:
    return _layout(spec.in_channels, spec.in_size, target, direct.border_read(spec))


def _kernel_way(kernel: Any, x: np.ndarray, weight: np.ndarray, threads: int) -> _Way:
    target = host()
    library = build([kernel], target)
    output = kernel.output
    packed, y = copied(kernel.pack(weight)), buffer(output.size)
    is_planar, is_depthwise = isinstance(kernel, first.First), isinstance(kernel, depthwise.Depthwise)
    given = copied(x) if is_planar else into_blocks(x, kernel.input)
    begin = given.ctypes.data + (0 if is_planar else 4 * kernel.input.first)
    step = Step(
        library.addresses[kernel.name],
        kernel.grid,
        x=begin,
        weight=packed.ctypes.data,
        y=y.ctypes.data + 4 * output.first,
        scratch=kernel.scratch,
    )
    plan = Plan([step], threads)
    tile = " ".join(f"{name} {value}" for name, value in asdict(kernel.strip if is_depthwise else kernel.tile).items())
    return _Way(plan.run, lambda: from_blocks(y, output), tile, (library, packed, given))


def into_blocks(x: np.ndarray, layout: Blocked) -> np.ndarray:  # (C, H, W)
    """Lay out maps as kernels read them, the border zeros."""
    maps = buffer(layout.size)
    inside = _inside(maps, layout)
    for channel, plane in enumerate(x):
        inside[channel // layout.lanes, :, :, channel % layout.lanes] = plane
    return maps


def from_blocks(maps: np.ndarray, layout: Blocked) -> np.ndarray:  # -> (C, H, W)
    """Take maps out of blocks."""
    planes = _inside(maps, layout).transpose(0, 3, 1, 2)
    return planes.reshape(-1, layout.height, layout.width)[: layout.channels]


def _inside(maps: np.ndarray, layout: Blocked) -> np.ndarray:  # -> (blocks, H, W, lanes), a view
    above, below, left, right = layout.border
    rows, columns = layout.height + above + below, layout.width + left + right
    blocks = maps.reshape(layout.blocks, rows, columns, layout.lanes)
    return blocks[:, above : above + layout.height, left : left + layout.width]
