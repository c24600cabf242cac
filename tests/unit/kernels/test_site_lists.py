"""Finding sites and pairs natively, against sorting and loops."""

import numpy as np
import pytest

from ninefold import reference
from ninefold.kernels.llvm.site_lists import can_sort, neighbours, sorted_sites
from ninefold.spec import SparseSpec

SIZES = {1: (40,), 2: (9, 11), 3: (6, 7, 8), 4: (4, 5, 4, 3)}


def drawn(rng, size, share=0.3):
    return np.ascontiguousarray(np.argwhere(rng.random((2, *size)) < share).astype(np.int32))


def rules(lists, k):
    part = slice(lists.starts[k], lists.starts[k + 1])
    return list(zip(lists.in_rows[part].tolist(), lists.out_rows[part].tolist(), strict=True))


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (9, 1), (3, 2)])
def test_neighbours_are_those_of_the_rulebook(rng, dims, kernel, dilation):
    if kernel**dims > 1000:
        pytest.skip("the loops of the reference would take minutes")
    spec = SparseSpec.of(SIZES[dims], kernel, dilation=dilation, kind="submanifold")
    coords = drawn(rng, spec.size)
    lists, book = neighbours(coords, spec), reference.rulebook(coords.tolist(), spec)
    for k in range(spec.volume // 2):
        assert rules(lists, k) == sorted(book.rules[k])


@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 1, 3)])
def test_neighbours_are_the_same_for_any_number_of_threads(rng, monkeypatch, kernel):
    monkeypatch.setattr("ninefold.kernels.llvm.site_lists._THREADED", 1)
    spec = SparseSpec.of((30, 30, 30), kernel, kind="submanifold")
    coords = drawn(rng, spec.size)
    one, several = (neighbours(coords, spec, threads) for threads in (1, 3))
    assert one.starts == several.starts
    np.testing.assert_array_equal(one.in_rows, several.in_rows)
    np.testing.assert_array_equal(one.out_rows, several.out_rows)


def test_nothing_is_beside_nothing():
    none = np.empty((0, 4), np.int32)
    assert neighbours(none, SparseSpec.of((5, 5, 5), 3, kind="submanifold")).starts == (0,) * 14


@pytest.mark.parametrize("size", [(8, 1), (8, 5, 1), (1, 1), (9, 1, 4)])
def test_lines_of_one_cell_have_neighbours_in_other_lines(rng, size):
    spec = SparseSpec.of(size, 3, kind="submanifold")
    coords = drawn(rng, size, 0.7)
    lists, book = neighbours(coords, spec), reference.rulebook(coords.tolist(), spec)
    assert [rules(lists, k) for k in range(spec.volume // 2)] == [
        sorted(book.rules[k]) for k in range(spec.volume // 2)
    ]


@pytest.mark.parametrize("size", [(2,), (2000,), (40, 50), (7, 100, 900), (30, 40, 50, 60), (2**31 - 1, 3000)])
def test_sites_are_sorted_and_equal_ones_keep_their_order(rng, size):
    coords = np.stack([rng.integers(0, n, 3000) for n in (3, *size)], axis=1).astype(np.int32)
    found, wanted = sorted_sites(coords, (3, *size)), np.lexsort(coords.T[::-1])
    np.testing.assert_array_equal(found.order, wanted)
    np.testing.assert_array_equal(found.coords, coords[wanted])
    same = np.flatnonzero((coords[wanted][1:] == coords[wanted][:-1]).all(axis=1))
    assert (found.outside, found.twice) == (-1, same[0] + 1 if len(same) else -1)


def test_sites_that_are_sorted_stay_as_they_are_in_memory_of_their_own():
    coords = np.array([[0, 1, 2], [0, 3, 0], [1, 0, 0]], np.int32)
    found = sorted_sites(coords, (2, 4, 3))
    assert not np.shares_memory(found.coords, coords)
    assert (found.coords.tolist(), found.order.tolist(), *found[2:]) == (coords.tolist(), [0, 1, 2], -1, -1)


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_the_first_site_outside_is_told(columns):
    coords = np.ones((5, columns), np.int32)
    coords[4] = -1
    for axis in range(columns):
        sizes = [2] * columns
        sizes[axis] = 1
        assert sorted_sites(coords, tuple(sizes)).outside == 0
    assert sorted_sites(coords, (2,) * columns).outside == 4


def test_no_sites_are_sorted_and_too_many_cells_are_for_others():
    assert len(sorted_sites(np.empty((0, 3), np.int32), (1, 5, 5)).order) == 0
    assert can_sort(1000, (1, 2**26, 2**27))
    assert not can_sort(1000, (1, 2**26, 2**28))
