"""The pages about the command line and the errors say what the program says."""

import doctest
import inspect
import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from ninefold import errors
from ninefold.app.failures import PAGES
from ninefold.app.main import app, run

DOCS = Path(__file__).parents[3] / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
ERRORS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "errors").glob("*.md"))}
CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.NinefoldError)
]


def named(group, before=""):
    """Every command by what stands behind `ninefold`, those of groups included."""
    for name, command in group.commands.items():
        words = f"{before}{name}"
        yield from named(command, f"{words} ") if isinstance(command, TyperGroup) else [(words, command)]


COMMANDS = dict(named(get_command(app)))


def blocks(kind):
    pages = {"cli": CLI, **ERRORS}
    return [
        pytest.param(text, id=f"{page}-{i}")
        for page, content in pages.items()
        for i, text in enumerate(re.findall(rf"^```{kind}\n(.*?)^```$", content, re.MULTILINE | re.DOTALL))
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_command_and_option(name):
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", CLI, re.MULTILINE | re.DOTALL)[1]
    general = CLI.partition("\n## ")[0]
    assert f"`ninefold {name}" in section
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert options
    for option in options:
        assert re.search(rf"^\| `{option}[` ]", section + general, re.MULTILINE), option


def test_the_page_names_no_command_that_is_not_there():
    assert re.findall(r"^## ([\w ]+)$", CLI, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("text", blocks("console"))
def test_what_a_page_shows_is_what_the_command_prints(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line, _, shown = text.partition("\n")
    program, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "ninefold"
    code = run(arguments)
    out, err = capsys.readouterr()
    assert shown == (out if code == 0 else err.partition("read more: ")[0])


@pytest.mark.parametrize("text", blocks("pycon"))
def test_what_a_page_shows_is_what_python_prints(text):
    example = doctest.DocTestParser().get_doctest(text, {}, "page", None, 0)
    assert doctest.DocTestRunner().run(example, out=lambda _: None).failed == 0


@pytest.mark.parametrize("error", [c for c in CLASSES if c is not errors.NinefoldError], ids=lambda c: c.__name__)
def test_every_error_has_a_page_of_its_own_that_quotes_it(error):
    page = ERRORS[error.page]
    assert page.startswith(f"# {error.__name__}\n")
    assert re.search(r"^ninefold(\.errors\.\w+)?: .", page, re.MULTILINE)
    assert "\n## What to do\n" in page
    assert f"| [`{error.__name__}`]({error.page}.md) |" in ERRORS["index"]
    assert f"| {error.exit_code} |" in re.search(rf"^.*`{error.__name__}`\]\(.*$", ERRORS["index"], re.MULTILINE)[0]


def test_every_page_has_its_error():
    assert sorted(ERRORS) == sorted({error.page for error in CLASSES})


def test_the_page_that_the_command_line_names_is_there():
    assert (DOCS.parent / PAGES).resolve() == (DOCS / "errors").resolve()
