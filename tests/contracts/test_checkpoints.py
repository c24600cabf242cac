"""Published checkpoints load: names and shapes of their tensors fit, and the scores are those of the original code."""

import re

import pytest
import torch

from golden.published import filled, names, picture, read
from ninefold import networks
from ninefold.networks import zoo
from ninefold.networks.checkpoint import renamed


@pytest.mark.parametrize("card", [c for c in networks.cards() if c.naming], ids=lambda card: card.name)
def test_every_published_tensor_has_its_place(card):
    golden = read(card.name)
    classes = len(golden["scores"][0]) if golden["scores"] else card.classes
    with torch.device("meta"):
        ours = networks.create(card.name, classes=classes).state_dict()
    places = {renamed(name, zoo.entry(card.name).renaming): shape for name, shape in golden["tensors"].items()}
    places.pop("", None)
    wanted = {name for name in ours if not name.endswith("num_batches_tracked")}
    assert {name for name in places if not name.endswith("num_batches_tracked")} == wanted
    assert all(ours[name].numel() == torch.Size(places[name]).numel() for name in wanted)


@pytest.mark.parametrize("name", [name for name in names() if read(name)["scores"]])
def test_scores_are_those_of_the_original_code(name, tmp_path):
    golden = read(name)
    torch.save(filled(golden["tensors"]), tmp_path / "published.pth")
    scores = torch.tensor(golden["scores"])
    model = networks.create(name, classes=scores.shape[1], checkpoint=tmp_path / "published.pth").eval()
    with torch.no_grad():
        ours = model(picture(golden["input"])).scores
    assert (ours - scores).abs().max() <= 1e-4 * scores.abs().max()


def test_scores_are_kept_for_a_network_of_every_file_with_published_names():
    def modules(names):
        builds = [zoo.entry(name).build for name in names]
        return {getattr(build, "func", build).__module__ for build in builds}

    scored = modules(name for name in names() if read(name)["scores"])
    assert modules(card.name for card in networks.cards() if card.naming) <= scored


def test_every_golden_file_belongs_to_a_network_and_says_where_it_is_from():
    for name in names():
        assert networks.card(name).naming
        assert re.search(r"\d", read(name)["source"])
