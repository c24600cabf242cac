"""Graphs on kernels: torch's numbers in all three widths, and what runs where."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import ninefold
from ninefold.compiler import captured, simplified
from ninefold.compiler.choice import Rules
from ninefold.compiler.planner import planned
from ninefold.errors import Unsupported
from ninefold.kernels.llvm.target import host, narrowed


@pytest.fixture(params=[16, 8, 4], ids=lambda lanes: f"{lanes}lanes")
def target(request):
    try:
        return narrowed(request.param)
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture
def runs(target, alive, same):
    """Plan a model, compare two calls with torch, and give what runs for each node."""

    def check(model, *inputs, threads=1, precision="fast", tolerance=1e-4):
        model = alive(model)
        program = planned(simplified(captured(model, inputs)), Rules(target, precision), threads)
        for x in (inputs, [-t for t in inputs]):
            with torch.no_grad():
                same(program.run(*x), model(*x), tolerance)
        return program.plan.lines

    return check


def kernels(lines):
    return [line.runs.split()[0] for line in lines]


def test_resnet20_runs_on_kernels_alone(runs):
    lines = runs(ninefold.create("resnet20", classes=10), torch.randn(2, 3, 32, 32), threads=2)
    assert "torch" not in kernels(lines)


def test_sums_in_the_direct_order_are_exact_to_rounding(runs):
    lines = runs(ninefold.create("resnet20", classes=10), torch.randn(1, 3, 32, 32), precision="exact", tolerance=1e-5)
    assert "winograd" not in kernels(lines)


def test_lenet5_goes_to_torch_for_what_kernels_do_not_know(runs):
    lines = runs(ninefold.create("lenet5", classes=10), torch.randn(3, 1, 32, 32))
    assert {line.why for line in lines if line.operation == "tanh"} == {"kernels do not know tanh"}


def test_networks_written_by_hand_run(written, runs):
    model, inputs = written
    if not any(isinstance(x, dict) for x in inputs):
        runs(model, *inputs, threads=2)


def test_branches_are_written_where_they_are_joined(runs):
    lines = runs(ninefold.create("parallel_conv", classes=10), torch.randn(2, 3, 13, 10))
    assert "torch" not in kernels(lines)
    assert "written" in kernels(lines)


class Dense(nn.Module):
    """Every layer sees all that came before it: concatenations of concatenations, also of one map twice."""

    def __init__(self, channels):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.c, self.d = nn.Conv2d(2 * channels, channels, 5, padding=2), nn.Conv2d(4 * channels, 5, 3)

    def forward(self, x):
        first = F.relu(self.a(x))
        both = torch.cat([first, self.b(first)], 1)
        more = torch.cat([first, both, self.c(both)], 1)
        return self.d(more), torch.cat([first, first], 1)


@pytest.mark.parametrize("channels", [16, 5])
def test_maps_that_are_joined_more_than_once_are_copied(channels, runs):
    lines = runs(Dense(channels), torch.randn(2, 3, 9, 7))
    assert ("torch" in kernels(lines)) == (channels == 5)


class Padded(nn.Module):
    """Channels of zeros behind maps, joined with others, while memory is used again around them."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 1) for _ in range(4))
        self.head = nn.Conv2d(64, 3, 3)

    def forward(self, x):
        for conv in self.convs:
            x = F.silu(conv(x))
        wide = F.pad(self.convs[0](x), (0, 0, 0, 0, 0, 16))
        return self.head(torch.cat([wide, self.convs[1](x), x], 1))


def test_zeros_behind_the_last_channel_stay_zeros(runs):
    assert "torch" not in kernels(runs(Padded(), torch.randn(2, 16, 6, 5)))


