"""What cannot be computed is refused with a sentence, before any kernel reads memory that is not there."""

import pytest
import torch
from torch import nn

from ninefold import sparse
from ninefold.errors import InvalidInput, UnknownName
from ninefold.sparse import SparseTensor
from ninefold.sparse.conv import conv_gradients

COORDS = torch.tensor([[0, 1, 2], [0, 3, 3], [1, 0, 0]])


def tensor(channels=4):
    return SparseTensor.of(torch.randn(3, channels), COORDS, (5, 5))


@pytest.mark.parametrize("arguments", [(0, 4, 3), (4, 0, 3), (-4, 4, 3), (4, 4, 0), (4, 4, (3, -1))], ids=str)
@pytest.mark.parametrize("layer", [sparse.SubMConv, sparse.SparseConv, sparse.InverseConv])
def test_layers_of_no_channel_or_offset(layer, arguments):
    with pytest.raises(InvalidInput, match="wanted at least 1 each"):
        layer(*arguments, dims=2)


each_layer = pytest.mark.parametrize(
    "layer",
    [
        sparse.SubMConv(4, 4, dims=3),
        sparse.SparseConv(4, 4, dims=3),
        sparse.SparseConvTranspose(4, 4, dims=3),
        sparse.SparsePool("max", 2, dims=3),
    ],
    ids=lambda layer: type(layer).__name__,
)


@each_layer
def test_layers_of_other_axes(layer):
    with pytest.raises(InvalidInput, match="does not fit 2 spatial axes"):
        layer(tensor())


@each_layer
def test_layers_that_get_a_dense_tensor(layer):
    with pytest.raises(InvalidInput, match="a Tensor came to a layer that reads sites; wanted a SparseTensor"):
        layer(torch.zeros(1, 4, 5, 5, 5))


@pytest.mark.parametrize(
    ("weight", "bias", "said"),
    [
        (torch.ones(6, 3, 3, 4, device="meta"), None, "x is on cpu, weight on meta and the sites on cpu"),
        (torch.ones(6, 3, 3, 0), None, "do not fit a weight that sees 0"),
        (torch.ones(0, 3, 3, 4), None, "0 output channels"),
        (torch.ones(6, 3, 3, 4), torch.ones(1), r"bias of shape \(1,\)"),
        (torch.ones(6, 3, 3, 4), torch.ones(6).double(), r"bias of shape \(6,\) is torch.float64"),
    ],
)
def test_weights_that_do_not_fit(weight, bias, said):
    x = tensor()
    with pytest.raises(InvalidInput, match=said):
        sparse.conv(x.features, weight, bias, sparse.SubMConv(4, 6, dims=2).map(x.sites))


@pytest.mark.parametrize("grad", [torch.ones(3, 5), torch.ones(2, 6), torch.ones(3, 6).double()])
def test_gradients_of_another_result(grad):
    x, layer = tensor(), sparse.SubMConv(4, 6, dims=2)
    with pytest.raises(InvalidInput, match="grad of shape"):
        conv_gradients(x.features, layer.weight, grad, layer.map(x.sites))


def test_a_batch_norm_of_other_channels_than_the_convolution_that_would_do_its_work():
    layers = sparse.SparseSequential(sparse.SubMConv(4, 16, dims=2, bias=False), nn.BatchNorm1d(1)).eval()
    with torch.no_grad(), pytest.raises(InvalidInput, match="came for 16 output channels"):
        layers(tensor())


def test_poolings_of_no_known_kind_or_of_other_rows():
    x = tensor()
    with pytest.raises(UnknownName, match="no pooling is called 'avg'"):
        sparse.SparsePool("avg", 2, dims=2)(x)
    with pytest.raises(UnknownName, match="'avg'"):
        sparse.GlobalPool("avg")(x)
    with pytest.raises(InvalidInput, match="4 rows came for 3 input sites"):
        sparse.pool(torch.ones(4, 2), sparse.SparsePool("max", 2, dims=2).map(x.sites), "max")


def test_dense_grids_without_an_axis():
    with pytest.raises(InvalidInput, match=r"\(2, 3\) came; wanted \(N, C, \*size\)"):
        SparseTensor.from_dense(torch.ones(2, 3))
