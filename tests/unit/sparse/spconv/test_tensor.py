import pytest
import torch

from ninefold.errors import InvalidInput
from ninefold.sparse import spconv
from ninefold.sparse.spconv.pytorch.functional import sparse_add
from ninefold.sparse.spconv.pytorch.spatial import RemoveDuplicate

ROWS = torch.tensor([[1, 2, 0], [0, 1, 1], [0, 0, 3]], dtype=torch.int32)


def tensor(rows=ROWS, channels=2):
    torch.manual_seed(0)
    return spconv.SparseConvTensor(torch.randn(len(rows), channels), rows, [3, 4], 2)


def test_other_features_share_what_was_found_and_what_is_carried_along():
    x = tensor()
    x.benchmark_record["a"], x.int8_scale, x.indice_dict["k"] = 1, 2, 3
    y = x.replace_feature(x.features * 2)
    assert y.indice_dict is x.indice_dict
    assert (y.benchmark_record, y.int8_scale, y.indices) == (x.benchmark_record, x.int8_scale, x.indices)
    assert torch.equal(y.features, 2 * x.features)


def test_sizes_come_as_numbers_of_any_kind():
    features, rows = tensor().features, ROWS
    x = spconv.SparseConvTensor(features, rows, [torch.tensor(3), torch.tensor(4)], 2)
    assert x.spatial_shape == [3, 4]
    assert spconv.SparseConvTensor(features, rows, torch.tensor([3, 4]).numpy(), 2).spatial_size == 12


def test_features_cannot_be_set_but_added_to():
    x = tensor()
    wanted = x.features + 1
    with pytest.raises(ValueError, match="replace_feature"):
        x.features = wanted
    x += torch.ones(3, 2)
    assert torch.equal(x.features, wanted)
    assert torch.equal((x + x).features, 2 * wanted)


@pytest.mark.parametrize(
    ("features", "indices", "size", "batch"),
    [
        (torch.zeros(3), ROWS, [3, 4], 2),
        (torch.zeros(3, 2), ROWS, [3, 4, 5], 2),
        (torch.zeros(3, 2), ROWS.long(), [3, 4], 2),
        (torch.zeros(3, 2), ROWS, [3, 4], 0),
    ],
)
def test_what_does_not_fit_is_an_assertion_error_as_upstream(features, indices, size, batch):
    with pytest.raises(AssertionError, match="came"):
        spconv.SparseConvTensor(features, indices, size, batch)


@pytest.mark.parametrize("chosen", [torch.tensor([True, False, True]), torch.tensor([0, 2])])
def test_rows_can_be_selected_without_touching_the_tensor_they_come_from(chosen):
    x = spconv.SubMConv2d(2, 2, 3, indice_key="a")(tensor())
    y = x.select_by_index(chosen)
    assert torch.equal(y.indices, ROWS[[0, 2]])
    assert torch.equal(y.features, x.features[[0, 2]])
    assert "a" in x.indice_dict
    assert "a" not in spconv.SparseReLU()(y).indice_dict
    assert spconv.SubMConv2d(2, 2, 3, indice_key="a")(y).features.shape == (2, 2)


def test_sites_changed_in_place_are_seen():
    x = tensor(ROWS.clone())
    spconv.SubMConv2d(2, 2, 3)(x)
    x.indices[:, 2] = 3 - x.indices[:, 2]
    layer = spconv.SubMConv2d(2, 2, 3, bias=False)
    again = spconv.SparseConvTensor(x.features, x.indices.clone(), [3, 4], 2)
    assert torch.equal(layer(x).features, layer(again).features)


def test_sites_of_an_output_may_be_written_to():
    layer = spconv.SparseConv2d(2, 2, 2, 2, bias=False)
    x = tensor()
    first = layer(x)
    wanted = first.indices.clone()
    first.indices[:, 1:] *= 2
    assert torch.equal(layer(x).indices, wanted)


@pytest.mark.parametrize("rows", [[[0, 0, 4]], [[0, -1, 0]], [[0, 1, 1], [0, 1, 1], [0, 3, 0]]])
def test_sites_outside_the_grid_are_refused(rows):
    with pytest.raises(InvalidInput, match="outside"):
        spconv.SubMConv2d(2, 2, 3)(tensor(torch.tensor(rows, dtype=torch.int32)))


def test_sites_in_any_memory_layout_are_the_same_sites():
    x, layer = tensor(), spconv.SparseConv2d(2, 3, 3, 2, 1)
    other = spconv.SparseConvTensor(x.features, ROWS.T.contiguous().T, [3, 4], 2)
    assert torch.equal(layer(x).dense(), layer(other).dense())


def test_tensors_at_different_sites_are_added():
    one = tensor()
    other = spconv.SparseConvTensor(torch.ones(2, 2), ROWS[1:] + torch.tensor([0, 1, 0], dtype=torch.int32), [3, 4], 2)
    torch.testing.assert_close(sparse_add(one, other).dense(), one.dense() + other.dense())
    within = one.select_by_index(torch.tensor([2]))
    total = sparse_add(within, one)
    assert torch.equal(total.indices, ROWS)
    torch.testing.assert_close(total.features[2], 2 * one.features[2])
    with pytest.raises(AssertionError, match="wanted one of each"):
        sparse_add(one, tensor(channels=3))


def test_the_first_of_equal_sites_stays():
    rows = ROWS[[0, 1, 0, 2, 1]]
    x = tensor(rows)
    y = RemoveDuplicate()(x)
    assert torch.equal(y.indices, ROWS[[2, 1, 0]])
    assert torch.equal(y.features, x.features[[3, 1, 0]])
