"""The page about kernels shows the text and the instructions that are really made."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from ninefold.kernels.llvm.target import host

PAGE = Path(__file__).parents[3] / "docs" / "use" / "kernels.md"


@pytest.mark.skipif(not host().is_x86, reason="the page shows x86 instructions, and LLVM writes others here")
def test_the_examples_of_the_page_run():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 15
    assert results.failed == 0
