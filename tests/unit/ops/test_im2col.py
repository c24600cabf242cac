"""The memory that `im2col` takes beside its result stays below what was stated."""

from itertools import product

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from ninefold.ops.engines import Im2col, Native
from ninefold.ops.engines.blocks import block_numbers, block_sizes, blocks
from ninefold.ops.engines.sides import Sides
from ninefold.spec import ConvSpec

SPECS = {
    "many rows": ConvSpec.of((2, 8, 16, 16), (16, 8, 3, 3), padding=1),
    "one long row": ConvSpec.of((1, 4, 4096), (4, 4, 9), padding=4),
    "one place of many channels": ConvSpec.of((1, 512, 3, 3), (2, 512, 3, 3)),
    "many output channels": ConvSpec.of((1, 64, 4, 4), (512, 64, 1, 1)),
    "depthwise": ConvSpec.of((2, 32, 16, 16), (32, 1, 3, 3), groups=32, padding=1),
    "three axes": ConvSpec.of((1, 4, 8, 8, 8), (4, 4, 3, 3, 3), stride=(1, 2, 2)),
}


def peak(compute):
    """Give the most bytes that PyTorch's allocator held at once for `compute`, its result included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = compute()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held, most = 0, 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    assert most >= result.nbytes > 0
    return most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_the_allocated_peak_stays_below_the_stated_size(name, dtype):
    spec, engine = SPECS[name], Im2col(buffer_bytes=16384)
    adjoint = spec.input_gradient()
    x, weight, grad = (torch.randn(s).to(dtype) for s in (spec.input_shape, spec.weight_shape, spec.output_shape))
    jobs = {
        spec.output_shape: lambda: engine.run(x, weight, None, spec),
        spec.input_shape: lambda: engine.run(grad, weight, None, adjoint),
        spec.weight_shape: lambda: engine.weight_gradient(x, grad, spec),
    }
    assert sum(1 for _ in blocks(Sides.of(spec), 16384 // 4)) > 1
    for shape, job in jobs.items():
        sums = torch.Size(shape).numel() * (4 if dtype == torch.float32 else 4 + 2)
        assert peak(job) <= sums + 16384


@pytest.mark.parametrize("numbers", [3, 50, 1000])
@pytest.mark.parametrize("name", SPECS)
def test_no_block_is_larger_than_allowed(name, numbers):
    spec = SPECS[name]
    sizes = block_sizes(Sides.of(spec), numbers)
    assert block_numbers(sizes, spec.dims) <= numbers


def test_blocks_meet_every_product_of_the_sums_once():
    spec = ConvSpec.of((2, 4, 3, 2), (6, 2, 2, 3), groups=2, padding=1)
    seen = [
        indices
        for block in blocks(Sides.of(spec), 20)
        for indices in product(
            *map(positions, (block.batch, block.groups, block.place_channels, block.image_channels)),
            *block.stops,
            *block.taps,
        )
    ]
    assert len(seen) == len(set(seen)) == spec.macs


def positions(run):
    return range(run.start, run.stop)


@pytest.mark.parametrize("buffer_bytes", [24, 200, 1500])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_smaller_buffer_gives_the_same_result(buffer_bytes, transposed):
    shape = (4, 3, 2, 2) if transposed else (6, 2, 2, 2)
    spec = ConvSpec.of((2, 4, 3, 3), shape, stride=2, padding=1, groups=2, dilation=2, transposed=transposed)
    x, weight, bias, grad = (
        torch.randn(s, dtype=torch.float64)
        for s in (spec.input_shape, spec.weight_shape, (spec.out_channels,), spec.output_shape)
    )
    small, native = Im2col(buffer_bytes), Native()
    torch.testing.assert_close(small.run(x, weight, bias, spec), native.run(x, weight, bias, spec))
    if not transposed:
        torch.testing.assert_close(small.weight_gradient(x, grad, spec), native.weight_gradient(x, grad, spec))
