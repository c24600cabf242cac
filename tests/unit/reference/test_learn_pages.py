"""The pages under docs/learn say what the code does: their examples are run, page by page."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[3] / "docs" / "learn").glob("*.md"))
BLOCK = re.compile(r"^```python\n(>>> .*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_give_what_it_prints(page):
    examples = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.stem, str(page), 0)
    failed, tried = doctest.DocTestRunner().run(test)
    assert tried > 0
    assert failed == 0
