"""Real processes: two that train together, one that is killed."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ninefold import storage
from ninefold.errors import Diverged
from ninefold.training import train
from ninefold.training.checkpoint import read_checkpoint
from ninefold.training.history import read_csv

KILL_IN_WRITE = """
import os, signal
from ninefold import storage
fsync, left = os.fsync, [3]
def killing(handle):
    left[0] -= "last.ckpt" in os.readlink(f"/proc/self/fd/{handle}")
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)
storage.os.fsync = killing
"""

SLOW = """
import time
from ninefold.training.feed import Feed
get = Feed.__getitem__
def slowly(self, picked):
    time.sleep(0.03)
    return get(self, picked)
Feed.__getitem__ = slowly
"""


def weights(out):
    return read_checkpoint(out / "last.ckpt")["state_dict"]


def start(settings, out, before):
    code = (
        f"{before}\nimport sys, torch\nfrom pathlib import Path\nfrom ninefold.training import Settings, train\n"
        "torch.set_num_threads(1)\ntrain(Settings.from_yaml(sys.argv[1]), Path(sys.argv[2]), progress='none')"
    )
    return subprocess.Popen([sys.executable, "-c", code, settings.to_yaml(), str(out)])


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Give the weights and metrics of a run that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(tiny(epochs=8, augment=("shift",)), out, progress="none")
    return out


def assert_goes_on_to_the_same_end(out, whole, tiny):
    train(tiny(epochs=8, augment=("shift",)), out, resume=True, progress="none")
    ours, theirs = weights(whole), weights(out)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [row["epoch"] for row in read_csv(out / "metrics.csv")] == list(range(1, 9))
    assert not list(out.glob(".*"))


@pytest.mark.slow
def test_a_run_that_is_killed_in_an_epoch_ends_with_the_same_weights(whole, tiny, tmp_path):
    out = tmp_path / "run"
    with start(tiny(epochs=8, augment=("shift",)), out, SLOW) as process:
        while len(read_csv(out / "metrics.csv")) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 1.0))  # wherever it strikes, the end must be the same
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(read_csv(out / "metrics.csv")) < 8
    assert_goes_on_to_the_same_end(out, whole, tiny)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="which file is being written is read from /proc")
def test_a_run_that_is_killed_in_a_write_ends_with_the_same_weights(whole, tiny, tmp_path):
    out = tmp_path / "run"
    with start(tiny(epochs=8, augment=("shift",)), out, KILL_IN_WRITE) as process:
        assert process.wait() == -signal.SIGKILL
    assert [path.name for path in out.glob(f".*{storage.PARTIAL}")] == [f".last.ckpt.{process.pid}{storage.PARTIAL}"]
    assert_goes_on_to_the_same_end(out, whole, tiny)


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(finished, tiny, tmp_path):
    report = train(tiny(devices=2), tmp_path / "run", progress="none")
    ours, theirs = weights(finished), weights(tmp_path / "run")
    assert max((ours[name] - theirs[name]).abs().max().item() for name in ours) <= 1e-5
    one, two = (read_csv(out / "metrics.csv") for out in (finished, tmp_path / "run"))
    for row, other in zip(one, two, strict=True):
        assert other["validation_accuracy"] == pytest.approx(row["validation_accuracy"], abs=0.01)
        assert other["train_loss"] == pytest.approx(row["train_loss"], abs=1e-5)
    assert (report.images, report.epochs) == (359, 2)


@pytest.mark.slow
def test_what_stops_one_of_two_processes_is_raised_here(tiny, tmp_path):
    with pytest.raises(Diverged, match="lower --lr"):
        train(tiny(devices=2, lr=1e30, schedule="constant"), tmp_path / "run", progress="none")
