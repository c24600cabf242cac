"""Kernels chosen by measuring: with a timer that knows beforehand, so that nothing depends on a clock."""

import json

import pytest
import torch
from torch import nn

from ninefold.compiler import captured, compiled, saved, simplified, tuning
from ninefold.compiler.choice import Rules
from ninefold.compiler.planner import planned
from ninefold.compiler.tuning import Tuner, least_seconds, packed_size
from ninefold.kernels.llvm import depthwise, direct, winograd
from ninefold.kernels.llvm.depthwise import Depthwise
from ninefold.kernels.llvm.direct import Direct, border_read
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.first import First
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.target import host
from ninefold.kernels.llvm.winograd import WinogradConv
from ninefold.spec import ConvSpec

LAYERS = {
    "first": (nn.Conv2d(3, 70, 3), (1, 3, 9, 12)),
    "wide": (nn.Conv2d(32, 40, 3, padding=1), (2, 32, 9, 10)),
    "small": (nn.Conv2d(16, 32, 3, padding=1), (1, 16, 5, 7)),
    "depthwise": (nn.Conv2d(20, 20, 3, padding=1, groups=20), (1, 20, 9, 9)),
    "pointwise": (nn.Conv2d(24, 40, 1), (3, 24, 6, 6)),
    "dense": (nn.Linear(40, 50), (2, 40)),
}


def forget():
    """Start as a new process on a machine that has measured nothing."""
    tuning._choices_in(tuning.cache_folder()).path.unlink()
    tuning._choices_in.cache_clear()


class Timer:
    """Finds one plan quicker than all others, and remembers how many there were."""

    def __init__(self, best=0, lead=0.5):
        self.best, self.lead, self.counts = best, lead, []

    def __call__(self, trial):
        self.counts.append(len(trial.plans))
        seconds = [1.0] * len(trial.plans)
        seconds[self.best % len(seconds)] -= self.lead
        return seconds


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    return tmp_path / "tuned.json"


def program(layer, shape, timer, precision="fast", seconds=60.0):
    graph = simplified(captured(nn.Sequential(layer, nn.ReLU()).eval(), [torch.zeros(shape)]))
    return planned(graph, Rules(host(), precision), 2, Tuner(host(), timer, seconds))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_candidate_computes_the_layer(layer, same):
    module, shape = LAYERS[layer]
    x, seen = torch.randn(shape), set()
    count = best = 1
    while best <= count:
        timer = Timer(best)
        made = program(module, shape, timer)
        seen.add(made.plan.lines[-1].runs)
        with torch.no_grad():
            same(made.run(x), module(x).relu(), 1e-4)
        (count,) = timer.counts
        best += 1
        forget()
    assert count > 1
    assert all(runs.endswith(", tuned") for runs in seen)
    assert len(seen) > 1


def test_the_quickest_is_taken_and_the_rule_where_the_lead_is_noise():
    module, shape = LAYERS["depthwise"]
    by_rule = planned(simplified(captured(module, [torch.zeros(shape)])), Rules(host(), "fast"), 2).plan.lines[0].runs
    (noise,) = program(module, shape, Timer(2, lead=0.01)).plan.lines
    assert noise.runs == f"{by_rule}, tuned"
    forget()
    (quicker,) = program(module, shape, Timer(2, lead=0.1)).plan.lines
    assert quicker.runs not in (by_rule, noise.runs)


def test_a_layer_is_measured_once_by_all_processes(cache):
    first, second = Timer(1), Timer(0)
    runs = program(*LAYERS["wide"], first).plan.lines[0].runs
    tuning._choices_in.cache_clear()  # as a new process would start
    assert program(*LAYERS["wide"], second).plan.lines[0].runs == runs
    assert (len(first.counts), second.counts, len(json.loads(cache.read_text()))) == (1, [], 1)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
def test_a_corrupt_memory_is_ignored_and_replaced(cache, content):
    cache.write_bytes(content)
    tuning._choices_in.cache_clear()
    timer = Timer(1)
    program(*LAYERS["wide"], timer)
    assert len(timer.counts) == len(json.loads(cache.read_text())) == 1


def test_a_remembered_kernel_that_is_no_candidate_is_measured_again(cache):
    program(*LAYERS["wide"], Timer(1))
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), "direct_of_yore")))
    tuning._choices_in.cache_clear()
    timer = Timer(1)
    program(*LAYERS["wide"], timer)
    assert len(timer.counts) == 1


def test_without_time_the_rules_choose(cache):
    timer = Timer(1)
    (line,) = program(*LAYERS["wide"], timer, seconds=-1.0).plan.lines
    assert (timer.counts, cache.exists(), line.runs.endswith("tuned")) == ([], False, False)


def test_exact_stays_with_sums_in_the_direct_order():
    for best in range(-2, 2):
        (line,) = program(*LAYERS["wide"], Timer(best), "exact").plan.lines
        assert line.runs.startswith("direct")
        forget()


def test_a_real_measurement_gives_each_plan_a_time():
    found = []

    def timer(trial):
        found.extend(least_seconds(trial))
        return found

    program(*LAYERS["small"], timer)
    assert len(found) > 1
    assert all(0 < seconds < 60 for seconds in found)


def test_compile_tunes_unless_told_not_to(monkeypatch):
    monkeypatch.setattr(saved, "Tuner", lambda target: Tuner(target, Timer(1)))
    module, shape = LAYERS["wide"]
    for tune in (True, False):
        (line,) = compiled.compile(module.eval(), torch.zeros(shape), threads=1, tune=tune).plan.lines
        assert line.runs.endswith("tuned") == tune


def _kernels():
    lanes, target = host().lanes, host()
    dense = ConvSpec.of((1, 21, 9, 9), (37, 21, 3, 3), padding=1)
    single = ConvSpec.of((1, 21, 9, 9), (21, 1, 3, 3), padding=1, groups=21)
    x, y = (Blocked(channels, 9, 9, lanes, border_read(dense)) for channels in (21, 37))
    yield from ((dense, Direct(dense, x, y, Epilogue(), tile)) for tile in direct.candidates(dense, target))
    yield from ((dense, First(dense, y, Epilogue(), tile)) for tile in direct.candidates(dense, target))
    yield from ((single, Depthwise(single, x, x, Epilogue(), s)) for s in depthwise.candidates(single, target))
    for outputs in (2, 3, 4, 6):
        cuts = winograd.candidates(dense, target, outputs)
        yield from ((dense, WinogradConv(dense, x, y, Epilogue(), cut)) for cut in cuts)


def test_the_memory_that_stands_for_weights_is_large_enough_for_every_kernel():
    for spec, kernel in _kernels():
        weight = torch.zeros(spec.weight_shape).numpy()
        assert kernel.pack(weight).size <= packed_size(kernel, spec.weight_shape, host().lanes), kernel
