"""Runs that are small enough to be done many times: LeNet-5 on the digits, an epoch in well under a second."""

import errno
import shutil
import subprocess
import sys

import pytest
import torch

from ninefold import storage
from ninefold.training import Settings, train


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Small networks gain nothing from a second thread, and tests share their machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny():
    """Give settings of a run of two epochs, with whatever else a test wants."""
    return lambda **more: Settings(**{"network": "lenet5", "data": "digits", "epochs": 2, "batch_size": 64, **more})


@pytest.fixture(scope="session")
def _finished(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(), out, progress="none")
    return out


@pytest.fixture
def finished(_finished, tmp_path):
    """Give a finished run that a test may change."""
    return shutil.copytree(_finished, tmp_path / "finished")


@pytest.fixture
def full_disk(monkeypatch):
    """Give a function that makes the disk full for files of one name, from the nth time they are written on."""
    fsync = storage.os.fsync

    def fill(name, nth=1):
        left = [nth]

        def refuse(handle):
            path = storage.os.readlink(f"/proc/self/fd/{handle}")
            if path.endswith(storage.PARTIAL) and f"/.{name}." in path:
                left[0] -= 1
                if left[0] <= 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
            fsync(handle)

        monkeypatch.setattr(storage.os, "fsync", refuse)

    return fill


@pytest.fixture
def taken(tmp_path):
    """Give a folder that another process is working in."""
    folder = tmp_path / "taken"
    script = "import sys; from pathlib import Path; from ninefold.storage import alone_in\n"
    script += f"with alone_in(Path({str(folder)!r})): print('in', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"in\n"
        yield folder
