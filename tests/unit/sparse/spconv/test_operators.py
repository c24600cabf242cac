"""The operators over pairs and tables, against the layers."""

import copy

import pytest
import torch

from ninefold.errors import Unsupported
from ninefold.sparse import spconv
from ninefold.sparse.conv import conv, conv_gradients
from ninefold.sparse.spconv.core import Activation
from ninefold.sparse.spconv.pytorch import functional, ops, quantization
from ninefold.sparse.spconv.pytorch.hash import HashTable

SIZE = [6, 5]
LAYERS = {
    "submanifold": spconv.SubMConv2d(3, 4, 3).double(),
    "strided": spconv.SparseConv2d(3, 4, 3, 2, 1).double(),
    "transposed": spconv.SparseConvTranspose2d(3, 4, 3, 2, dilation=2).double(),
}


def tensor():
    torch.manual_seed(0)
    rows = (torch.rand(2, *SIZE) < 0.4).nonzero().int()
    rows = rows[torch.randperm(len(rows))]
    return spconv.SparseConvTensor(torch.randn(len(rows), 3, dtype=torch.float64), rows, SIZE, 2)


def geometry(layer):
    sizes = layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.output_padding
    return *sizes, layer.subm, layer.transposed


def gradients(y, leaves):
    return torch.autograd.grad((y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum(), leaves)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_convolutions_over_pairs_and_tables_are_the_layer(layer):
    x = tensor()
    features = x.features.requires_grad_()
    leaves = features, layer.weight
    y = layer(x)
    wanted = gradients(y.features, leaves)
    grad = torch.linspace(-1, 1, y.features.numel()).view_as(y.features).double()
    out, pairs, counts = ops.get_indice_pairs(x.indices, 2, SIZE, spconv.ConvAlgo.Native, *geometry(layer))
    assert torch.equal(out, y.indices)
    assert (pairs >= 0).sum() == 2 * counts.sum()
    over_pairs = functional.indice_conv(features, layer.weight, pairs, counts, len(out), bias=layer.bias)
    torch.testing.assert_close((over_pairs, *gradients(over_pairs, leaves)), (y.features, *wanted))
    torch.testing.assert_close(ops.indice_conv_backward(*leaves, grad, pairs, counts), wanted)
    algo = spconv.ConvAlgo.MaskImplicitGemm
    out, _, forward, backward, *masks = ops.get_indice_pairs_implicit_gemm(x.indices, 2, SIZE, algo, *geometry(layer))
    table = forward, backward, *masks[:4], len(out), masks[4], True, layer.subm
    over_table = functional.implicit_gemm(*leaves, *table, bias=layer.bias)
    torch.testing.assert_close((over_table, *gradients(over_table, leaves)), (y.features, *wanted))
    back = forward, backward, *masks[:4], None, masks[4], -1, layer.subm
    torch.testing.assert_close(ops.implicit_gemm_backward(*leaves, grad, *back), wanted)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("in_order", [True, False])
def test_pairs_of_sorted_rows_are_computed_as_layers_compute_them(layer, in_order, monkeypatch):
    rows = (torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0)) < 0.4).nonzero().int()
    x = spconv.SparseConvTensor(torch.randn(len(rows), 3), rows if in_order else rows.flip(0), SIZE, 2)
    layer, asked = copy.deepcopy(layer).float(), []
    for compute in (conv, conv_gradients):
        noted = lambda *of, compute=compute: asked.append(of[-1]) or compute(*of)  # noqa: E731
        monkeypatch.setattr(ops, compute.__name__, noted)
    _, pairs, counts = ops.get_indice_pairs(x.indices, 2, SIZE, spconv.ConvAlgo.Native, *geometry(layer))
    wanted = layer(x).features
    grad = torch.linspace(-1, 1, wanted.numel()).view_as(wanted)
    leaves = x.features.requires_grad_(), layer.weight
    found = ops.indice_conv(*leaves, pairs, counts, len(wanted), bias=layer.bias)
    torch.testing.assert_close(found, wanted)
    gradients = ops.indice_conv_backward(*leaves, grad, pairs, counts)
    torch.testing.assert_close(gradients, torch.autograd.grad(layer(x).features, leaves, grad))
    assert asked == ["auto" if in_order else "gather_gemm_scatter"] * 2


