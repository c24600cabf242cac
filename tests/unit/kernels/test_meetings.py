"""Finding an output's sites and pairs natively, against the loops of the rulebook."""

import sys

import numpy as np
import pytest

from ninefold import reference
from ninefold.kernels.llvm.meetings import meetings
from ninefold.spec import SparseSpec

SIZES = {1: (40,), 2: (9, 11), 3: (6, 7, 8), 4: (4, 5, 4, 3)}


def drawn(rng, size, share=0.3, pictures=2):
    return np.ascontiguousarray(np.argwhere(rng.random((pictures, *size)) < share).astype(np.int32))


def check(coords, spec, threads=1):
    """Compare with the rulebook."""
    (sites, lists), book = meetings(coords, spec, threads), reference.rulebook(coords.tolist(), spec)
    assert sites.tolist() == [list(site) for site in book.sites]
    for rules, start, stop in zip(book.rules, lists.starts, lists.starts[1:], strict=False):
        found = zip(lists.in_rows[start:stop].tolist(), lists.out_rows[start:stop].tolist(), strict=True)
        assert list(found) == sorted(rules)
    assert len(lists.in_rows) == len(lists.out_rows) == lists.starts[-1]


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel": 3, "stride": 2, "padding": 1},
        {"kernel": 3, "padding": 1},
        {"kernel": 2, "stride": 2},
        {"kernel": 2, "dilation": 2},
        {"kernel": 1, "stride": 3, "padding": 2},
        {"kernel": 3, "stride": 2, "padding": 2, "dilation": 2},
        {"kernel": 2, "stride": 3, "kind": "transposed"},
        {"kernel": 3, "stride": 2, "padding": 1, "dilation": 2, "kind": "transposed", "output_padding": 1},
    ],
    ids=str,
)
def test_meetings_are_those_of_the_rulebook(rng, dims, share, arguments):
    spec = SparseSpec.of(SIZES[dims], **arguments)
    check(drawn(rng, spec.size, share), spec)


@pytest.mark.parametrize("arguments", [{"kernel": 2, "stride": 2}, {"kernel": 2, "stride": 2, "kind": "transposed"}])
def test_axes_of_different_geometry_stay_apart(rng, arguments):
    per_axis = {"stride": (1, 2, 3), "kernel": (3, 1, 2), "dilation": (1, 2, 3), "padding": (1, 0, 1)}
    spec = SparseSpec.of((5, 6, 9), **{**arguments, **per_axis})
    check(drawn(rng, spec.size), spec)


@pytest.mark.parametrize("cells", [1, 63, 64, 65, 128, 4096, 4097])
def test_the_ends_of_a_line_are_found_wherever_its_words_end(rng, cells):
    spec = SparseSpec.of((2, cells), 1)
    check(np.array([[0, 1, cells - 1]], np.int32), spec)
    check(drawn(rng, spec.size, 1.0, pictures=1), spec)
    ends = sorted({(b, y, x) for b in (0, 3) for y in (0, 1) for x in (0, cells // 2, cells - 1)})
    check(np.array(ends, np.int32), SparseSpec.of((2, cells), 3, padding=1))


def test_sites_may_lie_far_apart_on_a_long_axis(rng):
    spec = SparseSpec.of((3, 1_000_003), 3, stride=2, padding=1)
    places = [(0, y, x) for y in range(3) for x in rng.integers(0, 1_000_003, 20)]
    check(np.array(sorted({*places, (0, 0, 0), (0, 2, 1_000_002)}), np.int32), spec)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the largest resident memory as Linux counts it")
def test_a_long_line_takes_no_memory_where_no_site_is():
    from resource import RUSAGE_SELF, getrusage

    before, cells = getrusage(RUSAGE_SELF).ru_maxrss, 2**28
    check(np.array([[0, 5], [0, cells - 2]], np.int32), SparseSpec.of((cells,), 1))
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB, of 2^20 for every place


def test_grids_may_have_more_than_2_to_the_31_cells():
    coords = np.array([[0, 0, 0, 0], [1, 400, 3199, 3198], [1, 400, 3199, 3199]], np.int32)
    check(coords, SparseSpec.of((401, 3200, 3200), 3, stride=2, padding=1))


def test_a_large_stride_divides_exactly():
    spec = SparseSpec.of((2_000_000_000,), 3, stride=999_999_937, padding=1)
    edges = [x + d for x in (0, 999_999_937, 1_999_999_874) for d in (-2, -1, 0, 1, 2) if x + d >= 0]
    sites, lists = meetings(np.array([(0, x) for x in edges], np.int32), spec)
    met = [spec.output_of((x,), k) for k in spec.offsets for x in edges]
    assert sites.tolist() == [[0, *site] for site in sorted({site for site in met if site is not None})]
    assert lists.starts[-1] == sum(site is not None for site in met)


def test_nothing_meets_nothing():
    none = np.empty((0, 4), np.int32)
    sites, lists = meetings(none, SparseSpec.of((5, 5, 5), 3, stride=2))
    assert (sites.shape, lists.starts) == ((0, 4), (0,) * 28)


def test_sites_between_all_windows_meet_nothing():
    sites, lists = meetings(np.array([[0, 1, 2], [0, 3, 1]], np.int32), SparseSpec.of((5, 5), 1, stride=2))
    assert (sites.shape, lists.starts) == ((0, 3), (0, 0))


@pytest.mark.parametrize("kind", ["sparse", "transposed"])
def test_the_result_is_the_same_for_any_number_of_threads(rng, monkeypatch, kind):
    monkeypatch.setattr("ninefold.kernels.llvm.meetings._THREADED", 1)
    spec = SparseSpec.of((30, 30, 30), 3, stride=2, padding=1, kind=kind)
    coords = drawn(rng, spec.size)
    sites, lists = meetings(coords, spec, threads=1)
    for threads in (2, 3, 8):
        others = meetings(coords, spec, threads)
        assert others[1].starts == lists.starts
        np.testing.assert_array_equal(others[0], sites)
        np.testing.assert_array_equal(others[1].in_rows, lists.in_rows)
        np.testing.assert_array_equal(others[1].out_rows, lists.out_rows)
