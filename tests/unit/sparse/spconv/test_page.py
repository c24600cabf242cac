"""The page for users of spconv shows what really happens."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[4] / "docs" / "use" / "spconv.md"


def test_the_examples_of_the_page_run():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 5
    assert results.failed == 0
