"""Sparse convolutions beside spconv's, on scans small enough for a test."""

import sys

import pytest
import torch

from ninefold.errors import MissingExtra, UnknownName
from ninefold.nn import sphere
from ninefold.training.contest import sparse
from ninefold.training.contest.scans import SCANS, Scan
from ninefold.training.contest.sparse import MODES, NETWORKS, Rules, contest, network_case


@pytest.fixture
def ball():
    """Give a small shell, its cells in an order of their own."""
    shell = sphere(1, 48)
    return Scan(shell.coords[torch.randperm(len(shell.coords))], shell.size)


@pytest.fixture
def _small(monkeypatch, ball):
    monkeypatch.setattr(sparse, "SCANS", {"sphere": lambda: ball})
    monkeypatch.setattr(sparse, "WIDTHS", (16,))


@pytest.mark.usefixtures("_small")
def test_maps_and_layers_agree_with_spconv():
    pytest.importorskip("spconv", reason="spconv is not installed")
    rows = list(contest("sphere", Rules(("maps", "layers"), rounds=1)))
    assert [row.case.split(",")[0] for row in rows] == [
        *("submanifold map", "strided map"),
        *["submanifold 16->16"] * 2,
    ]
    assert all(row.max_rel_error < 1e-5 and row.ratio > 0 for row in rows)
    assert all(4 * row.map_bytes < row.spconv_map_bytes for row in rows[:2])


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
def test_networks_agree_with_spconv(ball, network, mode):
    pytest.importorskip("spconv", reason="spconv is not installed")
    case = network_case(ball, network, mode, Rules())
    theirs, ours = case.theirs(), case.ours()
    theirs = theirs if case.order is None else theirs[case.order()]
    # Where a sum is nearly zero, ReLU may take another side, and the gradient with it.
    most = 2e-2 if mode == MODES[2] else 1e-4
    assert (ours - theirs).abs().max() <= most * theirs.abs().max()


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
