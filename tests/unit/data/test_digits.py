import sys

import pytest

from ninefold import data
from ninefold.errors import MissingExtra


def test_the_split_rule_of_the_card_holds():
    source = data.open_source("digits")
    rows = {name: {int(s.name.split("/")[1]) for s in source.split(name)} for name in ("train", "validation", "test")}
    assert rows["test"] == {i for i in range(1797) if i % 5 == 4}
    assert rows["validation"] == {i for i in range(1797) if i % 10 == 3}
    assert rows["train"] == set(range(1797)) - rows["test"] - rows["validation"]


def test_sixteen_is_white():
    source = data.open_source("digits")
    values = {int(v) for sample in source.split("train") for v in sample.image.unique()}
    assert values == {round(v * 255 / 16) for v in range(17)}
    assert source.split("train").labels[:3].tolist() == [0, 1, 2]


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ninefold\[train\]'"):
        data.open_source("digits")
