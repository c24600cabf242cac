"""The page about sparse convolution shows what really happens, and names every engine."""

import doctest
import re
from pathlib import Path

from ninefold import sparse

PAGE = Path(__file__).parents[3] / "docs" / "use" / "sparse.md"


def test_the_examples_of_the_page_run():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 5
    assert results.failed == 0


def test_the_page_lists_the_engines_in_their_order():
    section = PAGE.read_text(encoding="utf-8").partition("## Engines")[2].partition("\n\n**")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [engine.name for engine in sparse.ENGINES]