class Head(nn.Module):
    """Maps flattened into rows, and rows used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 20, 3, 2), nn.MaxPool2d(3, 2, 1)
        self.hidden, self.out = nn.Linear(20 * 3 * 2, 33), nn.Linear(33, 33)

    def forward(self, x):
        y = F.relu(self.hidden(self.pool(F.hardswish(self.conv(x))).flatten(1)))
        return F.relu(self.out(y) + y), y.flatten(1)


def test_maps_flattened_into_rows_feed_dense_layers(runs):
    lines = runs(Head(), torch.randn(2, 3, 12, 9))
    assert kernels(lines)[:4] == ["first", "max", "no", "direct"]
    assert "torch" not in kernels(lines)


KERNELS = {
    "first": nn.Conv2d(3, 20, 7, 2, 3),
    "direct": nn.Sequential(nn.Conv2d(3, 20, 1), nn.Conv2d(20, 18, 3, (1, 2), (2, 1), dilation=(1, 2))),
    "winograd": nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(32, 33, 3, padding=1), nn.Sigmoid()),
    "depthwise": nn.Sequential(nn.Conv2d(3, 20, 1), nn.Conv2d(20, 20, 3, 2, 1, groups=20), nn.Hardswish()),
    "max": nn.Sequential(nn.Conv2d(3, 20, 1), nn.MaxPool2d(3, 2, ceil_mode=True)),
    "average": nn.Sequential(nn.Conv2d(3, 20, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "global": nn.Sequential(nn.Conv2d(3, 20, 1), nn.AdaptiveAvgPool2d(1)),
    "elementwise": nn.Sequential(nn.Conv2d(3, 20, 1), nn.ReLU(), nn.BatchNorm2d(20), nn.Sigmoid()),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_is_used(kernel, runs):
    assert kernels(runs(KERNELS[kernel], torch.randn(2, 3, 20, 17)))[-1] == kernel


def test_a_gate_per_channel_has_a_kernel(runs, examples):
    lines = runs(examples.SqueezeExcite(), torch.randn(2, 4, 15, 12))
    assert next(line.runs for line in lines if line.operation == "multiply") == "elementwise"


def test_what_is_returned_is_not_overwritten_by_the_next_call():
    model = nn.Conv2d(3, 4, 3).eval()
    program = planned(simplified(captured(model, [torch.zeros(1, 3, 6, 6)])), Rules(host(), "fast"), 1)
    first = program.run(torch.zeros(1, 3, 6, 6))
    before = first.clone()
    program.run(torch.ones(1, 3, 6, 6))
    assert torch.equal(first, before)


LAYERS = st.sampled_from(
    [
        "conv",
        "depthwise",
        "pointwise",
        "grouped",
        "transposed",
        "norm",
        "silu",
        "tanh",
        "max",
        "mean",
        "add",
        "cat",
        "gate",
    ]
)


class Drawn(nn.Module):
    """Layers by their names on a pile of maps; sums and concatenations take the first map of the size."""

    def __init__(self, names, channels):
        super().__init__()
        self.names, c = names, channels
        made = {
            "conv": lambda: nn.Conv2d(c, c, 3, padding=1),
            "depthwise": lambda: nn.Conv2d(c, c, (3, 5), padding=(1, 2), groups=c, bias=False),
            "pointwise": lambda: nn.Conv2d(c, c, 1),
            "grouped": lambda: nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=2),
            "transposed": lambda: nn.ConvTranspose2d(c, c, 3, padding=1),
            "norm": lambda: nn.BatchNorm2d(c),
            "cat": lambda: nn.Conv2d(2 * c, c, 1),
            "gate": lambda: nn.Conv2d(c, c, 1),
        }
        self.stem = nn.Conv2d(3, c, 3)
        self.layers = nn.ModuleList(made.get(name, nn.Identity)() for name in names)

    def forward(self, x):
        pile = [self.stem(x)]
        change = {
            "silu": lambda y, z, _: F.silu(y),  # noqa: ARG005
            "tanh": lambda y, z, _: torch.tanh(y),  # noqa: ARG005
            "max": lambda y, z, _: F.max_pool2d(y, 3, 1, 1),  # noqa: ARG005
            "mean": lambda y, z, _: F.avg_pool2d(y, 3, 1, 1),  # noqa: ARG005
            "add": lambda y, z, _: F.relu(y + z),
            "cat": lambda y, z, layer: layer(torch.cat([z, y], 1)),
            "gate": lambda y, z, layer: y * torch.sigmoid(layer(z.mean((2, 3), keepdim=True))),
        }
        for name, layer in zip(self.names, self.layers, strict=True):
            use = change.get(name, lambda y, _, layer: layer(y))
            pile.append(use(pile[-1], pile[len(pile) // 2], layer))
        return pile[-1], pile[len(pile) // 2]


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(LAYERS, min_size=1, max_size=7),
    channels=st.sampled_from([2, 8, 16, 34]),
    lanes=st.sampled_from([n for n in (16, 8, 4) if n <= host().lanes]),
    threads=st.integers(1, 3),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
)
def test_random_networks_run(names, channels, lanes, threads, size):
    torch.manual_seed(0)
    model, x = Drawn(names, channels).eval(), torch.randn(2, 3, *size)
    program = planned(simplified(captured(model, [x])), Rules(narrowed(lanes), "fast"), threads)
    with torch.no_grad():
        torch.testing.assert_close(program.run(x), model(x), rtol=1e-3, atol=1e-4)
