"""Summaries against networks small enough to be worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ninefold
from ninefold import networks
from ninefold.errors import InvalidInput, Unsupported
from ninefold.nn import ParallelConv
from ninefold.nn.summary import summarize


def rows(model, shape, *names):
    return [tuple(getattr(row, name) for name in names) for row in summarize(model, shape).rows]


def row(model, shape, kind):
    return next(row for row in summarize(model, shape).rows if row.kind == kind)


class Calling(nn.Module):
    """A network that is one function, with the modules it calls."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def test_a_plain_network_is_counted_layer_by_layer():
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10),
    )
    assert rows(net, (1, 32, 32), "name", "kind", "kernel", "stride", "output_shape", "parameters", "macs") == [
        ("0", "Conv2d", (5, 5), (1, 1), (6, 28, 28), 156, 28 * 28 * 25 * 6),
        ("1", "Tanh", None, None, (6, 28, 28), 0, 0),
        ("2", "AvgPool2d", (2, 2), (2, 2), (6, 14, 14), 0, 0),
        ("3", "Conv2d", (5, 5), (1, 1), (16, 10, 10), 2416, 10 * 10 * 25 * 6 * 16),
        ("4", "MaxPool2d", (2, 2), (2, 2), (16, 5, 5), 0, 0),
        ("6", "Linear", None, None, (10,), 4010, 4000),
    ]
    assert [field for (field,) in rows(net, (1, 32, 32), "receptive_field")] == [
        (5, 5), (5, 5), (6, 6), (14, 14), (16, 16), (32, 32)
    ]  # fmt: skip
    total = summarize(net, (1, 32, 32))
    assert (total.parameters, total.macs, total.largest_activation) == (6582, 117600 + 240000 + 4000, 6 * 28 * 28)


def test_parallel_branches_meet_in_a_concatenation_of_192_channels_and_6912_parameters():
    net = nn.Sequential(ParallelConv(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, 10))
    concat = row(net, (3, 224, 224), "concat")
    assert concat.output_shape == (192, 224, 224)
    assert concat.parameters_so_far == 6912
    assert concat.receptive_field == (5, 5)
    assert row(net, (3, 224, 224), "Linear").receptive_field == (224, 224)


def test_groups_and_dilation_count_as_they_should():
    net = nn.Sequential(nn.Conv2d(4, 8, 3, groups=4, padding=2, dilation=2, bias=False))
    (only,) = summarize(net, (4, 9, 7)).rows
    assert (only.parameters, only.macs, only.receptive_field) == (72, 9 * 7 * 72, (5, 5))


def test_a_transposed_convolution_works_per_input_and_halves_the_step():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, 2, padding=1), nn.ConvTranspose2d(2, 3, 2, 2), nn.Conv2d(3, 1, 3, padding=1))
    _, up, last = summarize(net, (1, 8, 8)).rows
    assert (up.kind, up.output_shape, up.parameters, up.macs) == ("ConvTranspose2d", (3, 8, 8), 27, 4 * 4 * 24)
    assert up.receptive_field == (3, 3)
    assert last.receptive_field == (5, 5)


def test_functions_are_lines_named_after_the_module_that_calls_them():
    def forward(self, x):
        y = F.relu(self.conv(x))
        return F.max_pool2d(y + x, 3, stride=2, padding=1).mean((2, 3))

    net = nn.Sequential(Calling(forward, conv=nn.Conv2d(2, 2, 3, padding=1)))
    assert rows(net, (2, 9, 9), "name", "kind", "kernel", "receptive_field") == [
        ("0.conv", "Conv2d", (3, 3), (3, 3)),
        ("0", "relu", None, (3, 3)),
        ("0", "add", None, (3, 3)),
        ("0", "max_pool2d", (3, 3), (5, 5)),
        ("0", "mean", None, (9, 9)),
    ]


def test_ninefolds_own_operator_is_a_line_too():
    net = Calling(lambda self, x: ninefold.conv2d(x, self.weight, padding=((0, 1), (2, 1)), engine="torch"))
    net.weight = nn.Parameter(torch.zeros(4, 2, 3, 3))
    (only,) = summarize(net, (2, 8, 8)).rows
    assert (only.kind, only.output_shape, only.parameters, only.macs) == ("conv2d", (4, 7, 9), 72, 7 * 9 * 72)


def test_what_is_called_twice_is_two_lines_and_its_parameters_count_once():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert rows(net, (3, 4, 4), "name", "parameters", "macs") == [("0", 84, 1296), ("1", 0, 0), ("0", 0, 1296)]
    assert summarize(net, (3, 4, 4)).parameters == sum(p.numel() for p in net.parameters()) == 84


def test_a_parameter_two_layers_share_counts_once():
    first, second = nn.Linear(5, 5, bias=False), nn.Linear(5, 5)
    second.weight = first.weight
    net = nn.Sequential(nn.Flatten(), first, second)
    assert rows(net, (1, 1, 5), "parameters", "macs") == [(25, 25), (5, 25)]


def test_parameters_outside_layers_are_counted_where_they_are_used():
    net = Calling(lambda self, x: x * self.scale + self.bias)
    net.scale, net.bias = nn.Parameter(torch.ones(2, 1, 1)), nn.Parameter(torch.zeros(2, 1, 1))
    assert rows(net, (2, 4, 4), "kind", "parameters", "parameters_so_far") == [("mul", 2, 2), ("add", 2, 4)]


