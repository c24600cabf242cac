import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ninefold import sparse
from ninefold.errors import InvalidInput, UnknownName
from ninefold.sparse import SparseTensor


def tensor(channels=4, share=0.3, size=(6, 5, 7), seed=0):
    torch.manual_seed(seed)
    coords = (torch.rand(2, *size) < share).nonzero()
    return SparseTensor.of(torch.randn(len(coords), channels, dtype=torch.float64), coords, size, 2)


def at_sites(grid, sites):
    return grid.movedim(1, -1)[tuple(sites.coords.long().T)]


def dense_weight(layer):
    return layer.weight.movedim(-1, 1)


def test_submanifold_convolution_is_dense_convolution_at_its_sites():
    x, layer = tensor(), sparse.SubMConv(4, 6, 3, dilation=2, groups=2).double()
    y = layer(x)
    dense = F.conv3d(x.dense(), dense_weight(layer), layer.bias, padding=2, dilation=2, groups=2)
    assert y.sites is x.sites
    torch.testing.assert_close(y.features, at_sites(dense, y.sites))


def test_sparse_convolution_is_dense_convolution_everywhere():
    x, layer = tensor(), sparse.SparseConv(4, 6, (3, 2, 3), (2, 1, 2), (1, 0, 1), bias=False).double()
    y = layer(x)
    dense = F.conv3d(x.dense(), dense_weight(layer), stride=(2, 1, 2), padding=(1, 0, 1))
    torch.testing.assert_close(y.dense(), dense)
    assert y.stride == (2, 1, 2)


def test_transposed_convolution_is_dense_convolution_everywhere():
    x, layer = tensor(share=0.1), sparse.SparseConvTranspose(4, 6, 3, 2, 1, bias=False).double()
    dense = F.conv_transpose3d(x.dense(), layer.weight.movedim(-1, 0), stride=2, padding=1)
    torch.testing.assert_close(layer(x).dense(), dense)


def test_an_inverse_convolution_leads_back_to_the_very_sites():
    x = tensor()
    down, up = sparse.SparseConv(4, 6, 2, 2).double(), sparse.InverseConv(6, 3, 2, bias=False).double()
    low = down(x)
    y = up(low, down.map(x.sites), x.stride)
    dense = F.conv_transpose3d(low.dense(), up.weight.movedim(-1, 0), stride=2)
    assert (y.sites, y.stride) == (x.sites, (1, 1, 1))
    inside = (x.coords[:, 1:] < torch.tensor(dense.shape[2:])).all(dim=1)
    torch.testing.assert_close(y.features[inside], dense.movedim(1, -1)[tuple(x.coords[inside].long().T)])
    with pytest.raises(InvalidInput, match="earlier layer"):
        up(down(tensor(seed=1)), down.map(x.sites), x.stride)


@pytest.mark.parametrize("engine", ["gather_gemm_scatter", "reference"])
def test_engines_give_the_same_values_and_gradients(engine):
    x, layer = tensor(share=0.1), sparse.SparseConv(4, 6, 3, 2, 1, groups=2).double()
    pairs = layer.map(x.sites)
    features = x.features.requires_grad_()
    y = sparse.conv(features, layer.weight, layer.bias, pairs, engine)
    dense_x = x.dense().detach().requires_grad_()
    dense = F.conv3d(dense_x, dense_weight(layer), layer.bias, 2, 1, groups=2)
    torch.testing.assert_close(y, at_sites(dense, pairs.outputs))
    grad = torch.randn_like(y)
    ours = torch.autograd.grad(y, (features, layer.weight, layer.bias), grad)
    theirs = torch.autograd.grad(at_sites(dense, pairs.outputs), (dense_x, layer.weight, layer.bias), grad)
    torch.testing.assert_close(ours[0], at_sites(theirs[0], x.sites))
    torch.testing.assert_close(ours[1:], theirs[1:])


