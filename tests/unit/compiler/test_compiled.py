"""`ninefold.compile`: what a user meets."""

import os
import re
import sys
import threading

import pytest
import torch
from torch import nn

import ninefold
from ninefold import sparse
from ninefold.errors import InvalidInput
from ninefold.records import Logits

IMAGE = (1, 3, 10, 9)


@pytest.fixture
def small(alive):
    return alive(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))


def test_a_compiled_network_gives_the_record_that_the_network_gives(same):
    model = ninefold.create("resnet20", classes=10).eval()
    fast = ninefold.compile(model, torch.zeros(1, 3, 32, 32), threads=1)
    x = torch.randn(1, 3, 32, 32)
    result = fast(x)
    assert isinstance(result, Logits)
    with torch.no_grad():
        same(result, model(x), 1e-4)


def test_the_plan_says_what_runs_where(small):
    fast = ninefold.compile(nn.Sequential(*small, nn.Softmax(1)).eval(), torch.zeros(IMAGE), threads=2)
    table = fast.plan.table()
    assert "conv 3x3, relu" in table
    assert "torch: no operation of the graph computes it" in table
    assert "2 kernel calls on 2 threads" in table


def test_a_new_size_is_planned_when_it_comes_and_only_some_are_kept(small, same):
    fast = ninefold.compile(small, threads=1)
    assert "not called yet" in fast.plan.table()
    for n in (1, 2, 1, *range(3, 12)):
        x = torch.randn(n, 3, 5, 4 + n)
        same(fast(x), small(x).detach(), 1e-5)
    assert len(fast._programs) == 8


def test_weights_changed_in_place_are_noticed(small, same):
    fast, x = ninefold.compile(small, torch.zeros(IMAGE), threads=1), torch.randn(IMAGE)
    fast(x)
    with torch.no_grad():
        small[0].weight.mul_(2)
    same(fast(x), small(x).detach(), 1e-5)
    small.load_state_dict({k: v + 1 if v.is_floating_point() else v for k, v in small.state_dict().items()})
    same(fast(x), small(x).detach(), 1e-5)
    small[0].bias = nn.Parameter(torch.randn(8))
    same(fast(x), small(x).detach(), 1e-5)


def test_a_model_moved_is_noticed(small):
    fast = ninefold.compile(small, torch.zeros(IMAGE), threads=1)
    small.to("meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        fast(torch.zeros(IMAGE))
    assert fast.plan.reason == "a parameter is not on the CPU"


def test_weights_changed_behind_torchs_back_need_a_refresh(small, same):
    fast, x = ninefold.compile(small, torch.zeros(IMAGE), threads=1), torch.randn(IMAGE)
    small[0].weight.data.numpy()[:] = 1.0
    fast.refresh()
    same(fast(x), small(x).detach(), 1e-5)


def test_training_mode_runs_the_model_itself(small):
    fast = ninefold.compile(small, torch.zeros(IMAGE)).train()
    assert small.training
    result = fast(torch.randn(IMAGE))
    assert result.requires_grad
    assert "training mode" in fast.plan.table()
    assert not fast.eval()(torch.randn(IMAGE)).requires_grad
    assert fast.plan.kernels


def test_an_input_that_needs_gradients_runs_the_model_itself(small):
    fast, x = ninefold.compile(small, threads=1), torch.randn(IMAGE, requires_grad=True)
    fast(x).sum().backward()
    assert x.grad is not None
    assert "needs gradients" in fast.plan.reason
    with torch.no_grad():
        fast(x)
    assert fast.plan.kernels


class Depends(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "x", "reason"),
    [
        (Depends(), torch.ones(2), r"test_compiled.py:\d+ \(return x if x.sum"),
        (nn.Softmax(0), torch.ones(2), "nothing in it that a kernel computes"),
        (nn.Conv2d(3, 4, 3).double(), torch.ones(IMAGE).double(), "nothing in it"),
        (nn.ReLU(), torch.tensor(1.0), "no tensor of numbers with a batch axis"),
        (nn.ReLU(), torch.zeros(0, 3), "no tensor of numbers with a batch axis"),
    ],
)
def test_what_cannot_be_captured_runs_as_it_is_and_the_plan_says_why(model, x, reason):
    fast = ninefold.compile(model.eval(), x)
    assert torch.equal(fast(x), model(x))
    assert re.search(reason, fast.plan.table())


def test_a_sparse_tensor_goes_to_the_model_itself():
    model, x = sparse.SubMConv(1, 2), sparse.SparseTensor.from_dense(torch.ones(1, 1, 2, 2, 2))
    fast = ninefold.compile(model.eval(), x)
    assert torch.equal(fast(x).features, model(x).features)
    assert "its input is a SparseTensor" in fast.plan.table()


