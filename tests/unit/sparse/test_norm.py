"""Batch norm and ReLU on our kernels against torch's in float64."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from ninefold.sparse.norm import add_relu, batch_norm

ROWS = [2, 3, 1023, 1025, 40_000]
CHANNELS = [16, 20, 64]
NORMS = {
    "as torch makes it": {},
    "cumulative": {"momentum": None},
    "without factors": {"affine": False},
    "without statistics": {"track_running_stats": False},
    "other numbers": {"eps": 1e-3, "momentum": 0.3},
}


def norm_of(channels, *, training=True, **options):
    """Build a batch norm with factors and statistics other than at the start."""
    norm = nn.BatchNorm1d(channels, **options).train(training)
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        if values is not None:
            values.data.uniform_(0.5, 2)
    return norm


def drawn(rows, channels):
    torch.manual_seed(rows)
    return torch.randn(rows, channels) * 3 + 5, torch.randn(rows, channels)


def with_gradients(x, norm, dy, forward):
    """Give the output, all gradients and all that the norm keeps."""
    x = x.clone().requires_grad_()
    y = forward(x)
    (y * dy).sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in norm.parameters()), *norm.buffers()]


def agree(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.to(b.dtype), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("options", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("relu", [False, True])
def test_every_kind_of_norm_is_torchs(options, training, relu):
    x, dy = drawn(300, 20)
    ours = norm_of(20, training=training, **options)
    theirs = deepcopy(ours).double()
    for _ in range(2):
        found = with_gradients(x, ours, dy, lambda x: batch_norm(x, ours, relu=relu))
        wanted = with_gradients(x.double(), theirs, dy, lambda x: theirs(x).relu() if relu else theirs(x))
        agree(found, wanted, 2e-5)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_any_number_of_rows_and_channels_is_normalised(rows, channels):
    x, dy = drawn(rows, channels)
    ours = norm_of(channels, eps=1e-2)
    theirs = deepcopy(ours).double()
    found = with_gradients(x, ours, dy, lambda x: batch_norm(x, ours, relu=False))
    agree(found, with_gradients(x.double(), theirs, dy, theirs), 3e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_are_the_same_bit_for_bit_for_any_number_of_threads(dtype):
    x, dy = (t.to(dtype) for t in drawn(40_000, 20))
    results, before = [], torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        norm = norm_of(20)
        found = with_gradients(x, norm, dy, lambda x, norm=norm: add_relu(batch_norm(x, norm, relu=True), x))
        results.append(found)
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("params", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_rows_are_computed_in_float32_and_rounded_once(params, training, autocast):
    x, dy = (t.to(torch.bfloat16) for t in drawn(3000, 20))
    ours = norm_of(20, training=training).to(params)
    theirs = deepcopy(ours).double()
    found, wanted = [], []
    for norm, dtype, results in ((ours, torch.bfloat16, found), (theirs, torch.float64, wanted)):
        leaf = x.to(dtype).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast and norm is ours):
            y = batch_norm(leaf, norm, relu=True)
        results += [y.detach(), *torch.autograd.grad(y, (leaf, *norm.parameters()), dy.to(dtype)), *norm.buffers()]
    assert found[0].dtype == found[1].dtype == torch.bfloat16
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=2**-7, atol=2**-8 * float(other.abs().max()))


def test_a_sum_of_bfloat16_rows_with_relu_is_torchs():
    a, b = (t.to(torch.bfloat16).requires_grad_() for t in drawn(300, 20))
    dy = torch.randn(300, 20).to(torch.bfloat16)
    ours, theirs = add_relu(a, b), torch.relu(a + b)
    assert torch.equal(ours, theirs)
    for one, other in zip(*(torch.autograd.grad(y, (a, b), dy) for y in (ours, theirs)), strict=True):
        assert torch.equal(one, other)


def test_gradients_of_gradients_of_bfloat16_rows_are_torchs():
    x, dy = (t.to(torch.bfloat16) for t in drawn(300, 16))
    norm = norm_of(16)
    found = []
    for kind in (torch.bfloat16, torch.float64):
        leaf, g, own = x.to(kind).requires_grad_(), dy.to(kind).requires_grad_(), deepcopy(norm)
        y = batch_norm(leaf, own.double() if kind == torch.float64 else own, relu=True)
        (first,) = torch.autograd.grad(y, leaf, g, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), (leaf, g)))
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.double(), other, rtol=2**-5, atol=2**-5 * float(other.abs().max()))


def test_a_norm_follows_torchs_kernels_too_where_ours_do_not_serve():
    for x in (torch.randn(50, 3), torch.randn(50, 16, dtype=torch.float64), torch.randn(0, 16)):
        ours = norm_of(x.shape[1]).to(x.dtype)
        theirs = deepcopy(ours)
        torch.testing.assert_close(batch_norm(x, ours, relu=True), theirs(x).relu())
        agree(list(ours.buffers()), list(theirs.buffers()), 0)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        batch_norm(torch.randn(1, 16), norm_of(16), relu=False)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_gradients_are_torchs(training):
    x, dy = drawn(70, 16)
    ours, v = norm_of(16, training=training), torch.randn(70, 16)
    theirs = deepcopy(ours).double()

    def second(norm, forward, dtype):
        """Push the gradients of a first step through the norm, whose input depends on its own parameters."""
        a, g = x.to(dtype).requires_grad_(), dy.to(dtype).requires_grad_()
        first = torch.autograd.grad(forward(forward(a) * 2), (a, norm.weight, norm.bias), g, create_graph=True)
        total = (first[0] * v).sum() + first[1].square().sum() + first[2].square().sum()
        return torch.autograd.grad(total, (a, g, norm.weight, norm.bias))

    found = second(ours, lambda x: batch_norm(x, ours, relu=True), torch.float32)
    wanted = second(theirs, lambda x: theirs(x).relu(), torch.float64)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def test_only_the_gradients_that_are_asked_for_come():
    x, dy = drawn(50, 16)
    norm = norm_of(16).requires_grad_(requires_grad=False)
    leaf = x.requires_grad_()
    batch_norm(leaf, norm, relu=True).backward(dy)
    assert leaf.grad is not None
    assert norm.weight.grad is None


@pytest.mark.parametrize("channels", [5, 16, 20])
def test_a_sum_with_relu_is_torchs_with_gradients_of_gradients(channels):
    a, b = (t.requires_grad_() for t in drawn(60, channels))
    dy = torch.randn(60, channels, requires_grad=True)
    ours, theirs = add_relu(a, b), torch.relu(a + b)
    assert torch.equal(ours, theirs)
    for one, other in zip(
        *(torch.autograd.grad(y, (a, b), dy, retain_graph=True) for y in (ours, theirs)), strict=True
    ):
        assert torch.equal(one, other)
    twice = [
        torch.autograd.grad(torch.autograd.grad(y, a, dy, create_graph=True)[0].square().sum(), dy)
        for y in (ours, theirs)
    ]
    assert torch.equal(*(grads[0] for grads in twice))
