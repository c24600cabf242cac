"""Contests: results are compared before times, who cannot compete is named, and turns do not overlap."""

import re
import threading
from importlib.util import find_spec
from shutil import which
from time import perf_counter

import numpy as np
import pytest
import torch
from torch import nn

from ninefold.errors import InvalidInput, MissingExtra, UnknownName, Unsupported
from ninefold.kernels.llvm.target import host
from ninefold.training import benchmark_networks
from ninefold.training.contest import layers, networks, rounds
from ninefold.training.contest.networks import Rules, contest
from ninefold.training.contest.peers import PEERS, Peer, Task, base
from ninefold.training.contest.peers.ncnn_file import write
from ninefold.training.contest.rounds import CALLS, alternate, settle
from ninefold.training.contest.shapes import layers_of

NEEDS = {"openvino": "openvino", "onnxruntime": "onnxruntime", "opencv": "cv2", "ncnn": "ncnn"}
PARAMETERS = {
    "vgg16": 14_714_688,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "squeezenet1_1": 1_235_496,
}


class Tiny(nn.Module):
    """Every operation of the benchmark networks, once, and a leaky one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.each = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.mixed = nn.Conv2d(8, 8, 3, padding=(0, 1))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.dense = nn.Linear(16, 5)

    def forward(self, x):
        x = self.first(x)
        x = torch.relu(x + self.each(x))
        x = torch.cat([self.pool(x), nn.functional.leaky_relu(self.pool(x), 0.2)], dim=1)
        return self.dense(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Tiny().eval(), torch.randn(2, 3, 12, 10)


def installed(name):
    if name in NEEDS and not (find_spec(NEEDS[name]) and find_spec("onnxscript")):
        pytest.skip(f"{NEEDS[name]} or onnxscript is not installed")
    if name == "inductor" and which("g++") is None:
        pytest.skip("there is no C++ compiler")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "inductor" else n for n in PEERS])
def test_every_peer_computes_what_torch_does(name, tiny, tmp_path):
    installed(name)
    model, x = tiny
    with torch.no_grad():
        y = np.asarray(PEERS[name].prepare(Task(model, x, 1, tmp_path))())
        assert y.shape == (2, 5)
        assert y == pytest.approx(model(x).numpy(), abs=1e-5)


def test_a_contest_tells_times_and_errors_of_all(tiny):
    result = contest("tiny", *tiny, Rules(("torch", "channels_last"), rounds=2))
    assert list(result.peers) == ["torch", "channels_last"]
    assert max(result.max_rel_error, result.peers["torch"].max_rel_error) < 1e-5
    assert result.ratio == result.peers[result.best_peer].ms / result.ours_ms
    assert result.ours_min_ms <= result.ours_ms
    assert (result.network, result.batch, result.threads) == ("tiny", 2, 1)
    assert result.fma_peak_gflops > 0


def test_a_peer_that_is_not_installed_is_named(tiny, monkeypatch):
    def refuse(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(base, "import_module", refuse)
    result = contest("tiny", *tiny, Rules(("openvino", "torch"), rounds=1))
    assert result.peers["openvino"].absent == str(MissingExtra.of("openvino", "bench"))
    assert result.best_peer == "torch"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: np.full((2, 5), np.nan), "wrong"),
        (lambda: np.zeros((2, 4)), r"\(2, 4\)"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (None, "cannot take the network: KeyError"),
    ],
)
def test_who_is_wrong_or_fails_does_not_compete(tiny, monkeypatch, call, why):
    class Broken(Peer):
        name = "broken"

        def prepare(self, _):
            return call or {}["conv"]

    monkeypatch.setitem(PEERS, "broken", Broken())
    result = contest("tiny", *tiny, Rules(("broken",), rounds=1))
    assert re.search(why, result.peers["broken"].absent)
    assert result.peers["broken"].ms is None
    assert (result.best_peer, result.ratio) == ("", None)


def test_ours_must_be_right_too(tiny, monkeypatch):
    class Wrong:
        plan = networks.compiler.Plan()

        def __call__(self, x):
            return torch.zeros(len(x), 5)

    monkeypatch.setattr(networks.compiler, "compile", lambda *_, **__: Wrong())
    result = contest("tiny", *tiny, Rules(("torch",), rounds=1))
    assert "wrong" in result.ours_absent
    assert (result.ours_ms, result.ratio) == (None, None)


def test_a_network_that_is_not_compiled_does_not_compete_as_ours(tiny):
    _, x = tiny
    result = contest("tiny", nn.Sequential(nn.Flatten(), nn.Tanh()).eval(), x, Rules(("torch",), rounds=1))
    assert "kernel" in result.ours_absent
    assert (result.ours_ms, result.ratio) == (None, None)


def test_rules_refuse_what_cannot_be():
    with pytest.raises(UnknownName, match="openvino"):
        Rules(("openvin",))
    with pytest.raises(InvalidInput, match="threads=0"):
        Rules(threads=0)
    with pytest.raises(InvalidInput, match="rounds=0"):
        alternate({}, 0)


def test_turns_go_round_and_the_first_call_is_not_timed():
    called = []
    times = alternate({name: lambda name=name: called.append(name) for name in "abc"}, 2, lambda: called.append("-"))
    calls = CALLS + 1
    assert (
        "".join(called) == "-" + "a" * calls + "b" * calls + "c" * calls + "-" + "b" * calls + "c" * calls + "a" * calls
    )
    assert all(own.least <= own.median for own in times.values())


def test_long_calls_are_called_off_the_clock_once(monkeypatch):
    monkeypatch.setattr("ninefold.training.contest.rounds._LONG_SECONDS", 1e-12)
    called = []
    alternate({"a": lambda: called.append("a")}, 3)
    assert len(called) == 1 + 3 * CALLS


def test_a_turn_begins_when_other_threads_have_stopped():
    ended = []

    def spin():
        end = perf_counter() + 0.1
        while perf_counter() < end:
            pass
        ended.append(True)

    worker = threading.Thread(target=spin)
    worker.start()
    settle()
    assert ended
    worker.join()


def test_where_threads_cannot_be_looked_at_the_clock_tells(monkeypatch, tmp_path):
    clock = iter([0.0, 0.02, 0.02, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 1.0])
    monkeypatch.setattr(rounds, "_THREADS", tmp_path / "none")
    monkeypatch.setattr(rounds, "process_time", lambda: next(clock))
    settle()
    assert next(clock) == 1.0


def test_ncnn_is_told_why_a_network_cannot_be_written(tmp_path):
    with pytest.raises(Unsupported, match="gelu"):
        write(nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU()).eval(), torch.zeros(1, 3, 4, 4), tmp_path)


@pytest.mark.parametrize("name", benchmark_networks.NETWORKS)
def test_benchmark_networks_have_the_published_size_and_use_every_layer(name):
    model = benchmark_networks.create(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    with torch.no_grad():
        y = model(benchmark_networks.picture(1)[:, :, :96, :96])
    assert y.shape[1] == (512 if name == "vgg16" else 1000)
    assert y.std() > 0.3
    again = benchmark_networks.create(name)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_an_unknown_benchmark_network_is_refused():
    with pytest.raises(UnknownName, match="resnet18"):
        benchmark_networks.create("resnet19")


@pytest.mark.parametrize("layer", ["20x9x8:36k3", "3x9x9:8k5s2", "8x7x7:8k3s2g8", "24x5x5:16k1", "32x9x9:32k3d2g2"])
def test_every_way_to_compute_a_layer_is_right_and_told(layer):
    rows = layers.contest(layer, rounds=1)
    assert {"torch", "im2col"} <= {row.way for row in rows}
    assert any(row.way.endswith(" kernel") for row in rows)
    assert all(row.max_rel_error < 1e-4 for row in rows)
    assert all(row.share_of_peak == row.best_gflops / row.fma_peak_gflops for row in rows)


@pytest.mark.parametrize("layer", layers.LAYERS)
def test_every_layer_that_is_measured_without_a_name_has_a_kernel(layer):
    assert list(layers._candidates(layers.parse_layer(layer), host()))


@pytest.mark.parametrize("text", ["", "3x8:4k3", "3x8x8:4", "3x8x8:4k3s", "3x8x8-4k3", "3x8x8:4k3g0", "3x8x8:4k3g2"])
def test_what_is_no_layer_is_refused_with_what_was_written(text):
    with pytest.raises(InvalidInput, match=repr(text)):
        layers.parse_layer(text)


def test_every_layer_of_a_network_is_written_so_that_it_is_read_again():
    for layer in layers_of("mobilenet_v2", least=14):
        spec = layers.parse_layer(layer)
        assert min(spec.out_size) >= 14
    assert "96x112x112:96k3s2g96" in layers_of("mobilenet_v2")
    assert "3x224x224:64k3s2p0" in layers_of("squeezenet1_1")
