import pytest
import torch

from ninefold.errors import InvalidInput
from ninefold.sparse import Sites, SparseTensor

COORDS = torch.tensor([[1, 0, 3], [0, 4, 1], [0, 0, 2], [0, 4, 0]])


def test_sites_are_sorted_and_say_where_each_was():
    sites, order = Sites.of(COORDS, (5, 4))
    assert sites.coords.tolist() == sorted(COORDS.tolist())
    assert torch.equal(COORDS[order], sites.coords)
    assert sites.coords.dtype == torch.int32
    assert (len(sites), sites.batch, sites.keys.tolist()) == (4, 2, [2, 16, 17, 23])


def test_grids_of_more_than_2_to_the_31_cells_have_distinct_keys():
    size = (401, 3200, 3200)
    sites, _ = Sites.of(torch.tensor([[1, 400, 3199, 3199], [0, 0, 0, 0], [1, 400, 3199, 3198]]), size)
    assert sites.keys.tolist() == [0, 2 * 401 * 3200 * 3200 - 2, 2 * 401 * 3200 * 3200 - 1]


def test_grids_with_keys_that_leave_no_room_for_rows_are_sorted_too():
    size = (2**31 - 1, 2**30)
    sites, order = Sites.of(torch.tensor([[0, 2**31 - 2, 2**30 - 1], [0, 0, 7], [0, 2**31 - 2, 0]]), size)
    assert (order.tolist(), sites.coords[:, 1].tolist()) == ([1, 2, 0], [0, 2**31 - 2, 2**31 - 2])
    with pytest.raises(InvalidInput, match="rows 0 and 1 are both"):
        Sites.of(torch.tensor([[0, 5, 5], [0, 5, 5], [0, 0, 0], [0, 2, 2]]), size)


@pytest.mark.parametrize(
    ("coords", "part"),
    [
        ([[0, 1, 1], [0, 5, 0]], r"row 1 is site \(0, 5, 0\), outside 1 grids of \(5, 4\)"),
        ([[0, 1, 1], [0, -1, 0]], r"row 1 is site \(0, -1, 0\)"),
        ([[0, 1, 1], [0, 2, 2], [0, 1, 1]], r"rows 0 and 2 are both site \(0, 1, 1\)"),
        ([[0, 1]], "coords of shape"),
        ([[0.0, 1.0, 1.0]], "integers"),
    ],
)
def test_what_is_no_site_is_refused(coords, part):
    with pytest.raises(InvalidInput, match=part):
        Sites.of(torch.tensor(coords), (5, 4))


@pytest.mark.parametrize(
    ("coords", "size", "batch", "part"),
    [
        ([[0, 2**35]], (2**36,), None, r"1 grids of \(68719476736,\) came; wanted up to 2\^31 - 1"),
        ([[2**33, 0]], (5,), None, "8589934593 grids"),
        ([[0, 1, 1, 1]], (2**21, 2**21, 2**21), None, r"2\^62 cells"),
        ([[0, 1]], (4.5,), None, r"size=\(4.5,\) and batch=None came; wanted integers"),
        ([[0, 1]], 4, None, "size=4 and batch=None came"),
        ([[0, 1]], (4,), -1, "batch=-1 came"),
    ],
)
def test_grids_that_cannot_be_are_refused(coords, size, batch, part):
    with pytest.raises(InvalidInput, match=part):
        Sites.of(torch.tensor(coords), size, batch)


def test_pictures_beyond_the_batch_are_refused():
    with pytest.raises(InvalidInput, match="outside 1 grids"):
        Sites.of(COORDS, (5, 4), batch=1)


def test_coordinates_of_any_memory_layout_are_taken():
    sites, _ = Sites.of(COORDS.T.contiguous().T, (5, 4))
    assert sites.coords.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_features_come_into_the_order_of_sites_and_gradients_back(dtype):
    features = torch.arange(8.0, dtype=dtype).view(4, 2).requires_grad_()
    order = Sites.of(COORDS, (5, 4))[1]
    with torch.no_grad():
        assert torch.equal(SparseTensor.of(features, COORDS, (5, 4)).features, features[order])
    SparseTensor.of(features, COORDS, (5, 4)).features[0].sum().backward()
    assert features.grad.sum(dim=1).tolist() == [2.0 * (row == order[0]) for row in range(4)]


def test_a_tensor_and_its_grid_are_the_same_numbers():
    x = SparseTensor.of(torch.randn(4, 3), COORDS, (5, 4))
    back = SparseTensor.from_dense(x.dense())
    assert torch.equal(back.coords, x.coords)
    assert torch.equal(back.features, x.features)
    assert x.dense().shape == (2, 3, 5, 4)


def test_a_tensor_without_sites_has_a_grid_of_zeros():
    x = SparseTensor.of(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int32), (5, 4), batch=2)
    assert not x.dense().any()
    assert x.dense().shape == (2, 3, 5, 4)


def test_features_without_a_site_are_refused():
    with pytest.raises(InvalidInput, match="4 sites"):
        SparseTensor.of(torch.zeros(3, 2), COORDS, (5, 4))
