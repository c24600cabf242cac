"""`ninefold bench`: a line of JSON or a table after every network and layer."""

import json
from functools import partial

import pytest
from torch import nn

from ninefold.app.main import run
from ninefold.training import benchmark_networks


@pytest.fixture
def _tiny(monkeypatch):
    def build():
        return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    monkeypatch.setattr(benchmark_networks, "NETWORKS", {"tiny": build, "small": build})


@pytest.mark.usefixtures("_tiny")
def test_a_line_of_json_per_network(capsys):
    assert run(["bench", "compile", "--against", "torch,channels_last", "--rounds", "1", "--batch", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    tiny, small = map(json.loads, out.splitlines())
    assert (tiny["network"], small["network"]) == ("tiny", "small")
    assert {"threads", "batch", "ours_ms", "peers", "ratio", "max_rel_error", "fma_peak_gflops"} <= tiny.keys()
    assert tiny["peers"]["torch"]["max_rel_error"] < 1e-5
    assert (tiny["threads"], tiny["batch"]) == (1, 2)
    assert err == ""


@pytest.mark.usefixtures("_tiny")
def test_a_table_per_network_names_who_is_absent(capsys, monkeypatch):
    from ninefold.training.contest.peers import base

    def refuse(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(base, "import_module", refuse)
    assert run(["bench", "compile", "tiny", "--against", "opencv,torch", "--rounds", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tiny, 1 picture, 1 thread; FMA peak")
    assert [line.split()[0] for line in out.splitlines()[3:]] == ["ninefold", "torch"]
    assert "opencv did not run" in err
    assert "opencv-python-headless" in err


def test_a_line_of_json_per_way_to_compute_a_layer(capsys):
    assert run(["bench", "conv", "16x8x8:16k3", "--rounds", "1", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["layer"] for row in rows} == {"16x8x8:16k3"}
    assert {"torch", "direct kernel", "winograd F(4) kernel"} <= {row["way"] for row in rows}


def test_a_table_per_layer(capsys):
    assert run(["bench", "conv", "16x8x8:16k1", "--rounds", "1", "--threads", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("16x8x8:16k1, 2 threads; FMA peak")
    assert "direct kernel" in out


def test_the_layers_of_a_network_and_one_family_of_kernels(capsys, monkeypatch):
    monkeypatch.setattr(benchmark_networks, "NETWORKS", {"tiny": lambda: nn.Conv2d(3, 16, 16, 16)})
    assert run(["bench", "conv", "--of", "tiny", "--only", "direct", "--rounds", "1", "--json"]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["layer"], row["way"]) == ("3x224x224:16k16s16p0", "direct kernel")
    assert row["tile"].startswith("rows ")
    assert run(["bench", "conv", "16x8x8:16k1", "--only", "indirect"]) == 2
    assert "direct" in capsys.readouterr().err


def test_memory_is_measured_in_processes_of_their_own(capsys):
    arguments = ["bench", "compile", "squeezenet1_1", "--against", "torch", "--rounds", "1", "--memory", "--json"]
    assert run(arguments) == 0
    found = json.loads(capsys.readouterr().out)["peak_mib"]
    assert found.keys() == {"ninefold", "torch"}
    assert all(1 < mib < 4096 for mib in found.values())


def test_sparse_convolutions_of_a_scan(capsys, monkeypatch):
    from ninefold.nn import sphere
    from ninefold.training.contest import sparse
    from ninefold.training.contest.scans import Scan

    shell = sphere(1, 16)
    monkeypatch.setattr(sparse, "SCANS", {"sphere": lambda: Scan(shell.coords, shell.size)})
    arguments = ["bench", "sparse", "sphere", "--only", "maps", "--rounds", "1"]
    assert run([*arguments, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["sites"] for row in rows] == [len(shell.coords)] * 2
    assert run(arguments) == 0
    assert capsys.readouterr().out.startswith(f"sphere, {len(shell.coords)} sites; 1 thread, spconv's 1")


def test_memory_of_sparse_cases_is_measured_in_processes_of_their_own(capsys):
    arguments = ["bench", "sparse", "lidar-crop", "--case", "second, evaluation, maps found", "--rounds", "1"]
    assert run([*arguments, "--memory", "--json"]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["case"] == "second, evaluation, maps found"
    assert 1 < row["peak_mib"] < 4096
    assert row["spconv_peak_mib"] is None


def test_a_scan_without_the_cases_that_were_asked_for_says_so(capsys):
    assert run(["bench", "sparse", "sphere", "--only", "networks"]) == 0
    assert "sphere has none of these cases" in capsys.readouterr().err


def test_wrong_sums_on_two_threads_are_counted(capsys):
    pytest.importorskip("spconv", reason="spconv is not installed")
    assert run(["bench", "race", "lidar-crop", "--calls", "2", "--json"]) == 0
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    assert (ours["contestant"], ours["calls"], ours["other_calls"]) == ("ninefold", 2, 0)
    assert theirs["contestant"] == "spconv"
    assert run(["bench", "race", "lidar-crop", "--calls", "1"]) == 0
    assert "wrong rows at most" in capsys.readouterr().out


def test_features_of_a_recording_beside_other_ways_to_compute_them(capsys, monkeypatch):
    from ninefold.training.contest import eeg

    monkeypatch.setattr(eeg, "contest", partial(eeg.contest, seconds=1))
    assert run(["bench", "eeg", "--trials", "1", "--rounds", "1", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["contestant"] for row in rows] == ["ninefold", "sosfilt", "published", "toolbox"]
    assert all(row["max_abs_error"] < 1e-9 for row in rows)
    assert run(["bench", "eeg", "--trials", "1", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["ninefold", "sosfilt", "published", "toolbox"]
