"""The pages about points and sparse networks say what is so, and their examples run."""

import re
import sys
from pathlib import Path

import pytest

from ninefold import data
from ninefold.data.points import POINT_AUGMENTATIONS
from ninefold.records import SPLITS

DOCS = Path(__file__).parents[3] / "docs"
POINTS = (DOCS / "use" / "points.md").read_text(encoding="utf-8")
SPARSE = (DOCS / "networks" / "sparse3d.md").read_text(encoding="utf-8")
sys.path.insert(0, str(DOCS))
network_pages = __import__("network_pages")
sys.path.remove(str(DOCS))


def test_the_cards_on_the_page_are_those_of_the_code():
    assert network_pages.filled(SPARSE, "sparse3d") == SPARSE


@pytest.mark.parametrize("text", [POINTS, SPARSE], ids=["points", "sparse3d"])
def test_the_examples_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "page", "exec"), names)


@pytest.mark.parametrize("name", ["lidar-scenes", "indoor-rooms"])
def test_the_table_of_sources_is_true(name):
    source = data.open_source(name)
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", POINTS, re.MULTILINE)
    cells = [cell.strip() for cell in row.split("|")]
    assert len(cells[1].split(", ")) == source.channels
    assert cells[2] == ", ".join(source.classes)
    assert cells[3] == f"{source.voxel} m"
    assert list(map(int, cells[4:])) == [len(source.split(split)) for split in SPLITS]


def test_every_source_and_every_augmentation_stands_on_the_page():
    names = [card.name for card in data.cards() if card.holds == "points"]
    assert all(f"`{name}`" in POINTS for name in [*names, *POINT_AUGMENTATIONS])
