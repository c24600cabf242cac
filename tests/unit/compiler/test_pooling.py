"""Max pooling that a convolution does itself: where, and that it is the same."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import ninefold
from ninefold.compiler import captured, simplified
from ninefold.compiler.checking import derived
from ninefold.compiler.choice import Rules
from ninefold.compiler.planner import planned as program_of
from ninefold.compiler.pooling import pooled
from ninefold.kernels.llvm.target import host


class Network(nn.Module):
    """A convolution of enough channels for Winograd's algorithm, an activation, and a pooling."""

    def __init__(self, pool, *, twice=False, shortcut=False):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.conv = nn.Conv2d(32, 40, 3, padding=1)
        self.narrow = nn.Conv2d(32, 40, 1) if shortcut else None
        self.pool, self.twice = pool, twice

    def forward(self, x):
        x = self.first(x)
        y = self.conv(x) if self.narrow is None else self.conv(x) + self.narrow(x)
        y = y.relu()
        return (self.pool(y), y) if self.twice else self.pool(y)


def planned(model, size=(21, 26), **options):
    """Compile, hold to torch, and give the operations of the plan."""
    x = torch.randn(2, 3, *size)
    fast = ninefold.compile(model.eval(), x, threads=1, **{"tune": False, **options})
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-4)
    return fast, [line.operation for line in fast.plan.lines]


@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("shortcut", [False, True])
def test_a_convolution_pools_what_nobody_else_reads(window, shortcut):
    fast, operations = planned(Network(nn.MaxPool2d(window), shortcut=shortcut))
    assert operations[-1].endswith(f"relu, max pool {window}x{window}")
    assert "winograd" in fast.plan.lines[-1].runs
    assert not any(operation.startswith("max pool") for operation in operations)


@pytest.mark.parametrize(
    ("pool", "options"),
    [
        (nn.MaxPool2d(3, 2), {}),
        (nn.MaxPool2d(2, padding=1), {}),
        (nn.MaxPool2d(2, ceil_mode=True), {}),
        (nn.MaxPool2d((2, 1)), {}),
        (nn.MaxPool2d(2, dilation=2), {}),
        (nn.AvgPool2d(2), {}),
        (nn.MaxPool2d(2), {"precision": "exact"}),
        (nn.MaxPool2d(7), {}),
    ],
    ids=str,
)
def test_other_poolings_stay_a_step(pool, options):
    _, operations = planned(Network(pool), **options)
    assert operations[-2] == "conv 3x3, relu"


def test_what_another_reads_is_not_pooled_away():
    _, operations = planned(Network(nn.MaxPool2d(2), twice=True))
    assert operations[-2:] == ["conv 3x3, relu", "max pool 2x2 stride 2"]


def test_measuring_chooses_among_kernels_that_pool(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    fast, operations = planned(Network(nn.MaxPool2d(2)), tune=True)
    assert operations[-1].endswith("max pool 2x2")
    assert fast.plan.lines[-1].runs.endswith("tuned")


def test_what_is_saved_pools_again(tmp_path):
    fast, operations = planned(Network(nn.MaxPool2d(2)))
    fast.save(tmp_path / "pools.safetensors")
    again = ninefold.load(tmp_path / "pools.safetensors")
    x = torch.randn(2, 3, 21, 26)
    assert torch.equal(again(x), fast(x))
    assert [line.operation for line in again.plan.lines] == operations


@pytest.fixture
def graph():
    """Give a network as a graph whose convolution pools, and what it is called with."""
    x = torch.randn(2, 3, 21, 26)
    found = pooled(simplified(captured(Network(nn.MaxPool2d(2)).eval(), [x])), Rules(host(), "fast"))
    assert found.nodes[-1].operation.pool == 2
    return found, x


def test_torch_computes_what_no_kernel_pools(graph):
    graph, x = graph
    again = replace(graph, constants=dict(graph.constants))  # planning takes them out
    exact, fast = (program_of(g, Rules(host(), p), threads=1) for g, p in ((graph, "exact"), (again, "fast")))
    assert "no kernel pools" in exact.plan.table()
    torch.testing.assert_close(exact.run(x), fast.run(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pool", [0, -2, 22, True, 2.0])
def test_windows_that_cannot_be_are_refused(graph, pool):
    graph, _ = graph
    known = {name: graph.values[name] for name in (*graph.inputs, *graph.constants)}
    assert derived(known, graph.nodes)[graph.nodes[-1].outputs[0]].shape == (2, 40, 10, 13)
    *before, last = graph.nodes
    changed = replace(last, operation=replace(last.operation, pool=pool))
    with pytest.raises(ValueError, match="cannot read tensors"):
        derived(known, [*before, changed])
