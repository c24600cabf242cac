"""What a machine can do to a compiled network: no wrong number and no crash."""

import errno
import gc
import os
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn

import ninefold
from ninefold import storage
from ninefold.compiler import saved
from ninefold.errors import Unsupported
from ninefold.kernels.llvm.target import narrowed

IMAGE = (1, 3, 20, 20)
SCRIPT = """
import torch, ninefold
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()).eval()
x = torch.randn(1, 3, 20, 20)
fast = ninefold.compile(model, x, threads=1)
assert fast.plan.kernels, fast.plan.reason
torch.testing.assert_close(fast(x), model(x).detach(), rtol=1e-4, atol=1e-4)
"""


@pytest.fixture
def model(alive):
    return alive(nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def check(model, same, **options):
    x = torch.randn(IMAGE)
    fast = ninefold.compile(model, torch.zeros(IMAGE), threads=1, **options)
    assert fast.plan.kernels, fast.plan.reason
    same(fast(x), model(x).detach(), 1e-4)


def test_two_processes_share_an_empty_cache(cache):
    both = [subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    assert list((cache / "kernels").iterdir())
    assert not list((cache / "kernels").glob("*.partial"))


def test_a_cache_that_cannot_be_a_folder_costs_only_time(model, same, cache):
    cache.write_text("a file where the folder should be")
    check(model, same)
    assert cache.read_text() == "a file where the folder should be"


def test_a_full_disk_costs_only_time(model, same, cache, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "_sync", fail)
    check(model, same)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_damaged_machine_code_is_made_again(model, same, cache):
    check(model, same, tune=False)
    good = {path: path.read_bytes() for path in (cache / "kernels").iterdir()}
    assert good
    for path, content in good.items():
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    check(model, same, tune=False)
    assert {path: path.read_bytes() for path in good} == good


def test_hundreds_of_sizes_keep_eight_programs(small, same):
    fast, made = ninefold.compile(small, threads=1, tune=False), weakref.WeakSet()
    for n in range(1, 201):
        x = torch.randn(n, 3, 4, 4)
        same(fast(x), small(x).detach(), 1e-5)
        made.update(fast._programs.values())
    gc.collect()
    assert len(fast._programs) == len(fast._examples) == len(made) == 8


@pytest.fixture
def small(alive):
    return alive(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))


@pytest.mark.parametrize("layer", [0, 2])
def test_weights_that_are_no_numbers_give_none_where_torch_does(model, layer):
    with torch.no_grad():
        model[layer].weight[5, 1, 1, 1] = torch.nan
    x, part = torch.randn(IMAGE), model[: layer + 1].eval()
    fast = ninefold.compile(part, x, threads=1, tune=False)
    result = fast(x)
    assert fast.plan.kernels
    assert torch.equal(result.isnan(), part(x).isnan())
    assert result.isnan().any()


@pytest.mark.parametrize("lanes", [8, 4])
def test_a_machine_of_narrower_vectors_computes_the_same(model, same, lanes, monkeypatch):
    try:
        target = narrowed(lanes)
    except Unsupported as reason:
        pytest.skip(str(reason))
    monkeypatch.setattr(saved, "host", lambda: target)
    check(model, same, tune=False)
    check(model, same, tune=True)