def test_derivatives_of_second_order_are_right():
    x, layer = tensor(channels=2, share=0.1, size=(3, 3, 3)), sparse.SubMConv(2, 2, 3, bias=False).double()
    pairs = layer.map(x.sites)

    def convolve(features, weight):
        return sparse.conv(features, weight, None, pairs)

    assert torch.autograd.gradgradcheck(convolve, (x.features.requires_grad_(), layer.weight))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_summed_in_float32(dtype):
    x, layer = tensor(), sparse.SubMConv(4, 6)
    y = layer.to(dtype)(x.with_features(x.features.to(dtype)))
    exact = layer.double()(x.with_features(x.features.to(dtype).double()))
    assert y.features.dtype == dtype
    torch.testing.assert_close(y.features.double(), exact.features, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(("kind", "dense"), [("max", F.max_pool3d), ("mean", None), ("sum", None)])
def test_pooling_sees_present_sites_only(kind, dense):
    x = tensor(share=0.4, size=(6, 4, 8))
    y = sparse.SparsePool(kind, 2)(x)
    if kind == "max":
        absent = torch.full_like(x.dense(), -torch.inf)
        absent.movedim(1, -1)[tuple(x.coords.long().T)] = x.features
        want = dense(absent, 2)
    else:
        sums = 8 * F.avg_pool3d(x.dense(), 2)
        counts = 8 * F.avg_pool3d(x.with_features(torch.ones_like(x.features)).dense(), 2)
        want = sums if kind == "sum" else sums / counts
    torch.testing.assert_close(y.features, at_sites(want, y.sites))


@pytest.mark.parametrize("kind", ["max", "mean", "sum"])
def test_global_pooling_gives_a_row_per_picture_and_zeros_for_an_empty_one(kind):
    x = tensor()
    only_first = SparseTensor.of(x.features[x.coords[:, 0] == 0], x.coords[x.coords[:, 0] == 0], x.size, 2)
    y = sparse.GlobalPool(kind)(only_first)
    reduce = {"max": lambda t: t.amax(0), "mean": lambda t: t.mean(0), "sum": lambda t: t.sum(0)}[kind]
    torch.testing.assert_close(y, torch.stack([reduce(only_first.features), torch.zeros(4, dtype=torch.float64)]))


def test_a_sequence_gives_features_to_layers_that_know_no_sites_and_learns():
    torch.manual_seed(0)
    x = tensor()
    net = sparse.SparseSequential(
        sparse.SubMConv(4, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        sparse.SparseConv(8, 8, 3, 2, 1),
        sparse.GlobalPool("mean"),
        nn.Linear(8, 2),
    ).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(net(x), torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    "layer", [sparse.SubMConv(4, 6), sparse.SparseConv(4, 6, 3, 2, 1), sparse.SparsePool("max", 2)]
)
def test_a_tensor_without_sites_goes_through(layer):
    x = SparseTensor.of(torch.zeros(0, 4, requires_grad=True), torch.zeros(0, 4, dtype=torch.int32), (6, 6, 6), 1)
    y = layer(x)
    assert len(y.features) == 0
    y.features.sum().backward()


def test_what_does_not_fit_is_refused():
    x = tensor()
    with pytest.raises(InvalidInput, match="4 channels came to a layer for 5"):
        sparse.SubMConv(5, 6)(x)
    with pytest.raises(InvalidInput, match="groups=3 came"):
        sparse.SubMConv(4, 6, groups=3)
    layer = sparse.SubMConv(4, 6)
    with pytest.raises(InvalidInput, match="float64 and weight is"):
        layer(x)
    with pytest.raises(UnknownName, match="engine of sparse convolutions"):
        sparse.conv(x.features.float(), layer.weight, None, layer.map(x.sites), "spconv")


@pytest.mark.parametrize("grads", [True, False])
def test_under_autocast_numbers_are_brought_into_its_dtype(grads):
    torch.manual_seed(0)
    x = tensor()
    x = x.with_features(x.features.float())
    net = sparse.SparseSequential(sparse.SubMConv(4, 32), nn.BatchNorm1d(32), nn.ReLU(), sparse.SparseConv(32, 8))
    net = net.train(grads)
    with torch.set_grad_enabled(grads), torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    assert y.features.dtype == torch.bfloat16
    if grads:
        y.features.float().square().mean().backward()
        assert all(p.grad.dtype == torch.float32 and p.grad.any() for p in net[3].parameters())
    with torch.no_grad():
        wanted = net(x).features
    torch.testing.assert_close(y.features.float(), wanted, rtol=0.03, atol=0.03)
