"""Sparse convolutions beside spconv's, on scans small enough for a test."""

import sys

import pytest
import torch

from ninefold.errors import MissingExtra, UnknownName
from ninefold.nn import sphere
from ninefold.sparse import Sites, kernel_map
from ninefold.sparse.map import _found as find
from ninefold.spec import SparseSpec
from ninefold.training.contest import sparse, sparse_cases, sparse_race
from ninefold.training.contest.scans import SCANS, Scan
from ninefold.training.contest.sparse import Rules, contest
from ninefold.training.contest.sparse_cases import MAPS, MODES, NETWORKS, network_case
from ninefold.training.contest.sparse_first import first_calls
from ninefold.training.contest.sparse_race import races


@pytest.fixture
def ball():
    """Give a small shell, its cells in an order of their own."""
    shell = sphere(1, 48)
    return Scan(shell.coords[torch.randperm(len(shell.coords))], shell.size)


@pytest.fixture
def _small(monkeypatch, ball):
    monkeypatch.setattr(sparse, "SCANS", {"sphere": lambda: ball})
    monkeypatch.setattr(sparse_cases, "WIDTHS", (16,))


@pytest.mark.usefixtures("_small")
def test_maps_and_layers_agree_with_spconv():
    pytest.importorskip("spconv", reason="spconv is not installed")
    maps, every = (list(contest("sphere", Rules((kind,), rounds=1))) for kind in ("maps", "layers"))
    layers = [row for row in every if "bfloat16" not in row.case]
    assert [row.case.split(",")[0] for row in maps] == ["submanifold map", "strided map"]
    assert [row.case for row in layers] == [
        f"submanifold 16->16, {passes}, maps {maps}"
        for passes in ("forward", "forward and backward")
        for maps in ("found", "known")
    ]
    assert all(row.max_rel_error < 1e-5 and row.ratio > 0 for row in (*maps, *layers))
    assert all(4 * row.map_bytes < row.spconv_map_bytes for row in maps)


@pytest.mark.usefixtures("_small")
def test_rates_count_both_passes_of_the_pairs_that_exist(ball):
    rows = list(contest("sphere", Rules(("layers",), ("maps known",), against=False, rounds=1)))
    pairs = kernel_map(Sites.of(ball.coords, ball.size)[0], SparseSpec.of(ball.size, 3, kind="submanifold")).count
    assert [row.case.partition("maps known")[2] for row in rows] == ["", ", bfloat16"] * 2
    for row, passes in zip(rows, (1, 1, 3, 3), strict=True):
        assert row.gflops * row.ours_ms == pytest.approx(2e-6 * passes * pairs * 16 * 16)
        assert row.fma_peak_gflops > 0


def test_bfloat16_is_computed_beside_float32_and_without_spconv(ball):
    wide, narrow = (
        network_case(ball, "second", MODES[0], MAPS[1], against=False, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    y, rounded = wide.ours(), narrow.ours()
    assert rounded.dtype == torch.bfloat16
    assert (y - rounded).abs().max() < 0.05 * y.abs().max()
    assert network_case(ball, "second", MODES[0], MAPS[1], against=True, dtype=torch.bfloat16).theirs is None


@pytest.mark.usefixtures("_small")
def test_ours_alone_need_no_peer(monkeypatch):
    monkeypatch.setitem(sys.modules, "spconv", None)
    (row, _) = contest("sphere", Rules(("maps",), against=False, rounds=1))
    assert row.ours_ms >= row.ours_min_ms > 0
    assert row.spconv_ms is row.ratio is row.max_rel_error is None
    with pytest.raises(MissingExtra, match=r"ninefold\[bench\]"):
        list(contest("sphere", Rules(("maps",))))


@pytest.mark.parametrize("network", ["second", "minkunet14"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("maps", MAPS)
def test_networks_agree_with_spconv(ball, network, mode, maps):
    pytest.importorskip("spconv", reason="spconv is not installed")
    case = network_case(ball, network, mode, maps, against=True)
    theirs, ours = case.theirs(), case.ours()
    theirs = theirs if case.order is None else theirs[case.order()]
    # Where a sum is nearly zero, ReLU may take another side, and the gradient with it.
    most = 2e-2 if mode == MODES[2] else 1e-4
    assert (ours - theirs).abs().max() <= most * theirs.abs().max()


@pytest.mark.parametrize("maps", MAPS)
def test_maps_are_found_in_every_call_or_in_none(ball, maps, monkeypatch):
    case = network_case(ball, "second", MODES[0], maps, against=False)
    found = []
    monkeypatch.setattr("ninefold.sparse.map._found", lambda sites, spec: found.append(spec) or find(sites, spec))
    case.ours()
    case.ours()
    assert len(found) == (2 * 8 if maps == MAPS[0] else 0)


def test_first_calls_are_timed_in_processes_of_their_own():
    (row,) = contest("small-sphere", Rules(("first-calls",), ("second",), against=False, rounds=1))
    assert row.case == "second, first call"
    assert row.ours_ms == row.ours_min_ms > row.later_ms > 0


def test_the_process_that_fills_the_cache_of_kernels_does_not_count(monkeypatch):
    told = [[9.0, 9.0], [3.0, 1.0], [2.0, 1.5], [4.0, 2.0]]
    monkeypatch.setattr("ninefold.training.contest.sparse_first._told", lambda _: told.pop(0))
    assert first_calls("small-sphere", "second", 1, processes=3) == (3.0, 2.0, 1.5)


@pytest.mark.usefixtures("_small")
def test_two_threads_give_the_bits_of_one_and_wrong_rows_are_counted():
    pytest.importorskip("spconv", reason="spconv is not installed")
    ours, theirs = races("sphere", calls=3)
    assert (ours.calls, ours.other_calls, ours.wrong_calls, ours.max_rel_error) == (3, 0, 0, 0)
    assert theirs.wrong_calls <= theirs.other_calls <= 3
    results = [torch.ones(4, 2), torch.tensor([[1.0, 1], [1, 2], [1, 1], [0, 1]]), torch.ones(4, 2) + 1e-6]
    spoilt = sparse_race._race("sphere", "spconv", lambda: results.pop(0), 2)
    assert (spoilt.other_calls, spoilt.wrong_calls, spoilt.most_wrong_rows, spoilt.max_rel_error) == (2, 1, 2, 1)


def test_every_scan_has_cells_inside_its_grid_and_networks_that_read_it():
    assert SCANS.keys() == NETWORKS.keys()
    for name in ("lidar-crop", "room", "sphere"):
        scan = SCANS[name]()
        assert len(scan.coords) > 10_000
        assert scan.coords.min() >= 0
        assert (scan.coords[:, 1:].amax(dim=0) < torch.tensor(scan.size)).all()


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="lidar-crop"):
        next(contest("lidar", Rules()))
    with pytest.raises(UnknownName, match="layers"):
        next(contest("sphere", Rules(("layer",))))
