"""Every network of the zoo that reads pictures keeps what its card says.

What shapes alone can tell is asked of every variant, on the meta device. What needs numbers is asked of one variant per
file, the one with the least work, on pictures of the digits.
"""

import pkgutil
from functools import cache
from importlib import import_module
from math import log2

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from golden.least import BY_FILE, CARDS, LEAST, module, size
from ninefold import data, networks, tasks
from ninefold.errors import InvalidInput, UnknownName
from ninefold.networks import zoo
from ninefold.nn import AuxiliaryClassifier, Classifier
from ninefold.nn.summary import summarize
from ninefold.records import Logits
from ninefold.training.export import INPUT_NAME, OUTPUT_NAME, export_onnx

CANCELLED = ("attention.mask.bias",)  # a softmax follows, which the same summand everywhere does not change

every_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
least_card = pytest.mark.parametrize("card", LEAST, ids=lambda card: card.name)


def build(card, **changes):
    torch.manual_seed(0)
    return networks.create(card.name, **changes)


def bare(card, **changes):
    with torch.device("meta"):
        return networks.create(card.name, **changes)


@cache
def digits(count, channels, size):
    source = data.open_source("digits")
    samples = [source.split("train")[i] for i in range(count)]
    batch = data.Pipeline(size, 1, source.mean, source.std)(samples)
    return batch._replace(images=batch.images.repeat(1, channels, 1, 1))


def pictures(card, count=2):
    return digits(count, card.input[0], size(card)).images


@every_card
def test_parameters_and_macs_equal_the_card(card):
    total = summarize(bare(card), card.input)
    assert (total.parameters, total.macs) == (card.parameters, card.macs)


@every_card
def test_gives_one_record_for_other_classes_and_channels_in_training_and_evaluation(card):
    model, channels = bare(card, classes=7, in_channels=card.input[0] + 1), card.input[0] + 1
    images = torch.empty(2, channels, *card.input[1:], device="meta")
    for mode in (model.train(), model.eval()):
        outputs = mode(images)
        assert isinstance(outputs, Logits)
        assert {scores.shape for scores in (outputs.scores, *outputs.auxiliary)} == {(2, 7)}
        assert bool(outputs.auxiliary) == (isinstance(model, AuxiliaryClassifier) and mode.training)


@every_card
def test_an_odd_size_works_or_is_refused(card):
    model = bare(card)
    odd = torch.empty(2, card.input[0], card.input[1] + 13, card.input[2] + 8, device="meta")
    if card.fixed_size:
        with pytest.raises(InvalidInput, match=f"{card.input[1]}x{card.input[2]} only"):
            model(odd)
    else:
        assert model.train()(odd).scores.shape == model.eval()(odd).scores.shape == (2, card.classes)


@every_card
def test_the_smallest_size_works_and_no_smaller_one(card):
    if card.fixed_size:
        pytest.skip(f"{card.name} takes one size only")
    model, smaller = bare(card), torch.empty(2, card.input[0], card.smallest - 1, card.smallest - 1, device="meta")
    smallest = torch.empty(2, card.input[0], card.smallest, card.smallest, device="meta")
    assert model.train()(smallest).scores.shape == model.eval()(smallest).scores.shape == (2, card.classes)
    if card.smallest > 1:
        with pytest.raises(InvalidInput, match=f"at least {card.smallest}x{card.smallest}"):
            model(smaller)
        with torch.device("meta"):
            unguarded = zoo.entry(card.name).build(card.classes, card.input[0])
        assert not _runs(unguarded, smaller)


def _runs(model, images):
    try:
        model.train()(images)
        model.eval()(images)
    except (RuntimeError, ValueError):
        return False
    return True


@every_card
def test_backbone_features_have_the_declared_channels_and_strides(card):
    model = bare(card).eval()
    if not isinstance(model, Classifier | AuxiliaryClassifier):
        pytest.skip(f"{card.name} is one piece, as in its paper: it declares no backbone")
    # Layers without padding lose rows at the edges, few of those of a large picture.
    height, width = card.input[1:] if card.fixed_size else (512, 512)
    maps = model.backbone(torch.empty(1, card.input[0], height, width, device="meta"))
    assert tuple(m.shape[1] for m in maps) == tuple(model.backbone.channels)
    for axis, length in ((2, height), (3, width)):
        strides = [2 ** round(log2(length / m.shape[axis])) for m in maps]
        assert tuple(strides) == tuple(model.backbone.strides)
    assert list(strides) == sorted(set(strides))


@least_card
def test_every_parameter_gets_a_gradient(card):
    model = build(card, classes=4)
    for parameter in model.parameters():
        if not parameter.any():  # a gate that starts at zero shuts out what lies behind it
            nn.init.normal_(parameter, std=0.1)
    outputs = model(pictures(card, 4))
    tasks.get(card.task).loss(outputs, torch.arange(4)).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in silent if not name.endswith(CANCELLED)]


@least_card
def test_two_steps_on_a_batch_of_digits_lower_the_loss(card):
    model, task, batch = build(card, classes=10), tasks.get(card.task), digits(8, card.input[0], size(card))
    weights, losses = list(model.parameters()), []
    for _ in range(3):
        torch.manual_seed(0)  # the same units drop out each time
        loss = task.loss(model(batch.images), task.targets(batch))
        gradients = torch.autograd.grad(loss, weights)
        # Down the gradient, as far as would lower a linear loss by 2 %.
        rate = 0.02 * loss.item() / sum(gradient.square().sum().item() for gradient in gradients)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(gradient, alpha=rate)
        losses.append(loss.item())
    assert losses[2] < losses[0]


@least_card
def test_saved_weights_give_the_same_scores(card, tmp_path):
    model, images = build(card, classes=5).eval(), pictures(card)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = networks.create(card.name, classes=5, checkpoint=tmp_path / "weights.safetensors").eval()
    assert load_file(tmp_path / "weights.safetensors").keys() == other.state_dict().keys()
    torch.testing.assert_close(other(images).scores, model(images).scores, rtol=0, atol=0)


@least_card
def test_exported_to_onnx_it_gives_the_same_scores_for_any_number_of_pictures(card, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model, images = build(card, classes=10).eval(), pictures(card, 3)
    export_onnx(model, tmp_path / "model.onnx", images[:1])
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    with torch.no_grad():
        scores = model(images).scores
    (theirs,) = session.run([OUTPUT_NAME], {INPUT_NAME: images.numpy()})
    assert (torch.from_numpy(theirs) - scores).abs().max() <= 1e-4 * scores.abs().max()


@every_card
def test_card_is_whole(card):
    assert card.paper
    assert card.link.startswith("https://")
    assert card.task in tasks.TASKS
    assert 1900 < card.year < 2100
    assert module(card).startswith(f"ninefold.networks.{card.family}.")
    assert (card.top1 is None) or card.published
    assert all(text.endswith(".") for text in card.differences)


@pytest.mark.parametrize("family", sorted({card.family for card in CARDS}))
def test_every_file_of_a_family_has_its_networks(family):
    folder = import_module(f"ninefold.networks.{family}")
    files = {f"{folder.__name__}.{found.name}" for found in pkgutil.iter_modules(folder.__path__)}
    assert files <= BY_FILE.keys()


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
