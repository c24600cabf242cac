"""PyTorch sees one opaque node per convolution, and compiles, exports and differentiates through it."""

import shutil

import pytest
import torch
from torch import nn
from torch.export import Dim, export

import ninefold
from ninefold.errors import Unsupported
from ninefold.ops import node

OPERATORS = {torch.ops.ninefold.conv.default, torch.ops.ninefold.conv_weight_gradient.default}
BACKENDS = [
    "eager",
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")],
    ),
]


class Twice(nn.Module):
    """A convolution and a transposed one, with what lies between."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(6, 3, 3, 3, generator=generator))
        self.bias = nn.Parameter(torch.randn(6, generator=generator))
        self.up = nn.Parameter(torch.randn(6, 2, 2, 2, generator=generator))

    def forward(self, x):
        y = ninefold.conv2d(x, self.weight, self.bias, 2, ((1, 2), (0, 1)), engine="torch")
        return ninefold.conv_transpose2d(y.relu(), self.up, stride=2, engine="torch")


def picture(batch, height, width):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:`torch.jit")  # inductor's own
@pytest.mark.filterwarnings("ignore:.*pickle.*:DeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiles_whole_with_changing_sizes_and_its_gradients(backend):
    torch.compiler.reset()
    network = Twice()
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    sizes = ((2, 9, 8), (3, 12, 7)) if backend != "inductor" else ((2, 9, 8),)  # each costs a run of the C++ compiler
    for size in sizes:
        x = picture(*size).requires_grad_()
        leaves = [x, *network.parameters()]
        wanted, got = network(x), compiled(x)
        torch.testing.assert_close(got, wanted)
        gradients = torch.autograd.grad(got.square().sum(), leaves)
        for ours, theirs in zip(gradients, torch.autograd.grad(wanted.square().sum(), leaves), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("strict", [False, True])
def test_exports_with_symbolic_batch_height_and_width(strict):
    network = Twice()
    sizes = {0: Dim("n", min=1, max=64), 2: Dim("h", min=4, max=512), 3: Dim("w", min=4, max=512)}
    program = export(network, (picture(2, 8, 9),), dynamic_shapes={"x": sizes}, strict=strict)
    called = [found.target for found in program.graph.nodes if found.op == "call_function"]
    assert called == [torch.ops.ninefold.conv.default, torch.ops.aten.relu.default, torch.ops.ninefold.conv.default]
    for size in ((2, 8, 9), (5, 4, 13)):
        torch.testing.assert_close(program.module()(picture(*size)), network(picture(*size)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("operator", "shapes", "arguments"),
    [
        (node.conv, [(2, 4, 5, 5), (6, 2, 3, 3), (6,)], ([2, 1], [0, 1], [1, 1], [1, 1], 2, False, [0, 0], "torch")),
        (node.conv, [(2, 4, 3, 3), (4, 2, 2, 3), (4,)], ([2, 1], [0, 1], [1, 0], [1, 2], 2, True, [1, 1], "im2col")),
        (node.conv_weight_gradient, [(2, 4, 5, 5), (2, 6, 2, 5)], ([3, 3], [2, 1], [0, 1], [1, 1], [1, 1], 2, "fft")),
    ],
    ids=["conv", "conv, transposed", "conv_weight_gradient"],
)
def test_keeps_the_promises_of_an_operator(operator, shapes, arguments):
    tensors = [torch.randn(shape, requires_grad=True) for shape in shapes]
    results = torch.library.opcheck(operator, (*tensors, *arguments))
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.filterwarnings("ignore:`torch.jit")  # PyTorch's own, on the first use of forward mode
def test_forward_mode_is_refused_rather_than_dropped():
    x, weight = picture(1, 5, 5), torch.randn(2, 3, 3, 3)
    with pytest.raises(Unsupported, match="weight carries a forward-mode tangent; use reverse mode"):
        torch.func.jvp(lambda w: ninefold.conv2d(x, w), (weight,), (weight,))


def test_gradients_are_these_operators_again():
    seen = set()

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.add(function)
            return function(*args, **(kwargs or {}))

    x, network = picture(1, 6, 6).requires_grad_(), Twice()
    with Watch():
        network(x).sum().backward()
    assert seen >= OPERATORS
    assert not any("convolution" in str(function) for function in seen)
