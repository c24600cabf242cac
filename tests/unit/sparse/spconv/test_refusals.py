"""What the drop-in refuses, under the types that users of spconv catch."""

import pytest
import torch

from ninefold.sparse import spconv
from ninefold.sparse.spconv.pytorch import ops
from ninefold.sparse.spconv.pytorch.utils import PointToVoxel

ROWS = torch.tensor([[1, 2, 0], [0, 1, 1], [0, 0, 3]], dtype=torch.int32)


def tensor(count=3, dtype=torch.float32, rows=ROWS):
    return spconv.SparseConvTensor(torch.ones(count, 2, dtype=dtype), rows, [3, 4], 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 4, 3), "in_channels=0"),
        ((4, 4, 0), r"kernel_size=\[0, 0\]"),
        ((4, 4, (3, -1)), r"kernel_size=\[3, -1\]"),
        ((4, 4, 3, 1, 0, 1, 0), "groups=0"),
        ((4, 4, 2.5), "2.5 came for 2 axes"),
    ],
)
def test_layers_that_cannot_be(arguments, said):
    with pytest.raises(AssertionError, match=said):
        spconv.SubMConv2d(*arguments)


@pytest.mark.parametrize("layer", [spconv.SubMConv2d(2, 2, 3), spconv.SparseConv2d(2, 2, 1), spconv.SparseMaxPool2d(2)])
def test_features_in_place_of_a_sparse_tensor(layer):
    with pytest.raises(AssertionError, match="a Tensor came to a layer that reads sites"):
        layer(torch.ones(3, 2))


@pytest.mark.parametrize(
    "layer",
    [spconv.SubMConv2d(2, 2, 3), spconv.SparseMaxPool2d(2), spconv.SparseGlobalAvgPool(), spconv.ToDense()],
    ids=lambda layer: type(layer).__name__,
)
def test_other_numbers_of_rows_and_sites(layer):
    with pytest.raises(AssertionError, match="4 rows of features came for 3 sites"):
        layer(tensor(4))


def test_features_of_another_dtype_at_a_kernel_of_one_offset():
    with pytest.raises(AssertionError, match=r"features of torch.float64"):
        spconv.SubMConv2d(2, 4, 1)(tensor(dtype=torch.float64))


@pytest.mark.parametrize("move", [-1, 4])
def test_a_dense_grid_of_sites_that_are_outside(move):
    with pytest.raises(AssertionError, match=r"row \d is site .* outside 2 grids"):
        tensor(rows=ROWS + move).dense()


def test_tables_of_nothing():
    with pytest.raises(AssertionError, match="wanted the same sites in all"):
        spconv.AddTable()([])


@pytest.mark.parametrize("kernel", [(1, 1), (5, 3)])
def test_filters_of_another_kernel_than_the_pairs(kernel):
    ones = [1, 1]
    sites = ROWS, 2, [3, 4], spconv.ConvAlgo.Native
    _, pairs, counts = ops.get_indice_pairs(*sites, [3, 3], ones, ones, ones, [0, 0], subm=True)
    with pytest.raises(AssertionError, match="pairs of 9 offsets came"):
        ops.indice_conv(torch.ones(3, 2), torch.ones(2, *kernel, 2), pairs, counts, 3)


@pytest.mark.parametrize(
    ("size", "corners", "limits"),
    [
        ([0.1, 0.1], [0, 0, 1, 1], (2, 0, 5)),
        ([0.1, 0.1], [0, 0, 1, 1], (2, 5, 0)),
        ([0.1, 0.1], [0, 0, 1, 1], (1, 5, 5)),
        ([0.1, 0.0], [0, 0, 1, 1], (2, 5, 5)),
        ([0.1, 0.1], [0, 1, 1, 0], (2, 5, 5)),
    ],
)
def test_voxels_without_room(size, corners, limits):
    with pytest.raises(AssertionError, match="wanted sizes above 0, lows below highs, at least 2 features"):
        PointToVoxel(size, corners, *limits)
