"""The error that a plan prints."""

import pytest
import torch
from torch import nn

import ninefold

IMAGE = (1, 3, 30, 30)


def compiled(*layers, precision="fast"):
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1), *layers).eval()
    return ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False, precision=precision)


def test_a_plan_with_winograd_prints_the_error_of_its_forms_and_the_whole():
    fast = compiled()
    assert 1e-8 < fast.plan.error < 1e-5
    (line,) = (line for line in fast.plan.lines if line.runs.startswith("winograd"))
    assert ", error " in line.runs
    assert f"largest relative error measured: {fast.plan.error:.1e}" in fast.plan.table()


def test_a_measured_error_bounds_that_of_other_inputs_in_size():
    fast, x = compiled(), torch.randn(IMAGE)
    wanted = fast.model(x).detach()
    assert ((fast(x) - wanted).abs().max() / wanted.abs().max()).item() < 4 * fast.plan.error


def test_exact_plans_have_none_to_print():
    fast = compiled(precision="exact")
    assert fast.plan.error is None
    assert "error" not in fast.plan.table()


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Rooted(nn.Module):
    def forward(self, x):
        return torch.log(-x.abs())


@pytest.mark.parametrize("layer", [Noise(), Rooted()])
def test_what_cannot_be_measured_is_not_claimed(layer):
    assert compiled(layer).plan.error is None


def test_measuring_draws_no_number_of_the_callers():
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)).eval()
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    assert ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False).plan.error
    assert torch.equal(torch.rand(4), wanted)
