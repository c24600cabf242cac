"""The attention blocks against their formulas, computed place by place and channel by channel in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ninefold.errors import InvalidInput
from ninefold.nn import CBAM, ConcurrentSqueezeExcitation, GlobalContext, NonLocal, SqueezeExcitation


def drawn(block):
    """Every parameter and running statistic random, so that no part of a formula is silent."""
    torch.manual_seed(0)
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 1.2) if tensor.ndim == 1 else nn.init.normal_(tensor, std=0.7)
    return block.double().eval()


def picture(channels=4, height=3, width=5):
    return torch.from_numpy(np.random.default_rng(1).standard_normal((2, channels, height, width)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense(layer, vector):
    """W v + b of a 1x1 convolution."""
    weight = layer.weight.detach().numpy().reshape(layer.out_channels, -1)
    return weight @ vector + (0 if layer.bias is None else layer.bias.detach().numpy())


def norm(layer, x):
    """Batch norm in evaluation, of x (C, ...)."""
    mean, variance, scale, shift = (
        t.detach().numpy().reshape(-1, *(1,) * (x.ndim - 1))
        for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / np.sqrt(variance + layer.eps) * scale + shift


def squeezed_and_excited(block, x):
    gate = sigmoid(dense(block.fc2, np.maximum(dense(block.fc1, x.mean((1, 2))), 0)))
    return gate[:, None, None] * x


def same(block, x, expected):
    with torch.no_grad():
        actual = block(x).numpy()
    np.testing.assert_allclose(actual, np.stack([expected(one) for one in x.numpy()]), rtol=1e-9, atol=1e-12)


def test_squeeze_and_excitation_gates_channels_by_the_means_of_all():
    block = drawn(SqueezeExcitation(4, 3))
    same(block, picture(), lambda x: squeezed_and_excited(block, x))


def test_squeeze_and_excitation_takes_another_activation_and_gate_and_no_bias():
    block = drawn(SqueezeExcitation(4, 2, activation=nn.SiLU, gate=nn.Hardsigmoid, bias=False))

    def expected(x):
        inner = dense(block.fc1, x.mean((1, 2)))
        gate = np.clip(dense(block.fc2, inner * sigmoid(inner)) / 6 + 0.5, 0, 1)
        return gate[:, None, None] * x

    same(block, picture(), expected)


def test_squeezed_channels_default_to_those_of_the_papers():
    assert SqueezeExcitation(64).fc1.out_channels == GlobalContext(64).fc1.out_channels == 4
    assert ConcurrentSqueezeExcitation(64).channel.fc1.out_channels == NonLocal(64).g.out_channels == 32
    assert CBAM(64).channel.fc1.out_channels == 4


@pytest.mark.parametrize(("combine", "together"), [(torch.add, np.add), (torch.maximum, np.maximum)])
def test_concurrent_squeeze_and_excitation_gates_channels_and_places(combine, together):
    block = drawn(ConcurrentSqueezeExcitation(4, 3, combine=combine))

    def expected(x):
        place = sigmoid(np.tensordot(block.place.weight.detach().numpy()[0, :, 0, 0], x, 1) + block.place.bias.item())
        return together(squeezed_and_excited(block.channel, x), place * x)

    same(block, picture(), expected)


def test_cbam_gates_channels_and_then_places():
    block = drawn(CBAM(4, 3))

    def expected(x):
        mean, largest = (
            dense(block.channel.fc2, np.maximum(dense(block.channel.fc1, pooled), 0))
            for pooled in (x.mean((1, 2)), x.max((1, 2)))
        )
        x = sigmoid(mean + largest)[:, None, None] * x
        seen = np.pad(np.stack([x.max(0), x.mean(0)]), ((0, 0), (3, 3), (3, 3)))
        kernel = block.place.conv.weight.detach().numpy()[0]
        height, width = x.shape[1:]
        sums = [[(seen[:, i : i + 7, j : j + 7] * kernel).sum() for j in range(width)] for i in range(height)]
        return sigmoid(norm(block.place.bn, np.array([sums]))) * x

    same(block, picture(), expected)


def test_cbam_starts_with_every_place_alike():
    block, x = CBAM(32).eval(), torch.randn(1, 32, 4, 4)
    torch.testing.assert_close(block(x), block.channel(x) / 2)


def test_global_context_adds_one_vector_to_every_place():
    block = drawn(GlobalContext(4, 3))

    def expected(x):
        places = x.reshape(4, -1)
        weights = np.exp(dense(block.mask, places)[0])
        context = sum(weight / weights.sum() * place for weight, place in zip(weights, places.T, strict=True))
        inner = dense(block.fc1, context)
        scale, shift = block.norm.weight.detach().numpy().ravel(), block.norm.bias.detach().numpy().ravel()
        inner = (inner - inner.mean()) / math.sqrt(inner.var() + block.norm.eps) * scale + shift
        return x + dense(block.fc2, np.maximum(inner, 0))[:, None, None]

    same(block, picture(), expected)


def pairs(block, pairwise, scale, x, other):
    """f(x_i, x_j) and C_i for one place i and all places j; the scale is that of the embedded Gaussian alone."""
    if pairwise == "gaussian":
        f = np.array([math.exp(x @ y) for y in other.T])
        return f, f.sum()
    if pairwise == "concatenation":
        w = np.concatenate([half.weight.detach().numpy().ravel() for half in (block.w_theta, block.w_phi)])
        both = [np.concatenate([dense(block.theta, x), dense(block.phi, y)]) for y in other.T]
        return np.array([max(w @ pair, 0) for pair in both]), other.shape[1]
    f = np.array([dense(block.theta, x) @ dense(block.phi, y) for y in other.T])
    if pairwise == "dot_product":
        return f, other.shape[1]
    f = np.exp(f / math.sqrt(3) if scale else f)
    return f, f.sum()


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"])
def test_a_non_local_block_sums_over_all_places(pairwise, scale):
    block = drawn(NonLocal(4, 3, pairwise=pairwise, scale=scale))

    def expected(x):
        places = x.reshape(4, -1)
        means = []
        for place in places.T:
            f, total = pairs(block, pairwise, scale, place, places)
            means.append(sum(weight * dense(block.g, other) for weight, other in zip(f, places.T, strict=True)) / total)
        return x + norm(block.bn, np.stack([dense(block.out, mean) for mean in means], 1)).reshape(x.shape)

    same(block, picture(), expected)


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"])
def test_a_subsampled_non_local_block_sums_over_pooled_places(pairwise):
    block = drawn(NonLocal(4, 3, pairwise=pairwise, subsample=True))
    x = picture(4, 4, 6)
    with torch.no_grad():
        theta, phi, g = block.theta(x).flatten(2), F.max_pool2d(block.phi(x), 2), F.max_pool2d(block.g(x), 2)
        phi, g = phi.flatten(2), g.flatten(2)  # (N, inner, 6)
        if pairwise == "concatenation":
            both = [torch.cat(torch.broadcast_tensors(theta, phi[:, :, j : j + 1]), dim=1) for j in range(6)]
            w = torch.cat([block.w_theta.weight, block.w_phi.weight], dim=1).flatten()
            f = torch.einsum("c,jnci->nij", w, torch.stack(both)).relu() / 6
        else:
            f = torch.einsum("nci,ncj->nij", theta, phi)
            f = f / 6 if pairwise == "dot_product" else f.softmax(2)
        y = torch.einsum("nij,ncj->nci", f, g).reshape(2, 3, 4, 6)
        torch.testing.assert_close(block(x), x + block.bn(block.out(y)))


@pytest.mark.parametrize("block", [NonLocal(8), NonLocal(8, norm=False), GlobalContext(8)], ids=("nl", "nl bare", "gc"))
def test_blocks_that_add_start_as_the_identity(block):
    x = torch.randn(2, 8, 3, 4)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)


def test_an_unknown_pairwise_function_is_refused():
    with pytest.raises(InvalidInput, match=r"'cosine'.*dot_product"):
        NonLocal(8, pairwise="cosine")
