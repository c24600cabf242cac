"""What stands in fewer nodes afterwards, and what must not."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import ninefold
from ninefold.compiler import captured, run, simplified
from ninefold.compiler.operations import Conv, Pad

IMAGE = (2, 4, 9, 8)


def operations(graph):
    return [str(node.operation) for node in graph.nodes]


class Written(nn.Module):
    """A network of some layers, written as one function of them and the input."""

    def __init__(self, function, *layers):
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, *inputs):
        return self.function(*self.layers, *inputs)


def conv(out=4, kernel=3, **options):
    return nn.Conv2d(4, out, kernel, **{"padding": kernel // 2, **options})


def test_resnet20_is_a_chain_of_convolutions(simple):
    graph = simple(ninefold.create("resnet20", classes=10), torch.randn(1, 3, 32, 32))
    convs = [node.operation for node in graph.nodes if isinstance(node.operation, Conv)]
    assert len(convs) == 19
    assert sum(c.residual for c in convs) == 9
    assert all(c.bias and str(c.activation) == "relu" for c in convs)
    assert len(graph.nodes) == 19 + 2 * 2 + 3


def test_lenet5_has_no_weight_expression_left(simple):
    graph = simple(ninefold.create("lenet5", classes=10), torch.randn(1, 1, 32, 32))
    kinds = [type(node.operation).__name__ for node in graph.nodes]
    assert kinds == ["Conv", "Pool", "Scale"] * 2 + ["Conv", "Scale", "Reshape", "Dense", "Dense"]


def test_parallel_branches_are_convolutions_and_a_concatenation(simple):
    graph = simple(ninefold.create("parallel_conv", classes=10), torch.randn(1, 3, 16, 16))
    assert operations(graph)[:4] == ["conv 1x1, relu", "conv 3x3, relu", "conv 5x5, relu", "concat"]


SCALES = {
    "batch norm": lambda: nn.BatchNorm2d(6),
    "batch norm without factors": lambda: nn.BatchNorm2d(6, affine=False),
    "a number": lambda: Written(lambda x: (x * 2 - 1) / 3),
    "a vector": lambda: Written(lambda x: x * torch.linspace(1, 2, 6)[:, None, None] + torch.ones(1, 6, 1, 1)),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layer", ["dense", "grouped", "transposed"])
def test_a_factor_per_channel_goes_into_the_convolution_before_it(scale, layer, simple):
    before = {
        "dense": lambda: nn.Conv2d(4, 6, 3, bias=False),
        "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2),
        "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, 2, groups=2),
    }[layer]()
    assert len(simple(nn.Sequential(before, SCALES[scale]()), torch.randn(IMAGE)).nodes) == 1


@pytest.mark.parametrize(
    ("layer", "nodes"),
    [
        (nn.Conv2d(4, 6, 3, groups=2), 1),
        (nn.Conv2d(4, 6, 3, padding=1), 2),  # the shift would be seen in the padding too
        (nn.ConvTranspose2d(4, 6, 3, groups=2), 2),
        (nn.AvgPool2d(3), 2),
        (nn.AvgPool2d(3, divisor_override=2), 2),
    ],
)
def test_a_scale_goes_into_the_layer_after_it_where_no_padding_sees_it(layer, nodes, simple):
    assert len(simple(nn.Sequential(nn.BatchNorm2d(4), layer), torch.randn(IMAGE)).nodes) == nodes


def test_a_factor_alone_goes_into_a_padded_convolution(simple):
    model = Written(lambda c, t, x: (c(x * 3), t(x * 3)), conv(), nn.ConvTranspose2d(4, 4, 3, groups=2))
    assert operations(simple(model, torch.randn(IMAGE))) == ["conv 3x3", "transposed conv 3x3 groups 2"]


def test_a_scale_that_two_read_is_computed_once(simple):
    tripled = nn.Sequential(Written(lambda x: x * 3), Written(lambda c, x: (c(x), c(x)), conv()))
    assert operations(simple(tripled, torch.randn(IMAGE))) == ["scale", "conv 3x3", "conv 3x3"]


def test_a_dense_layer_takes_scales_of_rows_only(simple):
    dense = Written(lambda d, b, x: F.relu(b(d(x * 2))), nn.Linear(5, 6), nn.BatchNorm1d(6))
    assert operations(simple(dense, torch.randn(3, 5))) == ["dense, relu"]
    along = Written(lambda d, b, x: b(d(x)), nn.Linear(5, 6), nn.BatchNorm1d(7))
    assert operations(simple(along, torch.randn(3, 7, 5))) == ["dense", "scale"]


ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "relu6 ": lambda x: x.clamp(0, 6),
    "clamp(-inf, 2)": lambda x: x.clamp(max=2),
    "clamp(-1, 1)": F.hardtanh,
    "leaky_relu(0.2)": lambda x: F.leaky_relu(x, 0.2),
    "elu(0.5)": lambda x: F.elu(x, 0.5),
    "silu": F.silu,
    "silu ": lambda x: torch.sigmoid(x) * x,
    "hardswish": F.hardswish,
    "hardswish ": lambda x: x * F.relu6(x + 3) / 6,
    "hardswish  ": lambda x: x * (F.relu6(x + 3) / 6),
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_recognised_and_applied_by_the_layer(name, simple):
    graph = simple(Written(lambda c, x: ACTIVATIONS[name](c(x)), conv()), torch.randn(IMAGE))
    assert operations(graph) == [f"conv 3x3, {name.strip()}"]


def test_hardsigmoid_written_out_is_recognised(simple):
    graph = simple(Written(lambda x: F.relu6(x + 3) / 6), torch.randn(IMAGE))
    assert operations(graph) == ["hardsigmoid"]


def test_what_two_read_is_not_fused_into_one(simple):
    graph = simple(nn.Sequential(conv(), Written(lambda y: y + F.relu(y))), torch.randn(IMAGE))
    assert operations(graph) == ["conv 3x3", "relu", "add"]


def test_a_sum_goes_into_the_convolution_and_another_of_other_shape_does_not(simple):
    graph = simple(Written(lambda c, x: F.relu(c(x) + x), conv()), torch.randn(IMAGE))
    assert operations(graph) == ["conv 3x3 + residual, relu"]
    graph = simple(Written(lambda c, x: c(x) + x.mean((2, 3), keepdim=True), conv()), torch.randn(IMAGE))
    assert "add" in operations(graph)


def test_a_sum_after_the_activation_stays(simple):
    graph = simple(Written(lambda c, x: F.relu(c(x)) + x, conv()), torch.randn(IMAGE))
    assert operations(graph) == ["conv 3x3, relu", "add"]


def test_two_convolutions_summed_are_one_with_the_other_as_residual(simple):
    graph = simple(Written(lambda a, b, x: a(x) + b(x), conv(), conv()), torch.randn(IMAGE))
    assert operations(graph) == ["conv 3x3", "conv 3x3 + residual"]


def test_zeros_around_go_into_the_padding_and_others_do_not(simple):
    padded = simple(Written(lambda c, x: c(F.pad(x, (1, 0, 2, 3))), conv(padding=1)), torch.randn(IMAGE))
    assert padded.nodes[0].operation.spec.padding == ((3, 4), (2, 1))
    for other in (lambda x: F.pad(x, (1, 0), value=2.0), lambda x: F.pad(x, (0, 0, 0, 0, 1, 1))[:, 1:5]):
        graph = simple(Written(lambda c, x, other=other: c(other(x)), conv()), torch.randn(IMAGE))
        assert any(isinstance(node.operation, Pad) for node in graph.nodes)


def test_a_channel_shuffle_is_seen(simple, examples):
    shuffled = Written(lambda x: x.view(2, 2, 2, 9, 8).transpose(1, 2).reshape(IMAGE))
    assert operations(simple(shuffled, torch.randn(IMAGE))) == ["shuffle"]
    other = Written(lambda x: x.view(2, 2, 2, 9, 8).permute(0, 2, 1, 4, 3).reshape(IMAGE))
    assert "shuffle" not in operations(simple(other, torch.randn(IMAGE)))
    # The concatenation before it is taken together with it.
    assert operations(simple(examples.ShuffleUnit(), torch.randn(1, 3, 6, 6)))[-1] == "gather 8 channels"


def test_every_second_row_and_column_is_one_pooling(simple):
    graph = simple(Written(lambda x: x[:, :, ::2, ::2]), torch.randn(IMAGE))
    assert operations(graph) == ["max pool 1x1 stride 2"]
    graph = simple(Written(lambda x: x[:, :, 1::2]), torch.randn(IMAGE))
    assert operations(graph) == ["slice"]


def test_what_does_nothing_is_left_out_but_not_a_returned_input(simple):
    idle = Written(lambda x: F.relu(F.relu(x.view(IMAGE)).permute(0, 1, 2, 3)[:, :]).detach() * 1.0 + 0.0)
    assert operations(simple(idle, torch.randn(IMAGE))) == ["relu"]
    x = torch.randn(IMAGE)
    assert run(simple(Written(lambda x: x * 1.0), x), x) is not x


def test_random_numbers_are_not_kept_as_constants():
    noisy = Written(lambda x: x + torch.rand(4)).eval()
    x = torch.zeros(4)
    graph = simplified(captured(noisy, [x]))
    assert not torch.equal(run(graph, x), run(graph, x))


def test_a_result_that_depends_on_no_input_is_the_callers_own(simple):
    model = Written(lambda layer, x: (x + 1, layer.weight * 2), nn.Linear(2, 2))
    x = torch.zeros(3)
    graph = simple(model, x)
    run(graph, x)[1].zero_()
    assert run(graph, x)[1].any()


def test_the_graph_that_came_is_not_changed():
    model = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU()).eval()
    graph = captured(model, [torch.randn(IMAGE)])
    before, weight = str(graph), model[0].weight.clone()
    simplified(graph)
    assert str(graph) == before
    assert torch.equal(model[0].weight, weight)


MADE = {
    "conv": conv,
    "grouped": lambda: conv(groups=4, bias=False),
    "pointwise": lambda: nn.Conv2d(4, 4, 1),
    "dilated": lambda: conv(dilation=2, padding=2),
    "norm": lambda: nn.BatchNorm2d(4),
    "cat": lambda: nn.Conv2d(8, 4, 1),
}
CHANGES = {
    "relu": lambda y, _: F.relu(y),
    "silu": lambda y, _: y * torch.sigmoid(y),
    "number": lambda y, _: 0.5 * y - 0.25,
    "max": lambda y, _: F.max_pool2d(y, 3, 1, 1),
    "mean": lambda y, _: F.avg_pool2d(y, 3, 1, 1),
    "up": lambda y, _: F.avg_pool2d(F.interpolate(y, scale_factor=2), 2),
    "add": lambda y, z: y + z,
    "copy": lambda y, _: y.clone(),
    "relu in place": lambda y, _: F.relu_(y),
    "add in place": lambda y, z: y.add_(z),
    "part in place": lambda y, _: (y[:, 1].mul_(0.5), y)[1],
}


class Drawn(nn.Module):
    """Layers by their names on a pile of maps of one size; what takes two takes one from the middle of the pile."""

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.layers = nn.ModuleList(MADE.get(name, nn.Identity)() for name in names)

    def forward(self, x):
        pile = [x * 1.5]
        for name, layer in zip(self.names, self.layers, strict=True):
            y, other = pile[-1], pile[len(pile) // 2]
            if name == "cat":
                y, other = torch.cat([other, y], 1), None
            pile.append(CHANGES[name](y, other) if name in CHANGES else layer(y))
        return pile[-1], pile[len(pile) // 2]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*MADE, *CHANGES]), min_size=1, max_size=8), st.integers(0, 2**16))
def test_random_networks_give_the_same_numbers(same, names, seed):
    torch.manual_seed(seed)
    model, x = Drawn(names), torch.randn(1, 4, 6, 5)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.5, 1.5)
    graph = simplified(captured(model.eval(), [x]))
    with torch.no_grad():
        same(run(graph, x), model(x), 1e-4)
    assert "batchnorm" not in str(graph)
