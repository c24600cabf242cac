"""Packed weights within a limit: speed is given up where it costs least."""

import pytest
import torch
from torch import nn

import ninefold
from ninefold.compiler.budget import affordable
from ninefold.errors import InvalidInput, RunError
from ninefold.kernels.llvm import winograd
from ninefold.kernels.llvm.direct import Direct, border_read, default_tile
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.winograd import WinogradConv
from ninefold.spec import ConvSpec

IMAGE = (1, 3, 30, 30)


@pytest.fixture
def model(alive):
    wide = [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    return alive(nn.Sequential(nn.Conv2d(3, 64, 3), *wide, nn.MaxPool2d(2), nn.Conv2d(64, 96, 3, padding=1)))


def _layer(size):
    """Give the kernels for a layer of so many pixels, and how many numbers their weights take."""
    spec, lanes = ConvSpec.of((1, 64, size, size), (64, 64, 3, 3), padding=1), host().lanes
    x, y = (Blocked(64, size, size, lanes, border) for border in (border_read(spec), (0, 0, 0, 0)))
    cuts = {m: winograd.default_tile(spec, host(), m) for m in (2, 4)}
    kernels = {WinogradConv(spec, x, y, Epilogue(), cut): (m + 2) ** 2 * 64 * 64 for m, cut in cuts.items()}
    return {Direct(spec, x, y, Epilogue(), default_tile(spec, host())): 9 * 64 * 64, **kernels}


def test_the_layer_that_loses_least_gives_way_first():
    small, large = _layer(10), _layer(56)
    everything, pair = 2 * 36 * 64 * 64, 64 * 64
    assert affordable([small, large], everything) == [36 * pair, 36 * pair]
    assert affordable([small, large], everything - 1) == [16 * pair, 36 * pair]
    assert affordable([small, large], 45 * pair) == [9 * pair, 36 * pair]
    assert affordable([small, large], 0) == [9 * pair, 9 * pair]


@pytest.mark.parametrize("tune", [False, True])
def test_a_limit_is_kept_and_the_numbers_stay_right(model, same, tune):
    free = ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False)
    assert any(line.runs.startswith("winograd") for line in free.plan.lines)
    limit = free.plan.weight_bytes * 2 // 3
    fast = ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=tune, max_weight_bytes=limit)
    assert fast.plan.weight_bytes <= limit
    assert "no plan has fewer weights" not in fast.plan.table()
    x = torch.randn(IMAGE)
    same(fast(x), model(x).detach(), 1e-4)


def test_a_limit_that_nothing_meets_gives_the_smallest_plan_and_says_so(model, same):
    exact = ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False, precision="exact")
    fast = ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False, max_weight_bytes=0)
    assert fast.plan.weight_bytes <= exact.plan.weight_bytes
    assert "no plan has fewer weights, and the limit is 0.0 MiB" in fast.plan.table()
    x = torch.randn(IMAGE)
    same(fast(x), model(x).detach(), 1e-5)


def test_a_limit_is_saved_and_kept_where_it_is_loaded(model, tmp_path):
    fast = ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False, max_weight_bytes=2**19)
    fast.save(tmp_path / "small.safetensors")
    assert ninefold.load(tmp_path / "small.safetensors").plan == fast.plan
    content = (tmp_path / "small.safetensors").read_bytes()
    changed = content.replace(b'max_weight_bytes\\": 524288', b'max_weight_bytes\\": -24288')
    assert changed != content
    (tmp_path / "small.safetensors").write_bytes(changed)
    with pytest.raises(RunError, match="out of range"):
        ninefold.load(tmp_path / "small.safetensors")


def test_a_limit_below_nothing_is_refused():
    with pytest.raises(InvalidInput, match="max_weight_bytes=-1 came"):
        ninefold.compile(nn.ReLU(), max_weight_bytes=-1)
