"""Convolutions that follow each other, in one kernel band by band: where, by rule or by measurement, still right."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ninefold
from ninefold.compiler import captured, simplified
from ninefold.compiler.choice import Rules
from ninefold.compiler.planner import planned
from ninefold.compiler.tuning import Tuner
from ninefold.kernels.llvm.target import host

WIDE, SIDE = 144, 40  # together more than stays in a near cache


class Inverted(nn.Module):
    """An inverted residual block, of which parts can be left out."""

    def __init__(self, *, stride=1, project=True, gate=False):
        super().__init__()
        self.expand, self.gate = nn.Conv2d(20, WIDE, 1), gate
        self.filter = nn.Conv2d(WIDE, WIDE, 3, stride, 1, groups=WIDE)
        self.project = nn.Conv2d(WIDE, 20, 1) if project else nn.Identity()
        self.shortcut = project and stride == 1

    def forward(self, x):
        y = F.relu6(self.filter(F.hardswish(self.expand(x))))
        y = y * torch.sigmoid(F.adaptive_avg_pool2d(y, 1)) if self.gate else y
        y = self.project(y)
        return x + y if self.shortcut else y


class Separable(nn.Sequential):
    """A stem that reads the picture, and two separable convolutions."""

    def __init__(self):
        layers = [nn.Conv2d(3, WIDE, 3, 2, 1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(WIDE, WIDE, 5, 1, 2, groups=WIDE), nn.ReLU(), nn.Conv2d(WIDE, WIDE, 1), nn.ReLU()]
        super().__init__(*layers)


def runs(model, x, same, timer=None, threads=1):
    """Plan a model, compare it with torch, and give what runs for each convolution."""
    model = model.eval()
    tuner = Tuner(host(), timer) if timer else None
    program = planned(simplified(captured(model, [x])), Rules(host(), "fast"), threads, tuner)
    with torch.no_grad():
        same(program.run(x), model(x), 1e-4)
    return [line.runs for line in program.plan.lines if line.operation.startswith("conv")]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_inverted_residual_is_one_kernel(alive, same, stride, threads):
    lines = runs(alive(Inverted(stride=stride)), torch.randn(2, 20, SIDE, SIDE), same, threads=threads)
    assert [line.split()[0] for line in lines] == ["with", "with", "chain"]


def test_what_is_read_twice_ends_a_chain(alive, same):
    lines = runs(alive(Inverted(gate=True)), torch.randn(1, 20, SIDE, SIDE), same)
    assert [line.split()[0] for line in lines] == ["with", "chain", "direct"]


def test_a_chain_can_end_with_its_depthwise_convolution(alive, same):
    lines = runs(alive(Inverted(project=False)), torch.randn(1, 20, SIDE, SIDE), same)
    assert [line.split()[0] for line in lines] == ["with", "chain"]


def test_a_chain_can_read_the_picture_and_a_layer_is_in_one_chain_only(alive, same):
    lines = runs(alive(Separable()), torch.randn(1, 3, 2 * SIDE, 2 * SIDE), same)
    assert [line.split()[0] for line in lines] == ["with", "with", "chain", "with", "chain"]


def test_maps_that_stay_near_are_computed_as_a_whole(alive, same):
    lines = runs(alive(Inverted()), torch.randn(1, 20, 9, 9), same)
    assert [line.split()[0] for line in lines] == ["direct", "depthwise", "direct"]


@pytest.mark.parametrize("chained", [True, False])
def test_a_measurement_can_prefer_either(alive, same, monkeypatch, tmp_path, chained):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))

    def timer(trial):
        *fused, last = range(len(trial.plans))
        best = fused[-1] if chained and fused else last
        return [0.5 if i == best else 1.0 for i in range(len(trial.plans))]

    lines = runs(alive(Inverted()), torch.randn(1, 20, SIDE, SIDE), same, timer)
    assert (lines[-1].split()[0], lines[-1].endswith(", tuned")) == ("chain" if chained else "direct", True)


def test_chains_are_saved(alive, same, tmp_path):
    model, x = alive(Inverted()), torch.randn(1, 20, SIDE, SIDE)
    fast = ninefold.compile(model, x, tune=False)
    fast.save(tmp_path / "chain.ninefold")
    loaded = ninefold.load(tmp_path / "chain.ninefold")
    same(loaded(x), model(x).detach(), 1e-4)
    assert "chain of 3" in loaded.plan.table()
