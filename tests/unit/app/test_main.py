"""The command line as a whole: help, exit codes, what goes to which stream."""

import json
import subprocess
import sys

import pytest
import typer

from ninefold import __version__, errors
from ninefold.app.failures import PAGES, sentences
from ninefold.app.main import app, run

COMMANDS = [[command.callback.__name__] for command in app.registered_commands]
COMMANDS += [["bench"], ["bench", "compile"], ["bench", "conv"]]
HEAVY = {"torch", "lightning", "numpy", "sklearn", "matplotlib", "PIL", "yaml"}


def ninefold(*arguments, code=None):
    start = [sys.executable, "-m", "ninefold"] if code is None else [sys.executable, "-c", code]
    return subprocess.run([*start, *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("arguments", [[], *COMMANDS], ids=str)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys; from ninefold.app.main import run; code = run(sys.argv[1:]); "
        f"print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = ninefold(*arguments, "--help", code=code)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert "Usage: ninefold" in done.stdout


def test_the_version_is_printed(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"ninefold {__version__}\n"


def test_no_command_is_misuse_and_shows_the_help(capsys):
    assert run([]) == 2
    assert "Usage: ninefold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["trian"], "train"),
        (["train", "lenet5"], "--data"),
        (["train", "lenet5", "--data", "digits", "--epoch", "1"], "--epoch"),
        (["train", "lenet5", "--data", "digits", "--epochs", "many"], "--epochs"),
        (["train", "lenet5", "--data", "digits", "--epochs", "0"], "epochs=0"),
        (["train", "lenet5", "--data", "digits", "--optimizer", "sdg"], "did you mean 'sgd'"),
        (["train", "lenet5", "--data", "digits", "--size", "0x8"], "'0x8'"),
        (["train", "lenet5", "--data", "digits", "--resume"], "--out"),
        (["summary", "lenet6"], "did you mean 'lenet5'"),
        (["summary", "resnet20", "--input", "3,32,32"], "'3,32,32'"),
        (["summary", "lenet5", "--input", "1x20x20"], "32x32 only"),
        (["models", "--family", "clasic"], "classic"),
        (["data", "digit"], "digits"),
        (["data", "--pictures", "there"], "--pictures"),
        (["data", "digits", "--count", "0"], "--count"),
        (["evaluate", "nowhere", "--split", "tset"], "did you mean 'test'"),
        (["bench"], "Missing command"),
        (["bench", "compile", "resnet15"], "or 'resnet18'"),
        (["bench", "compile", "--against", "opencv,openvin"], "did you mean 'openvino'"),
        (["bench", "compile", "--precision", "faster"], "--precision"),
        (["bench", "conv", "64x56x56"], "'64x56x56'"),
        (["bench", "conv", "3x8x8:6k3g2"], "2 groups"),
        (["bench", "conv", "3x8x8:6k9p0"], "kernel"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_exits_2_with_a_sentence_and_a_pointer(arguments, quoted, capsys):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first.startswith("ninefold: ")
    assert quoted in first
    assert second.startswith("read more: ")
    assert out == ""


def test_failure_exits_1_and_json_keeps_standard_output_empty(tmp_path, capsys):
    assert run(["evaluate", str(tmp_path / "nowhere"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "nowhere" in err
    assert "errors/run-error.md" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback_before_the_sentence(tmp_path, capsys):
    assert run(["evaluate", str(tmp_path / "nowhere"), "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-2].startswith("ninefold: ")


def test_a_surprise_is_named_in_one_sentence(monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("ninefold.networks.cards", fail)
    assert run(["models"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("ZeroDivisionError: two lines")
    assert "--debug" in second


def test_what_the_system_refuses_is_told_with_its_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(["data", "digits", "--pictures", str(tmp_path / "file" / "pictures")]) == 1
    first = capsys.readouterr().err.splitlines()[-1]
    assert first == f"ninefold: the system refused '{tmp_path}/file/pictures': Not a directory"


def test_an_interrupt_exits_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ninefold.networks.cards", interrupt)
    assert run(["models"]) == 130
    assert capsys.readouterr().err == "ninefold: interrupted\n"


def test_a_reader_that_leaves_is_no_event():
    line = f"{sys.executable} -m ninefold summary resnet20 --json | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout, done.stderr) == ("{", "")


def test_results_go_to_standard_output_as_one_json_document():
    done = ninefold("models", "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    assert {"lenet5", "parallel_conv", "resnet20"} <= {card["name"] for card in json.loads(done.stdout)}


def test_every_error_has_an_exit_code_and_a_page():
    for error in (errors.InvalidInput("x"), errors.DataError("x"), errors.StorageFull("x")):
        code, lines = sentences(error)
        assert code == error.exit_code
        assert lines == ["ninefold: x", f"read more: {PAGES}/{error.page}.md"]


def test_misuse_that_typer_finds_is_recognised():
    assert sentences(typer.BadParameter("no"))[0] == 2
