"""The pages under docs/learn say what the code does: their examples are run, page by page."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
sys.path.insert(0, str(DOCS))
draw_eeg, draw_sparse = map(__import__, ("draw_eeg", "draw_sparse"))
sys.path.remove(str(DOCS))

PAGES = sorted((DOCS / "learn").glob("*.md"))
BLOCK = re.compile(r"^```python\n(>>> .*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_give_what_it_prints(page):
    examples = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.stem, str(page), 0)
    failed, tried = doctest.DocTestRunner().run(test)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("name", draw_sparse.SPECS)
def test_the_picture_of_a_rulebook_is_what_the_reference_finds(name):
    drawn = (DOCS / "learn" / f"sparse-{name}.svg").read_text(encoding="utf-8")
    assert draw_sparse.picture_of(draw_sparse.SPECS[name]) == drawn


def test_the_picture_of_the_plane_has_every_electrode_in_its_cell():
    assert draw_eeg.PLANE.read_text(encoding="utf-8") == draw_eeg.picture()
