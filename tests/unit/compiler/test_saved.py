"""Compiled networks in files: what comes back is what was saved, and a file that was changed does nothing."""

import json
from dataclasses import dataclass

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils._pytree import tree_flatten

import ninefold
from ninefold.compiler import plain
from ninefold.errors import InvalidInput, RunError, Unsupported
from ninefold.records import Logits

IMAGE = (1, 3, 10, 9)


@pytest.fixture
def fast(alive):
    model = alive(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.Softmax(1)))
    return ninefold.compile(model, torch.zeros(IMAGE), threads=1, tune=False)


@pytest.fixture
def path(fast, tmp_path):
    fast.save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def again(fast, path):
    fast.save(path)
    return ninefold.load(path)


def identical(got, wanted):
    got, structure = tree_flatten(got)
    wanted, wanted_structure = tree_flatten(wanted)
    assert structure == wanted_structure
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_what_is_loaded_gives_the_same_numbers_to_the_bit(written, alive, tmp_path):
    model, inputs = written
    fast = ninefold.compile(alive(model), tuple(inputs), threads=1, tune=False)
    if not fast.plan.kernels:
        with pytest.raises(Unsupported, match="nothing in it that a kernel computes"):
            fast.save(tmp_path / "net")
        return
    loaded = again(fast, tmp_path / "net")
    identical(loaded(*inputs), fast(*inputs))
    assert loaded.plan == fast.plan


def test_records_dicts_and_several_inputs_come_back(examples, tmp_path):
    x = torch.randn(1, 3, 32, 32)
    fast = ninefold.compile(ninefold.create("resnet20", classes=10).eval(), x, threads=1, tune=False)
    loaded = again(fast, tmp_path / "net")
    assert isinstance(loaded(x), Logits)
    identical(loaded(x), fast(x))
    inputs = torch.randn(1, 3, 6, 6), {"y": torch.randn(1, 2, 4, 4)}
    fast = ninefold.compile(examples.SeveralInputs().eval(), inputs, threads=1, tune=False)
    identical(again(fast, tmp_path / "net")(*inputs), fast(*inputs))


def test_all_shapes_seen_are_saved_and_equal_weights_once(fast, tmp_path):
    size = [fast.save(tmp_path / "net"), (tmp_path / "net").stat().st_size][1]
    wide = torch.randn(2, 3, 12, 12)
    fast(wide)
    loaded = again(fast, tmp_path / "net")
    for x in (wide, torch.randn(IMAGE)):
        identical(loaded(x), fast(x))
    with safe_open(tmp_path / "net", "pt") as file:
        assert len(list(file.keys())) == 2  # the weight and the bias
    assert (tmp_path / "net").stat().st_size < 2 * size


def test_a_measured_choice_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    x = torch.randn(1, 32, 16, 16)
    fast = ninefold.compile(nn.Conv2d(32, 32, 3).eval(), x, threads=1, tune=True)
    loaded = again(fast, tmp_path / "net")
    assert loaded.plan == fast.plan
    identical(loaded(x), fast(x))


def test_weights_are_saved_as_they_are_now(fast, tmp_path):
    with torch.no_grad():
        fast.model[0].weight.mul_(2)
    x = torch.randn(IMAGE)
    identical(again(fast, tmp_path / "net")(x), fast(x))


@pytest.mark.parametrize("inputs", [(torch.zeros(1, 3, 9, 9),), (torch.zeros(IMAGE).double(),), (), (3,)])
def test_inputs_of_another_kind_are_refused_with_what_was_saved(path, inputs):
    with pytest.raises(InvalidInput, match=r"came, and net.safetensors was saved for \(1, 3, 10, 9\) of torch.float32"):
        ninefold.load(path)(*inputs)


def test_gradients_are_refused_and_autocast_changes_nothing(fast, path):
    loaded, x = ninefold.load(path), torch.randn(IMAGE)
    with pytest.raises(Unsupported, match="needs gradients"):
        loaded(x.clone().requires_grad_())
    with torch.autocast("cpu", torch.bfloat16):
        got = loaded(x)
    identical(got, fast(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)).train(), "it is in training mode"),
        (nn.Softmax(1).eval(), "nothing in it that a kernel computes"),
    ],
)
def test_where_the_model_itself_runs_there_is_nothing_to_save(model, message, tmp_path):
    with pytest.raises(Unsupported, match=message):
        ninefold.compile(model, torch.zeros(IMAGE)).save(tmp_path / "net")


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (torch.ops.aten.relu_.default, "it changes what it reads"),
        (torch.ops.aten.from_file.default, "it opens files"),
        (torch.ops.aten._foreach_add.List, "it is internal to torch"),
        (torch.ops.prims.sin.default, "it is none of torch's own"),
    ],
)
def test_operators_that_no_file_may_hold_are_refused_both_ways(operator, message):
    with pytest.raises(Unsupported, match=message):
        plain.encoded(operator)
    if "none" not in message:
        with pytest.raises(ValueError, match=message):
            plain.decoded({"aten": str(operator).removeprefix("aten.")})


