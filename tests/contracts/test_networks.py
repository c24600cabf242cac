"""Every network of the zoo keeps what its card says."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ninefold import networks, tasks
from ninefold.errors import InvalidInput, UnknownName
from ninefold.nn import Classifier
from ninefold.nn.summary import summarize
from ninefold.records import Batch, Logits

CARDS = networks.cards()
# Large published inputs are tested at a size that two cores can run; every other card at its own.
TEST_SIZE = {"parallel_conv": (3, 32, 32)}


def build(card, **changes):
    torch.manual_seed(0)
    return networks.create(card.name, **changes)


def pictures(card, count=2, size=None):
    channels, height, width = TEST_SIZE.get(card.name, card.input)
    torch.manual_seed(1)
    return torch.randn(count, channels, *(size or (height, width)))


@pytest.fixture(params=CARDS, ids=lambda card: card.name)
def card(request):
    return request.param


def test_parameters_and_macs_equal_the_card(card):
    total = summarize(build(card), card.input)
    assert (total.parameters, total.macs) == (card.parameters, card.macs)


def test_gives_one_record_of_the_declared_shape_in_training_and_evaluation(card):
    model = build(card, classes=7)
    for mode in (model.train(), model.eval()):
        outputs = mode(pictures(card))
        assert isinstance(outputs, Logits)
        assert outputs.scores.shape == (2, 7)


def test_takes_other_channels(card):
    channels = card.input[0] + 1
    images = torch.randn(1, channels, *pictures(card).shape[2:])
    assert build(card, in_channels=channels).eval()(images).scores.shape == (1, card.classes)


def test_an_odd_size_works_or_the_card_says_that_only_one_does(card):
    model = build(card).eval()
    odd = (card.input[1] + 1, card.input[2] + 5) if card.fixed_size else (card.smallest + 13, card.smallest + 8)
    if card.fixed_size:
        with pytest.raises((RuntimeError, InvalidInput)):
            model(pictures(card, size=odd))
    else:
        assert model(pictures(card, size=odd)).scores.shape == (2, card.classes)
        assert model(pictures(card, size=(card.smallest, card.smallest))).scores.isfinite().all()


def test_every_parameter_gets_a_gradient(card):
    model = build(card)
    outputs = model(pictures(card, 4))
    tasks.get(card.task).loss(outputs, torch.arange(4) % card.classes).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_two_steps_on_a_batch_lower_the_loss(card):
    model, task = build(card), tasks.get(card.task)
    batch = Batch(pictures(card, 8), torch.arange(8) % card.classes, ("",) * 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        loss = task.loss(model(batch.images), task.targets(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]


def test_backbone_features_have_the_declared_channels_and_strides(card):
    model = build(card).eval()
    if not isinstance(model, Classifier):
        pytest.skip(f"{card.name} is one piece, as in its paper: it declares no backbone")
    images = pictures(card, size=(32, 48))
    maps = model.backbone(images)
    assert tuple(m.shape[1] for m in maps) == model.backbone.channels
    assert tuple(images.shape[2] // m.shape[2] for m in maps) == model.backbone.strides
    assert tuple(images.shape[3] // m.shape[3] for m in maps) == model.backbone.strides


def test_saved_weights_give_the_same_scores(card, tmp_path):
    model = build(card).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = networks.create(card.name).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    images = pictures(card)
    torch.testing.assert_close(other(images).scores, model(images).scores, rtol=0, atol=0)


def test_exports_as_one_graph(card):
    model, images = build(card).eval(), pictures(card)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images).scores, model(images).scores)


def test_card_is_whole(card):
    assert card.name
    assert card.paper
    assert card.link.startswith("https://")
    assert card.task in tasks.TASKS
    assert 1900 < card.year < 2100


def test_the_paper_part_of_lenet5_has_the_parameters_of_the_paper():
    model = networks.create("lenet5")
    layers = (model.c1, model.s2, model.c3, model.s4, model.c5, model.f6)
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [156, 12, 1516, 32, 48120, 10164]


def test_a_block_of_resnet20_with_silent_convolutions_is_its_shortcut():
    block = networks.create("resnet20").eval().backbone.stage2[0]
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 16, 5, 5)
    y = block(x)
    torch.testing.assert_close(y[:, :16], x[:, :, ::2, ::2])
    assert not y[:, 16:].any()


def test_unknown_names_quote_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'resnet20'"):
        networks.create("resnet-20")
    with pytest.raises(UnknownName, match="family of networks"):
        networks.cards("clasic")


def test_no_classes_are_refused():
    with pytest.raises(InvalidInput, match="classes=0"):
        networks.create("lenet5", classes=0)


def test_two_networks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two networks"):
        networks.zoo.network(networks.card("lenet5"))(lambda *_: nn.Identity())
