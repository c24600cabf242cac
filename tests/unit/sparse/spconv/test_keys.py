import pytest
import torch

from ninefold.sparse import spconv

SIZE = [8, 8]


def tensor():
    torch.manual_seed(0)
    rows = (torch.rand(1, *SIZE) < 0.4).nonzero().int().flip(0)
    return spconv.SparseConvTensor(torch.randn(len(rows), 2), rows, SIZE, 1)


def after(*layers):
    x = tensor()
    for layer in layers:
        x = layer(x)
    return x


SUBM, DOWN = spconv.SubMConv2d(2, 2, 3, indice_key="a"), spconv.SparseConv2d(2, 2, 3, 2, 1, indice_key="b")


def test_submanifold_layers_of_one_key_share_their_pairs():
    x = after(SUBM)
    y = SUBM(x)
    assert y.find_indice_pair("a") is x.find_indice_pair("a")
    assert y.find_indice_pair("b") is None
    assert y.find_indice_pair(None) is None


def test_branches_do_not_see_each_others_keys():
    x = after(SUBM)
    DOWN(x)
    assert list(x.indice_dict) == ["a"]


@pytest.mark.parametrize(
    ("layer", "kind", "part"),
    [
        (spconv.SubMConv2d(2, 2, 5, indice_key="a"), ValueError, "kernel size"),
        (spconv.SubMConv2d(2, 2, 3, dilation=2, indice_key="a"), ValueError, "dilation"),
        (spconv.SubMConv2d(2, 2, 3, indice_key="a", algo=spconv.ConvAlgo.Native), AssertionError, "algo"),
        (spconv.SparseConv2d(2, 2, 3, indice_key="a"), AssertionError, "only submanifold layers share"),
        (spconv.SparseMaxPool2d(2, indice_key="a"), ValueError, "exists already"),
        (spconv.SparseInverseConv2d(2, 2, 3, "a"), AssertionError, "earlier strided"),
        (spconv.SparseInverseConv2d(2, 2, 3, "c"), AssertionError, "the tensor knows"),
        (spconv.SubMConv2d(3, 2, 3), AssertionError, "2 channels came to a layer for 3"),
    ],
)
def test_what_cannot_share_a_key_is_refused_as_upstream(layer, kind, part):
    with pytest.raises(kind, match=part):
        layer(after(SUBM))


def test_a_key_of_other_sites_is_refused():
    x = after(SUBM)
    with pytest.raises(ValueError, match="number of sites"):
        SUBM(spconv.SparseConvTensor(x.features[1:], x.indices[1:], SIZE, 1, indice_dict=x.indice_dict))
    with pytest.raises(ValueError, match="spatial shape"):
        SUBM(spconv.SparseConvTensor(x.features, x.indices, [9, 9], 1, indice_dict=x.indice_dict))


def test_an_inverse_convolution_wants_the_earlier_kernel_and_sites():
    x = after(DOWN)
    with pytest.raises(ValueError, match="kernel size"):
        spconv.SparseInverseConv2d(2, 2, 2, "b")(x)
    with pytest.raises(ValueError, match="spatial shape"):
        spconv.SparseInverseConv2d(2, 2, 3, "b")(after(DOWN, spconv.SparseConv2d(2, 2, 2, 2)))
    assert spconv.SparseInverseConv2d(2, 2, 3, "b")(x).spatial_shape == SIZE


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="must be odd"):
        spconv.SubMConv2d(2, 2, 2)(tensor())
    with pytest.raises(ValueError, match="output's grid would be"):
        spconv.SparseConv2d(2, 2, 9, 2)(tensor())
    with pytest.raises(AssertionError, match="kernel of one offset"):
        spconv.SparseConv2d(2, 2, 1, padding=1)
    with pytest.raises(AssertionError, match="for 2 axes"):
        spconv.SparseConv2d(2, 2, (3, 3, 3))


def test_default_algorithms_are_those_of_the_cuda_builds():
    algo = lambda k, **options: spconv.SubMConv3d(1, 1, k, **options).algo.name  # noqa: E731
    assert [algo(3), algo(5), algo(5, large_kernel_fast_algo=True)] == [
        "MaskImplicitGemm",
        "Native",
        "MaskImplicitGemm",
    ]
    assert spconv.SparseMaxPool3d(5).algo.name == "MaskImplicitGemm"


@pytest.mark.parametrize("algo", [spconv.ConvAlgo.Native, spconv.ConvAlgo.MaskImplicitGemm])
def test_what_is_kept_under_a_key_says_where_it_came_from(algo):
    down = spconv.SparseConv2d(2, 2, 3, 2, 1, indice_key="b", algo=algo)
    x = tensor()
    kept = down(x).find_indice_pair("b")
    assert (kept.ksize, kept.stride, kept.padding, kept.dilation) == ([3, 3], [2, 2], [1, 1], [1, 1])
    assert (kept.spatial_shape, kept.out_spatial_shape, kept.is_subm, kept.algo) == (SIZE, [4, 4], False, algo)
    assert kept.indices is x.indices
    assert down.is_inverseable()
    assert not SUBM.is_inverseable()


def test_a_key_serves_the_same_sites_in_another_order():
    x = after(SUBM)
    again = spconv.SubMConv2d(2, 2, 3, indice_key="a")
    y = again(spconv.SparseMaxPool2d(1)(x))
    assert not torch.equal(y.indices, x.indices)
    torch.testing.assert_close(y.dense(), again(x.replace_feature(x.features.relu())).dense())
