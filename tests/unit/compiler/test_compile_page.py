"""The page about compiling shows what really happens."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "use" / "compile.md"


def test_the_examples_of_the_page_run():
    results = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 10
    assert results.failed == 0
