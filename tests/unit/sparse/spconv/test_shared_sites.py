"""Rows that share a site, as mixing two scenes into one makes them."""

import pytest
import torch

from ninefold.sparse import spconv

ROWS = torch.tensor([[0, 2, 2], [0, 2, 3], [0, 0, 0], [0, 2, 2], [0, 3, 3], [0, 2, 2], [0, 2, 3]], dtype=torch.int32)


def tensor(channels=4):
    torch.manual_seed(0)
    features = torch.randn(len(ROWS), channels, dtype=torch.float64, requires_grad=True)
    return spconv.SparseConvTensor(features, ROWS, [4, 5], 1)


def merged(x):
    """Give one row per site with the mean of its rows, and the site of every row."""
    sites, site_of = torch.unique(x.indices, dim=0, return_inverse=True)
    sums = torch.zeros(len(sites), x.features.shape[1], dtype=torch.float64).index_add(0, site_of, x.features)
    means = sums / torch.bincount(site_of)[:, None]
    return spconv.SparseConvTensor(means, sites, x.spatial_shape, x.batch_size), site_of


@pytest.mark.parametrize("groups", [1, 2])
def test_a_submanifold_layer_sees_a_row_itself_and_the_means_of_its_neighbours(groups):
    x, layer = tensor(), spconv.SubMConv2d(4, 6, 3, groups=groups).double()
    means, site_of = merged(x)
    middle, around = (spconv.SubMConv2d(4, 6, 3, groups=groups, bias=False).double() for _ in range(2))
    middle.weight.data.zero_()[:, 1, 1] = layer.weight.data[:, 1, 1]
    around.weight.data[:] = layer.weight.data - middle.weight.data
    alone = torch.stack([middle(x.select_by_index(torch.tensor([row]))).features[0] for row in range(len(ROWS))])
    wanted = alone + around(means).features[site_of] + layer.bias
    torch.testing.assert_close(layer(x).features, wanted)


def test_a_way_down_and_back_gives_the_rows_as_they_came_and_their_gradients():
    x = tensor()
    layers = [
        spconv.SubMConv2d(4, 3, 3, indice_key="a"),
        spconv.SparseConv2d(3, 5, 2, 2, indice_key="b"),
        spconv.SparseInverseConv2d(5, 3, 2, "b"),
        spconv.SubMConv2d(3, 2, 3, indice_key="a"),
    ]

    def computed(features):
        y = x.replace_feature(features)
        for layer in layers:
            y = layer.double()(y)
        return y

    assert torch.equal(computed(x.features).indices, ROWS)
    assert torch.autograd.gradcheck(lambda features: computed(features).features, x.features)


def test_half_precision_stays_under_autocast():
    layer = spconv.SubMConv2d(4, 6, 3)
    x = tensor()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x.replace_feature(x.features.float()))
    assert y.features.dtype == torch.bfloat16
    torch.testing.assert_close(y.features.double(), layer.double()(x).features, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "ask",
    [
        spconv.SparseMaxPool2d(2),
        spconv.SparseGlobalAvgPool(),
        lambda x: spconv.SparseConv2d(4, 4, 2, indice_key="a").double()(x).find_indice_pair("a").indice_pairs,
    ],
)
def test_poolings_and_tables_refuse_them(ask):
    with pytest.raises(AssertionError, match=r"3 rows are site \(0, 2, 2\).*merge such rows first"):
        ask(tensor())
