import pytest
import torch

from ninefold.data.splits import Source, StoredSplit, measure
from ninefold.errors import DataError, UnknownName
from ninefold.records import DataCard

CARD = DataCard("toy", "a toy", "nowhere", "none", "the rule of the toy.")


def split(rows, count=6):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 3)
    return StoredSplit(images, torch.arange(count) * 10, torch.tensor(rows, dtype=torch.int64), "toy")


def test_a_stored_split_gives_its_rows_one_by_one_and_together():
    part = split([4, 1, 5])
    assert len(part) == 3
    assert part.labels.tolist() == [40, 10, 50]
    assert (part[1].image.unique().item(), part[1].label, part[1].name) == (1, 10, "toy/1")
    for one, other in zip(part.__getitems__([2, 0]), (part[2], part[0]), strict=True):
        assert one.image.equal(other.image)
        assert one[1:] == other[1:]


def test_iterating_a_split_ends():
    assert [sample.name for sample in split([3, 0])] == ["toy/3", "toy/0"]


def test_moments_are_of_the_split_and_match_the_formula():
    images = torch.randint(0, 256, (9000, 2, 3, 5), dtype=torch.uint8)
    part = StoredSplit(images, torch.zeros(9000).long(), torch.arange(100, 9000), "x")
    mean, std = part.moments()
    wanted = images[100:].double() / 255
    assert mean == pytest.approx(wanted.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(wanted.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_pictures_of_different_sizes_count_alike():
    black, white = torch.zeros(1, 1, 100, 100, dtype=torch.uint8), torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    assert measure([black, white]) == ((0.5,), (0.5,))


def test_pictures_of_one_colour_keep_a_deviation_above_zero():
    assert measure([torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)])[1] == (pytest.approx(1 / 255),)


def test_an_unknown_split_is_named():
    source = Source(CARD, ("a",), 1, (2, 3), dict.fromkeys(("train", "validation", "test"), split([0])))
    with pytest.raises(UnknownName, match="no split is called 'val'"):
        source.split("val")


def test_an_empty_split_is_refused_with_the_rule():
    with pytest.raises(DataError, match="the validation split of 'toy' is empty; its rule is: the rule of the toy"):
        Source(CARD, ("a",), 1, (2, 3), {"train": split([0]), "validation": split([]), "test": split([1])})
