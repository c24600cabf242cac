"""From torch to a graph: the same numbers, the same structure, and a sentence for what cannot be captured."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ninefold
from ninefold.compiler import captured, run
from ninefold.compiler.operations import Torch
from ninefold.errors import InvalidInput, Unsupported
from ninefold.records import Logits


def operations(graph):
    return [str(node.operation) for node in graph.nodes]


def test_a_network_of_the_zoo_gives_its_record(simple):
    x = torch.randn(2, 3, 32, 32)
    graph = simple(ninefold.create("resnet20", classes=7), x)
    assert isinstance(run(graph, x), Logits)
    assert not any(word in str(graph) for word in ("batchnorm", "torch "))


def test_a_network_written_by_hand_gives_the_same_numbers(written, simple):
    model, inputs = written
    simple(model, *inputs)


def test_inputs_and_outputs_keep_their_structure(examples, simple):
    x, y = torch.randn(1, 3, 6, 6), torch.randn(1, 2, 4, 4)
    graph = simple(examples.SeveralInputs(), x, {"y": y})
    assert operations(graph)[:2] == ["conv 1x1", "conv 3x3 + residual"]
    assert run(graph, x, {"y": y})["rest"][1] is None


def test_parameters_go_by_their_names_and_are_not_copied():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    graph = captured(model, [torch.zeros(1, 1, 4, 4)])
    assert graph.constants["0.weight"].data_ptr() == model[0].weight.data_ptr()
    assert "0.weight" in str(graph)


def test_what_is_not_known_stays_in_torch():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).abs()

    x = torch.randn(2, 8)
    graph = captured(Odd().eval(), [x])
    assert all(isinstance(node.operation, Torch) for node in graph.nodes)
    torch.testing.assert_close(run(graph, x), torch.fft.rfft(x).abs())


def test_a_returned_input_is_the_same_tensor_and_a_returned_copy_is_not():
    class Copies(nn.Module):
        def forward(self, x):
            return x, x.clone(), F.dropout(x, training=self.training)

    x = torch.randn(3)
    graph = captured(Copies().eval(), [x])
    first, second, _ = run(graph, x)
    assert first is x
    assert second is not x


class Depends(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # depends on the numbers
            return x
        return -x


def test_a_choice_that_depends_on_numbers_is_refused_with_its_line(capfd):
    with pytest.raises(Unsupported, match=r"test_capture.py:\d+ \(if x.sum\(\) > 0") as caught:
        captured(Depends().eval(), [torch.randn(3)])
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_model_that_fails_by_itself_says_where():
    with pytest.raises(Unsupported, match="Sequential cannot be captured"):
        captured(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), [torch.randn(1, 2, 8, 8)])


def test_a_model_that_changes_its_input_is_refused():
    with pytest.raises(Unsupported, match="'input' in place"):
        captured(nn.ReLU(inplace=True).eval(), [torch.randn(3)])


def test_training_mode_is_refused():
    with pytest.raises(InvalidInput, match="training mode"):
        captured(nn.ReLU(), [torch.randn(3)])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            [torch.zeros(1, 1, 5, 4)],
            r"input is \(1, 1, 5, 4\) of torch.float32, and the graph was captured for \(1, 1, 4, 4\)",
        ),
        ([torch.zeros(1, 1, 4, 4).double()], "of torch.float64"),
        ([3], "input is 3"),
        ([torch.zeros(1), torch.zeros(1)], "2 inputs came and the graph takes 1"),
    ],
)
def test_other_inputs_than_captured_are_refused(inputs, message):
    graph = captured(nn.ReLU().eval(), [torch.zeros(1, 1, 4, 4)])
    with pytest.raises(InvalidInput, match=message):
        run(graph, *inputs)
