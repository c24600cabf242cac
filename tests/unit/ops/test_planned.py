"""The engines on generated kernels: groups of pictures, threads, memory to work in, error bounds."""

import subprocess
import sys
import threading

import pytest
import torch

from ninefold.ops import ENGINES, select
from ninefold.ops.engines import Depthwise, Direct, Winograd, maps
from ninefold.ops.engines.form import Form
from ninefold.reference.conv import run
from ninefold.spec import ConvSpec

CPU = torch.device("cpu")
SPECS = {
    "winograd": ConvSpec.of((5, 20, 13, 11), (18, 20, 3, 3), padding=1),
    "direct": ConvSpec.of((5, 20, 13, 11), (18, 20, 2, 3), padding=1, stride=(1, 2)),
    "depthwise": ConvSpec.of((5, 20, 13, 11), (20, 1, 3, 3), padding=1, groups=20),
}
TRANSPOSED = SPECS["direct"].input_gradient()


def tensors(spec):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator) for shape in (spec.input_shape, spec.weight_shape, spec.output_shape)
    ]


def computed(name, spec):
    engine = next(engine for engine in ENGINES if engine.name == name)
    x, weight, grad = tensors(spec)
    y = engine.run(x, engine.prepare(weight, spec), None, spec)
    return y, None if spec.transposed else engine.weight_gradient(x, grad, spec)


@pytest.fixture
def threads():
    """Let a test change the number of threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "spec"), [*SPECS.items(), ("direct", TRANSPOSED)])
def test_results_are_the_same_bits_for_any_number_of_threads_and_size_of_groups(monkeypatch, threads, name, spec):
    threads(1)
    wanted = computed(name, spec)
    monkeypatch.setattr(maps, "_MACS_PER_THREAD", 1)  # so that all of them are used
    for group in (1, 3 * 2**14, 2**20):
        monkeypatch.setattr(maps, "_GROUP", group)
        for count in (1, 2, 4):
            threads(count)
            for ours, theirs in zip(computed(name, spec), wanted, strict=True):
                assert (ours is None and theirs is None) or torch.equal(ours, theirs)


def test_many_python_threads_may_compute_at_once(threads):
    threads(2)
    wanted = {name: computed(name, spec)[0] for name, spec in SPECS.items()}
    wrong = []

    def compute():
        for name, spec in list(SPECS.items()) * 20:
            if not torch.equal(computed(name, spec)[0], wanted[name]):
                wrong.append(name)

    callers = [threading.Thread(target=compute) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_memory_to_work_in_is_kept_for_the_next_call_unless_it_is_large(monkeypatch):
    small = maps.working_memory(1000)
    assert maps.working_memory(10).ctypes.data == small.ctypes.data
    monkeypatch.setattr(maps, "_KEPT", 2000)
    assert maps.working_memory(2001).ctypes.data != small.ctypes.data
    assert maps.working_memory(1000).ctypes.data == small.ctypes.data


@pytest.mark.parametrize(("outputs", "bound"), [(2, 2e-7), (3, 4e-7), (4, 8e-7), (6, 5e-6)])
@pytest.mark.parametrize("channels", [1, 16, 100])
def test_winograd_keeps_to_the_bounds_of_the_page(outputs, bound, channels):
    spec = ConvSpec.of((1, channels, 14, 14), (channels, channels, 3, 3), padding=1)
    x, weight, _ = tensors(spec)
    engine = Winograd(outputs)
    y = engine.run(x, engine.prepare(weight, spec), None, spec).double().numpy()
    arrays = x.double().numpy(), weight.double().numpy()
    error = abs(y - run(*arrays, None, spec)).max() / run(*map(abs, arrays), None, spec).max()
    assert error <= bound


def test_a_weight_of_a_transposed_convolution_is_exchanged_and_flipped():
    spec = ConvSpec.of((1, 4, 3, 3), (4, 3, 2, 2), groups=2, transposed=True)
    weight = torch.arange(48.0).view(4, 3, 2, 2)
    dense = Form.of(spec).weight(weight, spec)
    assert dense.shape == (6, 2, 2, 2)
    assert dense[4, 1, 0, 1] == weight[3, 1, 1, 0]


@pytest.mark.parametrize("engine", [Direct(), Winograd(), Depthwise()], ids=lambda engine: engine.name)
def test_auto_does_not_try_it_on_small_work(monkeypatch, tmp_path, engine):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    tried = []
    monkeypatch.setattr(type(engine), "warm_up", lambda self, *_: tried.append(self.name))
    for batch, expected in ((1, []), (100, [engine.name])):
        shape = (batch, *SPECS[engine.name].input_shape[1:])
        spec = ConvSpec.of(shape, SPECS[engine.name].weight_shape, padding=1, groups=SPECS[engine.name].groups)
        select.choose("auto", select.Job(spec, CPU, torch.float32, "conv"), lambda _: torch.empty(1))
        assert tried == expected


def test_importing_the_engines_starts_no_thread():
    code = "import ninefold.ops, threading; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
