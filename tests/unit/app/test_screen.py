"""Tables and documents."""

import json
from pathlib import Path

import pytest

from ninefold.app.screen import print_facts, print_json, print_rows
from ninefold.records import DataCard


def test_numbers_stand_to_the_right_with_separators(capsys):
    print_rows(("name", "count", "share"), [("a", 1234567, 0.5), ("bb", 8, 0.25)], ("total", 1234575, ""))
    assert capsys.readouterr().out.splitlines() == [
        " name       count   share",
        "──────────────────────────",
        " a      1,234,567  0.5000",
        " bb             8  0.2500",
        "",
        " total  1,234,575",
    ]


def test_no_text_is_taken_for_markup_or_wrapped(capsys):
    long = "[bold]:warning: " + "word " * 60 + "end"
    print_rows(("file",), [(long,)])
    print_facts([("name", long), ("empty", None)])
    assert capsys.readouterr().out.count(long) == 2


def test_a_table_without_rows_is_its_titles(capsys):
    print_rows(("a", "b"), [])
    assert capsys.readouterr().out.split()[:2] == ["a", "b"]


def test_a_document_holds_records_and_paths(capsys):
    card = DataCard("n", "t", "o", "l", "s")
    print_json({"card": card, "path": Path("a/b")})
    shown = json.loads(capsys.readouterr().out)
    assert (shown["card"]["name"], shown["path"]) == ("n", "a/b")
    with pytest.raises(TypeError, match="set"):
        print_json({1, 2})
