"""How an engine is chosen, measured and remembered."""

import json
import multiprocessing

import pytest
import torch

import ninefold
from ninefold.errors import InvalidInput, Unsupported
from ninefold.ops import ENGINES, choices, explain, measure, select
from ninefold.ops.choices import Choices
from ninefold.ops.engine import Engine
from ninefold.spec import ConvSpec

CPU = torch.device("cpu")
X, W = torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3)
FAST, SLOW, HOPELESS = "fast", "slow", "hopeless"
SECONDS = {FAST: 0.001, SLOW: 0.01, HOPELESS: 0.5, "reference": 0.001}


class Clock:
    """A clock that only sleepers move: what is measured does not depend on how busy the machine is."""

    now = 0.0


class Sleeper(Engine[None]):
    """An engine of known speed."""

    def __init__(self, name):
        self.name = name
        self.runs = 0

    def why_not(self, spec, device, dtype):  # noqa: ARG002
        return "it only sleeps" if self.name == HOPELESS and dtype == torch.float64 else None

    def prepare(self, weight, spec):  # noqa: ARG002
        return None

    def run(self, x, prepared, bias, spec):  # noqa: ARG002
        self.runs += 1
        Clock.now += SECONDS[self.name]
        return x.new_zeros(spec.output_shape)

    def weight_gradient(self, x, grad, spec):  # noqa: ARG002
        return x.new_zeros(spec.weight_shape)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    return tmp_path / "engines.json"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(measure, "perf_counter", lambda: Clock.now)


@pytest.fixture
def sleepers(monkeypatch):
    engines = tuple(Sleeper(name) for name in (SLOW, HOPELESS, FAST, "reference"))
    monkeypatch.setattr(select, "ENGINES", engines)
    monkeypatch.setattr(select, "NAMES", tuple(engine.name for engine in engines))
    return {engine.name: engine for engine in engines}


def test_the_reference_is_last_and_takes_everything():
    names = ["winograd", "direct", "depthwise", "torch", "im2col", "fft", "reference"]
    assert [engine.name for engine in ENGINES] == names
    huge = ConvSpec.of((1, 64, 512, 512), (64, 64, 31, 31))
    reasons = explain(huge, "cpu", torch.float16)
    assert list(reasons) == [engine.name for engine in ENGINES]
    assert reasons["reference"] is None


def test_auto_measures_once_and_remembers_in_memory_and_on_disk(cache, sleepers):
    ninefold.conv2d(X, W)
    measured = {name: engine.runs for name, engine in sleepers.items()}
    assert measured == {SLOW: 1 + measure.ROUNDS, HOPELESS: 1, FAST: 2 + measure.ROUNDS, "reference": 0}
    assert list(json.loads(cache.read_text()).values()) == [FAST]
    ninefold.conv2d(X, W)
    choices._choices_in.cache_clear()  # as a new process would start
    ninefold.conv2d(X, W)
    assert {name: engine.runs for name, engine in sleepers.items()} == {**measured, FAST: measured[FAST] + 2}


@pytest.mark.usefixtures("sleepers")
def test_auto_measures_each_shape_dtype_and_direction_by_itself(cache):
    for x, weight in ((X, W), (X[..., :5], W), (X.double(), W.double())):
        leaf = weight.clone().requires_grad_()
        ninefold.conv2d(x, leaf).sum().backward()
    keys = list(json.loads(cache.read_text()))
    assert len(keys) == 6
    assert sum("weight_gradient" in key for key in keys) == 3


def test_a_single_candidate_is_not_measured(cache, monkeypatch):
    only = (Sleeper(FAST), Sleeper("reference"))
    monkeypatch.setattr(select, "ENGINES", only)
    ninefold.conv2d(X, W)
    assert [engine.runs for engine in only] == [1, 0]
    assert not cache.exists()


def test_the_rounds_of_a_measurement_are_bounded_in_time(monkeypatch):
    monkeypatch.setattr(measure, "ROUNDS_SECONDS", 0.0)
    engines = [Sleeper(SLOW), Sleeper(FAST)]
    spec = ConvSpec.of(X.shape, W.shape)
    assert measure.fastest(engines, lambda engine: engine.run(X, None, None, spec), CPU).name == FAST
    assert [engine.runs for engine in engines] == [2, 2]


@pytest.mark.usefixtures("cache")
def test_what_is_remembered_is_not_used_where_the_engine_refuses(sleepers):
    job = select.Job(ConvSpec.of(X.shape, W.shape), CPU, torch.float64, "conv")
    choices.choices().put(select._key(job, torch.get_num_threads()), HOPELESS)
    ninefold.conv2d(X.double(), W.double())
    assert sleepers[HOPELESS].runs == 0


def test_exact_takes_exact_engines_alone_and_remembers_them_apart(cache, sleepers):
    sleepers[FAST].is_exact = False
    ninefold.conv2d(X, W.clone().requires_grad_(), precision="exact").sum().backward()
    assert (sleepers[FAST].runs, sleepers[SLOW].runs > 1) == (0, True)
    ninefold.conv2d(X, W)
    found = json.loads(cache.read_text())
    assert {key: name for key, name in found.items() if "exact" in key and name == FAST} == {}
    assert FAST in found.values()


def test_exact_refuses_a_named_engine_that_is_not(sleepers):
    sleepers[FAST].is_exact = False
    with pytest.raises(
        InvalidInput, match=r"engine='fast' came with precision='exact'; use engine='auto' or one of slow"
    ):
        ninefold.conv2d(X, W, engine=FAST, precision="exact")
    assert ninefold.conv2d(X, W, engine=SLOW, precision="exact").shape == (1, 3, 4, 4)
    with pytest.raises(InvalidInput, match="use one of exact, fast"):
        ninefold.conv2d(X, W, precision="half")


@pytest.mark.usefixtures("sleepers")
def test_a_named_engine_that_cannot_says_why():
    with pytest.raises(Unsupported, match=r"^it only sleeps; engine='auto' takes another one for ConvSpec"):
        ninefold.conv2d(X.double(), W.double(), engine=HOPELESS)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"key": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_corrupt_file_counts_as_empty_and_is_replaced(tmp_path, content):
    path = tmp_path / "engines.json"
    path.write_bytes(content)
    table = Choices(path)
    assert table.get("key") is None
    table.put("key", "fft")
    assert Choices(path).get("key") == "fft"


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    table = Choices(occupied / "engines.json")
    table.put("key", "fft")
    assert table.get("key") == "fft"
    assert occupied.read_text() == "not a folder"


def test_a_write_keeps_what_others_wrote_and_leaves_nothing_beside_the_file(tmp_path):
    path = tmp_path / "deep" / "engines.json"
    first, second = Choices(path), Choices(path)
    first.put("one", "torch")
    second.put("two", "fft")
    assert json.loads(path.read_text()) == {"one": "torch", "two": "fft"}
    assert [file.name for file in path.parent.iterdir()] == ["engines.json"]


def _write_many(path, start):
    table = Choices(path)
    for number in range(start, start + 40):
        table.put(str(number), "torch")


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "engines.json"
    _write_many(path, 0)
    writers = [multiprocessing.get_context("spawn").Process(target=_write_many, args=(path, n)) for n in (100, 200)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        assert json.loads(path.read_text()).keys() >= {"0", "39"}
        reads += 1
    assert reads > 0
    assert [writer.exitcode for writer in writers] == [0, 0]
