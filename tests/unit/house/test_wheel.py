"""The wheel is built once, installed into a clean environment, and used there without the source tree."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
USE = """
import ninefold, sys, torch
assert ninefold.__file__.startswith(sys.prefix), ninefold.__file__
x, weight = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
y = ninefold.conv2d(x, weight, padding="full", engine="im2col")
torch.testing.assert_close(y, torch.nn.functional.conv2d(x, weight, padding=2))
print(ninefold.create("lenet5")(torch.zeros(1, 1, 32, 32)).scores.shape)
"""


def run(*command, cwd):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "ninefold/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ninefold"}
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc"))]


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    assert "torch.Size([1, 10])" in run(python, "-W", "error", "-c", USE, cwd=tmp_path)
    assert "0.1.0" in run(tmp_path / "venv" / "bin" / "ninefold", "--version", cwd=tmp_path)