@torch.library.custom_op("ninefold_tests::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


doubled.register_fake(torch.empty_like)


class Foreign(nn.Conv2d):
    def forward(self, x):
        return doubled(super().forward(x))


def test_a_node_that_cannot_be_saved_is_named_and_no_file_is_left(tmp_path):
    fast = ninefold.compile(Foreign(3, 4, 1).eval(), torch.zeros(IMAGE), threads=1, tune=False)
    assert fast.plan.kernels
    with pytest.raises(Unsupported, match=r"the node doubled stands in the way .* none of torch's own"):
        fast.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


class Answer(tuple):
    __slots__ = ()


def test_things_that_no_file_may_hold_are_refused():
    with pytest.raises(Unsupported, match=r"cannot be saved, being of .*object"):
        plain.encoded([object()])
    with pytest.raises(Unsupported, match=r"cannot be saved, being of .*Answer"):
        plain.encoded(Answer((1,)))


def test_a_missing_folder_and_a_missing_file_are_named(fast, tmp_path):
    with pytest.raises(InvalidInput, match="nowhere is no folder"):
        fast.save(tmp_path / "nowhere" / "net")
    with pytest.raises(RunError, match="net is not there"):
        ninefold.load(tmp_path / "net")


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_file_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RunError, match="cannot be read as safetensors"):
        ninefold.load(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "net")
    with pytest.raises(RunError, match="holds no compiled network"):
        ninefold.load(tmp_path / "net")


@dataclass
class Held:
    """What a file holds, to be changed."""

    content: dict
    tensors: dict

    @property
    def graph(self):
        return self.content["graphs"][0]

    @property
    def conv(self):
        return self.graph["nodes"][0][0]["Conv"]

    @property
    def reads(self):
        return self.graph["nodes"][0][1]

    def compute(self, operation):
        self.graph["nodes"][0][0] = operation

    def call(self, operator):
        self.graph["nodes"][1][0]["Torch"]["target"] = {"aten": operator}

    def alter(self, change):
        self.tensors = {name: change(tensor) for name, tensor in self.tensors.items()}


def change(path, how):
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        held = Held(json.loads(file.metadata()["ninefold"]), tensors)
    how(held)
    save_file(held.tensors, path, {"ninefold": json.dumps(held.content)})


CHANGES = {
    "an unknown operation": lambda held: held.compute({"Popen": {"args": "true"}}),
    "no operation": lambda held: held.compute(3),
    "an unknown operator": lambda held: held.call("nothing.default"),
    "an attribute for an operator": lambda held: held.call("__class__.__name__"),
    "an operator in place": lambda held: held.call("relu_.default"),
    "an operator on files": lambda held: held.call("from_file.default"),
    "another size": lambda held: held.conv["spec"]["ConvSpec"].update(in_size={"tuple": [100, 90]}),
    "other channels": lambda held: held.conv["spec"]["ConvSpec"].update(out_channels=800),
    "a bias not read": lambda held: held.conv.update(bias=False),
    "a residual of another shape": lambda held: (held.conv.update(residual=True), held.reads.append(held.reads[2])),
    "an unknown activation": lambda held: held.conv.update(activation={"Activation": {"kind": "boom"}}),
    "an unknown field": lambda held: held.conv.update(more=1),
    "an unknown input": lambda held: held.reads.insert(0, "x9"),
    "a value given twice": lambda held: held.graph["nodes"].append(held.graph["nodes"][0]),
    "an unknown output": lambda held: held.graph["outputs"]["Leaf"].update(name="x9"),
    "no input": lambda held: held.graph.update(inputs={"tuple": []}),
    "a constant without a tensor": lambda held: held.graph["constants"].update(more="nowhere"),
    "smaller tensors": lambda held: held.alter(lambda tensor: tensor[:1].clone()),
    "tensors of another dtype": lambda held: held.alter(torch.Tensor.double),
    "no nodes": lambda held: held.graph.pop("nodes"),
    "no graphs": lambda held: held.content["graphs"].clear(),
    "another precision": lambda held: held.content["settings"].update(precision="half"),
    "no threads": lambda held: held.content["settings"].update(threads=0),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_file_that_was_changed_is_refused_in_one_sentence(path, how, capfd):
    change(path, CHANGES[how])
    with pytest.raises(RunError, match=r"net.safetensors holds no network that can be used \(.*save the compiled"):
        ninefold.load(path)
    assert capfd.readouterr().err == ""


def test_another_format_is_named(path):
    change(path, lambda held: held.content.update(format=99))
    with pytest.raises(RunError, match="has the format 99"):
        ninefold.load(path)