def test_inference_mode_is_as_good_as_no_gradients(small, same):
    with torch.inference_mode():
        fast = ninefold.compile(small, torch.zeros(IMAGE), threads=1)
        x = torch.randn(IMAGE)
        same(fast(x), small(x), 1e-5)
        assert fast.plan.kernels
    x = torch.randn(IMAGE)
    same(fast(x), small(x).detach(), 1e-5)


def test_autocast_runs_the_model_itself(small):
    fast = ninefold.compile(small, threads=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert fast(torch.randn(IMAGE)).dtype is torch.bfloat16
    assert "autocast" in fast.plan.reason


def test_a_wrong_input_fails_as_the_model_fails(small):
    fast = ninefold.compile(small, torch.zeros(IMAGE), threads=1)
    with pytest.raises(RuntimeError, match="channels"):
        fast(torch.zeros(1, 4, 10, 9))
    assert "Sequential cannot be captured" in fast.plan.reason


def test_inputs_of_any_memory_order_are_read_right(small, same):
    fast = ninefold.compile(small, threads=1)
    x = torch.randn(2, 3, 9, 10)
    shifted = torch.randn(2 * 3 * 9 * 10 + 1)[1:].view(x.shape)  # from an address that kernels do not read at
    for odd in (x.to(memory_format=torch.channels_last), x.transpose(2, 3), x[:, :, ::2], shifted, shifted[1:]):
        same(fast(odd), small(odd).detach(), 1e-5)


def test_an_input_is_read_where_it_lies_and_forgotten(small, same):
    fast = ninefold.compile(small, threads=1)
    for _ in range(3):
        x = torch.randn(IMAGE)
        before = x.clone()
        same(fast(x), small(before).detach(), 1e-5)
        assert torch.equal(x, before)
        del x


def test_a_parameter_put_in_the_place_of_another_is_noticed_wherever_it_stands(small, same):
    fast, x = ninefold.compile(small, torch.zeros(IMAGE), threads=1), torch.randn(IMAGE)
    small[1].register_buffer("running_mean", torch.randn(8))
    same(fast(x), small(x).detach(), 1e-5)
    small[0]._parameters["bias"] = nn.Parameter(torch.randn(8))
    same(fast(x), small(x).detach(), 1e-5)
    small[0].bias = None
    same(fast(x), small(x).detach(), 1e-5)


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x) + torch.rand(1, 4, 10, 9)


def test_random_numbers_are_new_in_every_call():
    fast, x = ninefold.compile(Noise().eval(), threads=1), torch.randn(IMAGE)
    assert not torch.equal(fast(x), fast(x))
    assert fast.plan.kernels


def test_nan_in_gives_nan_out(small):
    x = torch.zeros(IMAGE)
    x[0, 0, 4, 4] = torch.nan
    assert torch.equal(ninefold.compile(small, threads=1)(x).isnan(), small(x).isnan())


def test_many_threads_may_call_one_compiled_model(small):
    fast = ninefold.compile(small, torch.zeros(IMAGE), threads=2)
    inputs = [torch.randn(IMAGE) for _ in range(4)]
    wanted, wrong = [fast(x) for x in inputs], []

    def call(x, y):
        wrong.extend(1 for _ in range(50) if not torch.equal(fast(x), y))

    callers = [threading.Thread(target=call, args=pair) for pair in zip(inputs, wanted, strict=True)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_runs_what_its_parent_compiled_and_held(small):
    fast, x = ninefold.compile(small, torch.zeros(IMAGE), threads=1), torch.randn(IMAGE)
    wanted = fast(x)
    (program,) = fast._programs.values()
    with program._lock.own, fast._lock.own:
        child = os.fork()
        if not child:
            os._exit(0 if torch.equal(fast(x), wanted) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_several_inputs_and_dicts_are_taken(examples, same):
    model = examples.SeveralInputs().eval()
    x, extra = torch.randn(1, 3, 6, 6), {"y": torch.randn(1, 2, 4, 4)}
    fast = ninefold.compile(model, (x, extra), threads=1)
    with torch.no_grad():
        same(fast(x, extra), model(x, extra), 1e-5)
    assert fast.plan.kernels


@pytest.mark.parametrize(
    ("options", "message"), [({"threads": 0}, "threads=0"), ({"precision": "half"}, "use one of exact, fast")]
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ninefold.compile(nn.ReLU(), **options)