def test_pairs_of_rows_that_are_not_there_are_refused():
    pairs = torch.tensor([[[0, 2]], [[0, 1]]], dtype=torch.int32)
    with pytest.raises(ValueError, match="rows 0 to 2 came, and there are 2 rows"):
        ops.indice_conv(torch.ones(2, 1), torch.ones(1, 1, 1), pairs, torch.tensor([2]), 2)


def test_an_inverse_convolution_goes_over_the_pairs_the_other_way():
    down, up = (
        spconv.SparseConv2d(3, 4, 2, 2, indice_key="a").double(),
        spconv.SparseInverseConv2d(4, 3, 2, "a", bias=False, algo=None).double(),
    )
    low = down(tensor())
    kept = low.find_indice_pair("a")
    pairs = kept.indice_pairs, kept.indice_pair_num, len(kept.indices)
    y = functional.indice_inverse_conv(low.features, up.weight, *pairs, act_type=Activation.ReLU)
    torch.testing.assert_close(y, up(low).features.relu())


def test_poolings_over_pairs_and_tables_are_the_layers():
    x = tensor()
    features = x.features.requires_grad_()
    largest, mean = (layer(x) for layer in (spconv.SparseMaxPool2d(2, indice_key="a"), spconv.SparseAvgPool2d(2)))
    kept = largest.find_indice_pair("a")
    rows = len(largest.indices)
    over_pairs = functional.indice_maxpool(features, kept.indice_pairs, kept.indice_pair_num, rows)
    over_table = functional.indice_maxpool_implicit_gemm(features, kept.pair_fwd, kept.pair_bwd, rows)
    means = functional.indice_avgpool_implicit_gemm(features, kept.pair_fwd, kept.pair_bwd, rows, True)
    torch.testing.assert_close((over_pairs, over_table, means), (largest.features, largest.features, mean.features))
    grad = torch.randn(rows, 3, dtype=torch.float64)
    (wanted,) = torch.autograd.grad(largest.features, features, grad)
    largest_rows = features, largest.features, grad
    one = ops.indice_maxpool_backward(*largest_rows, kept.indice_pairs, kept.indice_pair_num)
    other = ops.indice_maxpool_implicit_gemm_backward(*largest_rows, kept.pair_bwd)
    torch.testing.assert_close((one, other), (wanted, wanted))
    (wanted,) = torch.autograd.grad(mean.features, features, grad)
    _, counts = ops.indice_avgpool_implicit_gemm(features, kept.pair_fwd, rows, True)
    torch.testing.assert_close(ops.indice_avgpool_implicit_gemm_backward(grad, kept.pair_bwd, counts), wanted)


def test_rows_are_arranged_by_picture():
    x = tensor()
    rows, counts = ops.global_pool_rearrange(x.indices, 2)
    assert counts.sum() == len(x.indices)
    for picture in range(2):
        assert (x.indices[rows[picture, : counts[picture]].long(), 0] == picture).all()


def test_a_table_of_keys_finds_numbers_and_misses():
    table = HashTable(torch.device("cpu"), torch.int64, torch.int32)
    keys = torch.tensor([9, 2, 5])
    table.insert(keys, torch.tensor([90, 20, 50], dtype=torch.int32))
    table.insert(torch.tensor([2, 7]))
    assert table.insert_exist_keys(torch.tensor([7, 8]), torch.tensor([70, 80], dtype=torch.int32)).tolist() == [0, 1]
    values, missing = table.query(torch.tensor([2, 7, 8, 9]))
    assert (values.tolist(), missing.tolist()) == ([0, 70, 0, 90], [False, False, True, False])
    assert table.assign_arange_().item() == 4
    assert [part.tolist() for part in table.items()] == [[2, 5, 7, 9], [0, 1, 2, 3], [4]]


def test_whoever_asks_for_int8_is_told():
    x = tensor()
    with pytest.raises(Unsupported, match="floating point only"):
        LAYERS["submanifold"](x.replace_feature(x.features.to(torch.int8)))
    with pytest.raises(Unsupported, match=r"quantization\.prepare_spconv_torch_inference asks for int8"):
        quantization.prepare_spconv_torch_inference(None)
    with pytest.raises(Unsupported, match="implicit_gemm with scales"):
        ops.implicit_gemm(*torch.ones(3, 1, 1), [], [], 1, [], True, True, output_scale=0.5)
