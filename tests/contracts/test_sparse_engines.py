"""Every engine of sparse convolutions equals the dense convolution on the dense grid, values and all gradients."""

import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ninefold.errors import InvalidSpec
from ninefold.sparse import ENGINES, Sites, SparseTensor, conv, kernel_map
from ninefold.sparse.engine import DTYPES, Job
from ninefold.spec import SparseSpec

CPU = torch.device("cpu")
TRITON = {"triton", "triton_tf32"}
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
RUNNING = [engine for engine in ENGINES if engine.why_not(Job(1, 1, 1, CPU, torch.float32)) is None]
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}

SPECS = {
    "submanifold": SparseSpec.of((5, 6, 4), 3, kind="submanifold"),
    "submanifold, dilated": SparseSpec.of((5, 6), (5, 3), dilation=(1, 2), kind="submanifold"),
    "strided": SparseSpec.of((6, 7, 5), 3, stride=2, padding=1),
    "tiles": SparseSpec.of((6, 6, 6), 2, stride=2),
    "stride beyond the kernel": SparseSpec.of((9, 8), (2, 1), stride=3),
    "transposed": SparseSpec.of((3, 4, 3), 3, stride=2, padding=1, kind="transposed", output_padding=1),
    "pointwise": SparseSpec.of((9,), 1),
    "four axes": SparseSpec.of((3, 2, 3, 3), (2, 1, 2, 3), stride=(1, 1, 2, 1), padding=(0, 0, 1, 1)),
}
CHANNELS = {  # in, out, groups
    "wide": (20, 33, 1),
    "one": (1, 1, 1),
    "groups that fill a vector": (32, 48, 2),
    "narrow groups": (6, 9, 3),
    "depthwise": (20, 20, 20),
    "depthwise with a multiplier": (3, 6, 3),
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums this small only wait for their threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dense(x, weight, spec, groups):
    """Convolve (N, C, *size) by slices, one per kernel offset, for any number of axes."""
    runs = x.unflatten(1, (groups, -1))  # (N, G, C / G, *size)
    matrices = weight.flatten(1, -2).unflatten(0, (groups, -1)).unbind(2)  # K of (G, O / G, C / G)
    if spec.kind == "transposed":
        return spread(runs, matrices, spec).flatten(1, 2)
    middles = [d * (k // 2) for d, k in zip(spec.dilation, spec.kernel, strict=True)]
    ends = middles if spec.kind == "submanifold" else spec.padding
    padded = F.pad(runs, [end for end in reversed(ends) for _ in range(2)])
    met = (padded[steps(spec, k, spec.out_size)] for k in spec.offsets)
    return sum(map(product_of, met, matrices)).flatten(1, 2)


def spread(runs, matrices, spec):
    sides = list(zip(spec.out_size, spec.padding, strict=True))
    whole = runs.new_zeros(*runs.shape[:2], matrices[0].shape[1], *(n + 2 * p for n, p in sides))
    for k, matrix in zip(spec.offsets, matrices, strict=True):
        whole[steps(spec, k, spec.size)] += product_of(runs, matrix)
    return whole[..., *(slice(p, p + n) for n, p in sides)]


def product_of(runs, matrix):
    return torch.einsum("ngc...,goc->ngo...", runs, matrix)


def steps(spec, offset, size):
    """Give the cells that meet places 0 ... size - 1 of the other grid under an offset."""
    axes = zip(offset, spec.stride, spec.dilation, size, strict=True)
    return (..., *(slice(d * r, d * r + s * (n - 1) + 1, s) for r, s, d, n in axes))


def drawn_sites(spec, batch, share):
    return Sites.of((torch.rand(batch, *spec.size) < share).nonzero(), spec.size, batch)[0]


def check(engine, spec, channels, sites, dtype=torch.float32):
    """Compare y and its gradients with those of the dense convolution in float64; say nothing of what is refused."""
    in_channels, out_channels, groups = channels
    if engine.why_not(Job(*channels, CPU, dtype)) is not None:
        return
    pairs = kernel_map(sites, spec)
    shapes = (len(sites), in_channels), (out_channels, *spec.kernel, in_channels // groups), (out_channels,)
    leaves = [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]
    y = conv(*leaves, pairs, engine.name)
    grad = torch.randn(y.shape).to(dtype)
    ours = [y, *torch.autograd.grad(y, leaves, grad)]
    x, weight, bias = (leaf.detach().double().requires_grad_() for leaf in leaves)
    grid = dense(SparseTensor(x, sites, (1,) * spec.dims).dense(), weight, spec, groups)  # (N, O, *out_size)
    at = tuple(pairs.outputs.coords.long().T)
    if spec.kind != "submanifold":
        beyond = grid.detach().movedim(1, -1).index_put(at, grid.new_zeros(()))
        assert not beyond.any()
    exact = grid.movedim(1, -1)[at] + bias
    theirs = [exact, *torch.autograd.grad(exact, (x, weight, bias), grad.double())]
    for name, one, other in zip(("y", "dx", "dw", "db"), ours, theirs, strict=True):
        assert one.dtype == dtype
        assert one.shape == other.shape
        error, largest = (one - other).abs().max() if one.numel() else 0, other.abs().max() if one.numel() else 0
        assert error <= TOLERANCES[dtype] * largest, f"{name} is wrong by {error:.1e} of {largest:.1e}"


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("engine", RUNNING, ids=lambda engine: engine.name)
def test_agrees_with_the_dense_convolution_on_the_grid(engine, spec, channels):
    torch.manual_seed(0)
    check(engine, SPECS[spec], CHANNELS[channels], drawn_sites(SPECS[spec], 2, 0.3))


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("engine", RUNNING, ids=lambda engine: engine.name)
def test_agrees_on_empty_and_full_grids(engine, spec, share):
    torch.manual_seed(0)
    check(engine, SPECS[spec], (4, 16, 1), drawn_sites(SPECS[spec], 2, share))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("engine", RUNNING, ids=lambda engine: engine.name)
def test_agrees_in_every_dtype(engine, dtype):
    torch.manual_seed(0)
    for spec in (SPECS["submanifold"], SPECS["strided"]):
        check(engine, spec, (32, 48, 2), drawn_sites(spec, 2, 0.3), dtype)


@st.composite
def problems(draw):
    """Draw a spec of any kind, channels and sites."""
    dims, kind = draw(st.integers(1, 4)), draw(st.sampled_from(["sparse", "submanifold", "transposed"]))

    def each(low, high):
        return [draw(st.integers(low, high)) for _ in range(dims)]

    kernel, moves = each(1, 3), {"dilation": each(1, 2)}
    if kind == "submanifold":
        kernel = [k | 1 for k in kernel]
    else:
        moves |= {"stride": each(1, 3), "padding": each(0, 2)}
    if kind == "transposed":
        moves["output_padding"] = each(0, 1)
    channels = draw(st.sampled_from([(1, 5, 1), (4, 16, 1), (8, 6, 2), (6, 6, 6), (32, 32, 2)]))
    share = draw(st.sampled_from([0, 0.1, 0.5, 1]))
    return {"size": each(1, 5), "kernel": kernel, "kind": kind, **moves}, channels, draw(st.integers(1, 3)), share


@pytest.mark.parametrize("engine", RUNNING, ids=lambda engine: engine.name)
@settings(max_examples=10 if INTERPRETED else 60)
@given(problem=problems())
def test_agrees_on_drawn_specs(engine, problem):
    arguments, channels, batch, share = problem
    try:
        spec = SparseSpec.of(**arguments)
    except InvalidSpec:
        reject()
    torch.manual_seed(0)
    check(engine, spec, channels, drawn_sites(spec, batch, share))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="needs the package triton")
@pytest.mark.skipif(INTERPRETED, reason="is run by this very test")
def test_engines_of_triton_pass_the_tests_of_this_file_under_its_interpreter():
    chosen = "agrees and triton and (float32 or not tf32)"  # the interpreter multiplies as float32 in both
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_engine_is_held_to_the_dense_convolution_and_the_last_takes_everything():
    assert {engine.name for engine in RUNNING} | TRITON == {engine.name for engine in ENGINES}
    assert len({engine.name for engine in ENGINES}) == len(ENGINES)
    for dtype, channels in product(DTYPES, CHANNELS.values()):
        assert ENGINES[-1].why_not(Job(*channels, CPU, dtype)) is None


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_dense_convolution_of_these_tests_is_that_of_torch(dims, transposed):
    kind = "transposed" if transposed else "sparse"
    spec = SparseSpec.of([5, 6, 4][:dims], 3, stride=2, padding=1, dilation=2, kind=kind)
    x, weight = torch.randn(2, 4, *spec.size), torch.randn(6, *spec.kernel, 2)
    if transposed:
        theirs = weight.unflatten(0, (2, 3)).movedim(-1, 1).flatten(0, 1)  # (C, O / G, *kernel)
        function = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][dims - 1]
    else:
        theirs, function = weight.movedim(-1, 1), [F.conv1d, F.conv2d, F.conv3d][dims - 1]
    want = function(x, theirs, stride=2, padding=1, dilation=2, groups=2)
    torch.testing.assert_close(dense(x, weight, spec, 2), want)
