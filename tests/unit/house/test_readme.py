"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

from ninefold.app.main import run

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_its_python_runs(capsys):
    names = {}
    for code in blocks("python"):  # a reader goes from one to the next
        exec(compile(code, "README.md", "exec"), names)
    assert capsys.readouterr().out.endswith("[[6. 6.]\n [6. 6.]]\n")


def test_its_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("ninefold ")]
    assert {words[1] for words in commands} == {"data", "models", "summary", "train", "evaluate", "predict"}
    for _, *words in commands:
        short = ["1" if i and words[i - 1] == "--epochs" else word for i, word in enumerate(words)]
        paths = [[str(p) for p in tmp_path.glob(word)] if "*" in word else [word] for word in short]
        assert run([word for found in paths for word in found]) == 0, capsys.readouterr().err


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
