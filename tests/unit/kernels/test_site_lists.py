"""Finding sites and pairs natively, against sorting and loops."""

import numpy as np
import pytest

from ninefold import reference
from ninefold.kernels.llvm.site_lists import gathered, neighbours, site_keys, sorted_with_rows
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


@pytest.mark.parametrize("bits", [1, 11, 12, 13, 40, 62])
def test_keys_are_sorted_and_equal_ones_keep_their_order(rng, bits):
    keys = rng.integers(0, 2**bits, 5000)
    ordered, rows = sorted_with_rows(keys.copy())
    wanted = np.argsort(keys, kind="stable")
    np.testing.assert_array_equal(rows, wanted)
    np.testing.assert_array_equal(ordered, keys[wanted])


def test_keys_tell_what_is_outside_and_whether_they_are_sorted():
    coords = np.array([[0, 1, 2], [0, 3, 0], [1, 0, 0]], np.int32)
    assert site_keys(coords, (2, 4, 3))[1:] == (-1, True)
    assert site_keys(coords, (2, 4, 3)).keys.tolist() == [5, 9, 12]
    assert site_keys(coords[::-1].copy(), (2, 4, 3)).are_sorted is False
    assert site_keys(coords, (2, 3, 3)).outside == 1
    assert site_keys(-coords, (2, 4, 3)).outside == 0


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_gathered_sites_stand_in_the_order_of_their_keys(rng, columns):
    coords = rng.integers(0, 9, (50, columns)).astype(np.int32)
    rows = rng.permutation(50).astype(np.int32)
    found = gathered(coords, np.arange(50), rows)
    np.testing.assert_array_equal(found.coords, coords[rows])
    np.testing.assert_array_equal(found.order, rows)
    assert found.twice == -1


def test_the_first_of_equal_keys_is_told():
    coords, rows = np.zeros((5, 2), np.int32), np.arange(5, dtype=np.int32)
    assert gathered(coords, np.array([0, 3, 3, 7, 7]), rows).twice == 2