def test_what_evaluation_does_not_reach_is_in_the_total_and_in_no_line():
    net = Calling(lambda self, x: self.head(x), head=nn.Conv2d(1, 1, 1), side=nn.Conv2d(1, 9, 1))
    summary = summarize(net, (1, 2, 2))
    assert summary.parameters == 20
    assert summary.rows[-1].parameters_so_far == 2


def test_reshapes_and_dropout_are_no_lines():
    net = nn.Sequential(nn.Dropout(), nn.Identity(), nn.Flatten(), nn.Unflatten(1, (4, 4)), nn.Linear(4, 2))
    assert rows(net, (1, 4, 4), "name", "kind") == [("4", "Linear")]


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (nn.Conv2d(3, 3, 3, padding=1), (5, 5)),
        (nn.AvgPool2d(3, 1), (5, 5)),
        (nn.AdaptiveAvgPool2d(4), (6, 6)),  # 14 places in 4 windows of at most 4
        (nn.AdaptiveMaxPool2d(1), (16, 16)),
        (nn.Upsample(scale_factor=2), (3, 3)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (4, 4)),
        (nn.BatchNorm2d(3), (3, 3)),
        (nn.LocalResponseNorm(5), (3, 3)),
        (nn.ZeroPad2d(2), (3, 3)),
        (Calling(lambda _, x: x.flatten(2).mean(2)[:, :, None, None] * x), (16, 16)),
        (Calling(lambda _, x: F.linear(x.permute(0, 2, 3, 1), torch.ones(5, 3)) * 1.0), (3, 3)),
        (Calling(lambda _, x: torch.cat([x, F.avg_pool2d(x, 5, 1, 2)], 1)), (7, 7)),
        (Calling(lambda _, x: torch.stack([x, F.avg_pool2d(x, 5, 1, 2)], 1).sum(1)), (7, 7)),
        (Calling(lambda _, x: F.conv2d(x[:, :, ::2, ::2], torch.ones(1, 3, 3, 3))), (7, 7)),
        (Calling(lambda _, x: F.pixel_unshuffle(x, 2).view(1, 2, 6, 7, 7).transpose(1, 2).flatten(1, 2).sin()), (3, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_receptive_fields_follow_the_picture_through(layer, field):
    net = nn.Sequential(nn.Conv2d(3, 3, 3), layer, nn.ReLU())
    assert summarize(net, (3, 16, 16)).rows[-1].receptive_field == field


def test_one_and_three_axes_work():
    assert rows(nn.Conv1d(2, 4, 3, 2), (2, 9), "output_shape", "receptive_field") == [((4, 4), (3,))]
    assert rows(nn.Conv3d(1, 2, (1, 2, 3)), (1, 4, 4, 4), "output_shape", "macs") == [((2, 4, 3, 2), 24 * 2 * 6)]


@pytest.mark.parametrize("card", [c for c in networks.cards() if c.reads == "pictures"], ids=lambda card: card.name)
def test_the_lines_of_every_network_add_up_to_its_totals(card):
    model = networks.create(card.name)
    summary = summarize(model, card.input)
    assert summary.parameters == sum(p.numel() for p in model.parameters())
    assert sum(row.parameters for row in summary.rows) == summary.rows[-1].parameters_so_far
    assert all(len(row.receptive_field) == 2 for row in summary.rows)


def test_the_network_itself_is_left_alone():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    summarize(net, (1, 8, 8))
    assert net.training
    assert not any(hooks for module in net.modules() for hooks in (module._forward_hooks, module._forward_pre_hooks))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("net", "shape", "sentence"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 7)),
            (3, 6, 6),
            r"layer '1' \(Conv2d\).*\(8, 4, 4\).*\(7, 7\)",
        ),
        (nn.Sequential(nn.Conv2d(3, 8, 3)), (1, 6, 6), r"layer '0' \(Conv2d\).*\(1, 6, 6\)"),
        (nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(4)), (1, 8, 8), r"layer '1' \(MaxPool2d\).*\(1, 2, 2\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), (1, 4, 4), r"layer '1' \(Linear\).*\(16,\)"),
        (nn.Conv2d(3, 8, 3), (3, 2, 2), r"the network \(Conv2d\).*\(3, 2, 2\)"),
        (nn.LazyConv2d(4, 3), (3, 8, 8), "lazy"),
        (nn.Identity(), (3, 0, 2), r"\(3, 0, 2\) is no picture"),
        (nn.Identity(), (3,), r"\(3,\) is no picture"),
    ],
)
def test_an_impossible_size_names_the_layer_and_the_size_there(net, shape, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        summarize(net, shape)


def test_a_network_that_reads_values_is_refused():
    with pytest.raises(Unsupported, match="only shapes"):
        summarize(Calling(lambda _, x: x if x.sum() > 0 else -x), (1, 2, 2))


def test_memory_counts_what_is_needed_at_the_same_time():
    def branching(self, x):
        y = self.conv(x)  # x, y: 2 * 4 * 64 bytes
        z = y.relu()  # y, z, and x which is read once more
        return z + x

    def chain(self, x):
        return self.conv(self.conv(self.conv(x)).relu_())

    conv = nn.Conv2d(1, 1, 3, padding=1)
    for function, values in ((branching, 3), (chain, 2)):
        summary = summarize(Calling(function, conv=conv), (1, 8, 8))
        assert summary.activation_bytes == values * 64 * 4
        assert summary.weight_bytes == 10 * 4
