"""Graphs on kernels: torch's numbers in all three widths, and what runs where."""

import pytest
import torch
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


def test_lenet5_runs_on_kernels_alone(runs):
    assert "torch" not in kernels(runs(ninefold.create("lenet5", classes=10), torch.randn(3, 1, 32, 32)))


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
    assert "torch" not in kernels(lines)


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


class Framed(nn.Module):
    """A decoder whose maps are padded to the size of those that they are joined with."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 5, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(5, 16, 2, 2), nn.Conv2d(32, 4, 3, padding=1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = self.b(a)
        up = F.relu(self.up(b[:, :, :-1, :-1]))
        wide = F.pad(up, (1, x.shape[3] - up.shape[3] - 1, 0, x.shape[2] - up.shape[2]))
        return self.out(torch.cat([wide, a], 1)), self.b(up)


def test_zeros_around_maps_are_memory_that_stays_zero(runs):
    lines = runs(Framed(), torch.randn(2, 3, 11, 9), threads=2)
    assert [line.runs for line in lines if line.operation == "pad"] == ["written in place"]


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


class Written(nn.Module):
    """A layer written as a function."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


KERNELS = {
    "first": nn.Conv2d(3, 20, 7, 2, 3),
    "direct": nn.Sequential(nn.Conv2d(3, 20, 1), nn.Conv2d(20, 18, 3, (1, 2), (2, 1), dilation=(1, 2))),
    "winograd": nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(32, 33, 3, padding=1), nn.Sigmoid()),
    "depthwise": nn.Sequential(nn.Conv2d(3, 20, 1), nn.Conv2d(20, 20, 3, 2, 1, groups=20), nn.Hardswish()),
    "max": nn.Sequential(nn.Conv2d(3, 20, 1), nn.MaxPool2d(3, 2, ceil_mode=True)),
    "average": nn.Sequential(nn.Conv2d(3, 20, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "global": nn.Sequential(nn.Conv2d(3, 20, 1), nn.AdaptiveAvgPool2d(1)),
    "channel": nn.Sequential(nn.Conv2d(3, 20, 1), Written(lambda x: x.mean(1, keepdim=True))),
    "resize": nn.Sequential(nn.Conv2d(3, 20, 1), nn.UpsamplingBilinear2d((31, 20))),
    "gather": nn.Sequential(nn.Conv2d(3, 20, 1), nn.ChannelShuffle(5)),
    "local": nn.Sequential(nn.Conv2d(3, 20, 1), nn.LocalResponseNorm(5)),
    "elementwise": nn.Sequential(nn.Conv2d(3, 20, 1), nn.ReLU(), nn.BatchNorm2d(20), nn.Sigmoid()),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_is_used(kernel, runs):
    assert kernels(runs(KERNELS[kernel], torch.randn(2, 3, 20, 17)))[-1] == kernel


@pytest.mark.parametrize("name", ["Gates", "Moves"])
def test_gates_and_moves_of_all_kinds_run_on_kernels_alone(name, runs, examples):
    assert "torch" not in kernels(runs(getattr(examples, name)(), torch.randn(2, 3, 17, 14), threads=2))


TRANSPOSED = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    {"kernel_size": (3, 5), "stride": (3, 1), "padding": (0, 2)},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
]


class Behind(nn.Module):
    """A map that ends within a block, with others joined behind it; it may be read once more afterwards."""

    def __init__(self, read_again):
        super().__init__()
        self.read_again = read_again
        self.a, self.b, self.c = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 6, 3, padding=1), nn.Conv2d(11, 3, 1)
        self.deep = nn.Conv2d(5, 5, 3, padding=1, groups=5)

    def forward(self, x):
        first = self.a(x)
        both = self.c(torch.cat([first, self.b(first)], 1))
        return both, self.deep(first) if self.read_again else both


@pytest.mark.parametrize("read_again", [False, True])
def test_what_is_read_again_is_no_place_for_others(read_again, runs):
    lines = runs(Behind(read_again), torch.randn(2, 3, 6, 5))
    (joined,) = (line.runs for line in lines if line.operation == "concat")
    assert joined == ("gather, 2 of 2 parts" if read_again else "gather, 1 of 2 parts")


@pytest.mark.parametrize("options", TRANSPOSED)
def test_transposed_convolutions_are_dense_ones_by_phases(options, runs):
    up = nn.ConvTranspose2d(6, 10, **options)
    lines = runs(nn.Sequential(nn.Conv2d(3, 6, 1), up, nn.ReLU()), torch.randn(2, 3, 7, 6), precision="exact")
    assert kernels(lines)[-1] == "direct"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"kernel_size": 3, "stride": 2, "dilation": 2}, "a stride and a dilation"),
        ({"kernel_size": 1, "stride": 2}, "meet nothing"),
        ({"kernel_size": 2, "stride": 2, "padding": 1}, "meet nothing"),
    ],
)
def test_transposed_convolutions_that_are_no_sum_of_dense_ones_stay_in_torch(options, why, runs):
    lines = runs(nn.ConvTranspose2d(3, 4, **options), torch.randn(1, 3, 6, 6))
    assert why in lines[-1].why


def test_groups_that_would_be_computed_many_times_stay_in_torch(runs):
    lines = runs(nn.Conv2d(17 * 21, 17 * 21, 3, groups=17, padding=1), torch.randn(1, 17 * 21, 30, 30))
    assert lines[0].why.startswith("17 of its groups")


def test_a_part_of_maps_needs_no_kernel(runs, target):
    n = target.lanes
    model = nn.Sequential(nn.Conv2d(3, 2 * n + 3, 1), Written(lambda x: F.relu(x[:, n:])), nn.Conv2d(n + 3, 4, 3, 1, 1))
    assert kernels(runs(model, torch.randn(1, 3, 5, 6)))[1] == "no"


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
