"""Every network of the zoo that reads points keeps what its card says."""

import pkgutil

import pytest
import torch
from safetensors.torch import save_file

from ninefold import networks, tasks
from ninefold.errors import InvalidInput
from ninefold.networks import sparse3d, zoo
from ninefold.nn import sparse_macs, sphere
from ninefold.records import Logits, PointTruth
from ninefold.sparse import SparseTensor
from ninefold.training.weights import ModelCard

CARDS = [card for card in networks.cards() if card.reads == "points"]
every_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
# One of each file: what needs numbers is asked of these.
LEAST = pytest.mark.parametrize("card", [networks.card("minkunet14"), networks.card("spunet")], ids=lambda c: c.name)
BACKBONES = {"voxel_backbone"}  # files that hold no network of their own


def build(card, **changes):
    torch.manual_seed(0)
    return networks.create(card.name, **changes)


def scene(channels, batch=2, cells=24):
    """Points on two planes and a ball, in several scans."""
    draw = torch.Generator().manual_seed(0)
    ball = sphere(1, cells).coords[:, 1:]
    coords = torch.cat([torch.cat([torch.full((len(ball), 1), i), ball], 1) for i in range(batch)])
    kept = torch.rand(len(coords), generator=draw) < 0.7
    coords = coords[kept]
    features = torch.randn(len(coords), channels, generator=draw)
    return SparseTensor.of(features, coords, (cells,) * 3, batch)


@every_card
def test_parameters_equal_the_card(card):
    with torch.device("meta"):
        model = networks.create(card.name)
    assert sum(p.numel() for p in model.parameters()) == card.parameters


@every_card
def test_macs_on_the_sphere_equal_the_card(card):
    assert card.counted_on == zoo.SPHERE
    assert sparse_macs(networks.create(card.name), sphere(*card.input)) == card.macs


@every_card
def test_gives_one_record_for_other_classes_and_features_in_training_and_evaluation(card):
    x = scene(card.input[0] + 1, cells=40)
    model = build(card, classes=7, in_channels=card.input[0] + 1)
    for mode in (model.train(), model.eval()):
        outputs = mode(x)
        assert isinstance(outputs, Logits)
        assert outputs.scores.shape == (len(x.sites), 7)


@LEAST
def test_every_parameter_gets_a_gradient(card):
    x, model = scene(*card.input, cells=40), build(card, classes=4)
    truth = PointTruth(torch.arange(len(x.sites)) % 4, torch.arange(len(x.sites)))
    tasks.get(card.task).loss(model(x), truth).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@LEAST
def test_scans_of_a_batch_do_not_see_each_other_in_evaluation(card):
    model, x = build(card, classes=3).eval(), scene(*card.input, batch=2)
    first = x.coords[:, 0] == 0
    alone = SparseTensor.of(x.features[first], x.coords[first], x.size, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(x).scores[first], model(alone).scores)


@LEAST
def test_a_grid_of_odd_size_and_an_empty_one_work(card):
    model = build(card, classes=3).eval()
    coords = torch.tensor([[0, 0, 0, 0], [0, 4, 6, 8]])
    assert model(SparseTensor.of(torch.ones(2, *card.input), coords, (17, 31, 19), 1)).scores.shape == (2, 3)
    nothing = SparseTensor.of(torch.ones(0, *card.input), coords[:0], (16, 16, 16), 1)
    assert model(nothing).scores.shape == (0, 3)


@LEAST
def test_saved_weights_give_the_same_scores(card, tmp_path):
    model, x = build(card, classes=5).eval(), scene(*card.input)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = networks.create(card.name, classes=5, checkpoint=tmp_path / "weights.safetensors").eval()
    with torch.no_grad():
        assert torch.equal(other(x).scores, model(x).scores)


@every_card
def test_card_is_whole(card):
    assert card.paper
    assert card.link.startswith("https://")
    assert (card.task, card.family) == ("segment_points", "sparse3d")
    assert 1900 < card.year < 2100
    assert all(text.endswith(".") for text in card.differences)


def test_every_file_of_the_family_has_its_networks():
    files = {found.name for found in pkgutil.iter_modules(sparse3d.__path__)}
    modules = {getattr(zoo.entry(c.name).build, "func", zoo.entry(c.name).build).__module__ for c in CARDS}
    assert {name.rpartition(".")[2] for name in modules} == files - BACKBONES


def test_a_model_card_of_a_network_over_points_makes_its_network_and_its_batches():
    card = ModelCard("minkunet14", ("a", "b"), 4, (), (0.0,) * 4, (1.0,) * 4, 1, voxel=0.2)
    assert card.create().head.out_features == 2
    assert card.pipeline().voxel == 0.2


def test_a_grid_that_cannot_be_halved_four_times_is_refused():
    x = SparseTensor.of(torch.ones(1, 3), torch.tensor([[0, 1, 1, 1]]), (16, 15, 16), 1)
    with pytest.raises(InvalidInput, match="at least 16 along each axis"):
        build(networks.card("minkunet14"))(x)


def test_other_features_than_the_network_reads_are_refused():
    with pytest.raises(InvalidInput, match="features of 5 channels came to a layer for 3"):
        build(networks.card("minkunet14"))(scene(5))
