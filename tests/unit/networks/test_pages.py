"""The pages of networks say what the cards say, and their pictures are what the code draws."""

import doctest
import json
import re
import sys
from pathlib import Path

import pytest

import ninefold
from ninefold import networks

DOCS = Path(__file__).parents[3] / "docs"
sys.path.insert(0, str(DOCS))
draw_accuracy, draw_blocks, network_pages = map(__import__, ("draw_accuracy", "draw_blocks", "network_pages"))
sys.path.remove(str(DOCS))

FAMILIES = {card.family for card in networks.cards() if card.reads == "pictures"}
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "networks").glob("*.md")}
OVERVIEW = (DOCS / "use" / "networks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", PAGES)
def test_every_network_of_a_family_stands_on_its_page_once_as_its_card_says(family):
    assert network_pages.filled(PAGES[family], family) == PAGES[family]
    for card in networks.cards(family):
        assert len(re.findall(rf"^\| `{card.name}` \|", PAGES[family], re.MULTILINE)) == 1


def test_every_family_has_a_page_and_every_page_a_family():
    assert FAMILIES <= PAGES.keys() <= {card.family for card in networks.cards()}


@pytest.mark.parametrize("name", draw_blocks.BLOCKS)
def test_the_picture_of_a_block_is_what_its_code_draws(name):
    drawn = (DOCS / "networks" / f"{name}.svg").read_text(encoding="utf-8")
    assert draw_blocks.picture_of(*draw_blocks.BLOCKS[name]) == drawn


def test_every_picture_is_shown_and_drawn():
    text = "".join([*PAGES.values(), OVERVIEW])
    shown = set(re.findall(r"!\[[^]]+\]\([\w./]*?([\w-]+)\.svg\)", text))
    assert shown == {path.stem for path in (DOCS / "networks").glob("*.svg")} == {*draw_blocks.BLOCKS, "accuracy"}


def test_the_picture_of_accuracy_has_every_published_figure():
    kept = re.search(r"<dc:description>(.*?)</dc:description>", draw_accuracy.PATH.read_text(encoding="utf-8"))
    points = draw_accuracy.points()
    assert json.loads(kept[1]) == {name: list(values) for name, values in points.items()}
    lines = [name for pattern, _ in draw_accuracy.LINES.values() for name in draw_accuracy.on_line(pattern)]
    assert sorted(lines) == sorted(points)


@pytest.mark.parametrize("text", [*PAGES.values(), OVERVIEW], ids=[*PAGES, "overview"])
def test_the_examples_of_a_page_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"ninefold": ninefold}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "page", "exec"), names)
    for shown in re.findall(r"^```pycon\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        example = doctest.DocTestParser().get_doctest(shown, names, "page", None, 0)
        assert doctest.DocTestRunner().run(example, out=lambda _: None).failed == 0
