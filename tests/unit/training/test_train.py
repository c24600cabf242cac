import csv
import json
import os
import signal
from math import nan

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ninefold import networks
from ninefold.errors import Diverged, InvalidInput, MissingExtra, RunError, StorageFull, UnknownName, Unsupported
from ninefold.records import Logits
from ninefold.training import fitting, running, train
from ninefold.training.checkpoint import read_checkpoint, read_history

FILES = {
    *("config.yaml", "metrics.csv", "last.ckpt", "best.ckpt", "model.safetensors"),
    *("report.json", "predictions.csv", "curves.png", "confusion.png"),
}


class Noisy(nn.Module):
    """A network whose result depends on batch norm's averages and on dropout's draws."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10)

    def forward(self, images):
        maps = nn.functional.dropout(self.norm(self.conv(images)).relu(), 0.3, self.training)
        return Logits(self.dense(maps.mean((2, 3))))


@pytest.fixture
def noisy(monkeypatch):
    monkeypatch.setattr(networks, "create", lambda *_, **__: Noisy())


def rows(out):
    with (out / "metrics.csv").open() as file:
        return [
            {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in csv.DictReader(file)
        ]


def assert_same_run(a, b):
    left, right = (read_checkpoint(out / "last.ckpt") for out in (a, b))
    for name, tensor in left["state_dict"].items():
        assert torch.equal(tensor, right["state_dict"][name]), name
    assert load_file(a / "model.safetensors").keys() == load_file(b / "model.safetensors").keys()
    assert all(
        torch.equal(t, load_file(b / "model.safetensors")[k]) for k, t in load_file(a / "model.safetensors").items()
    )
    assert rows(a) == rows(b)


def interrupt(monkeypatch, epoch, error):
    """Make a run fail with `error` in the middle of an epoch, counted from 0."""
    step = fitting.Fitting.training_step

    def failing(self, batch, batch_idx):
        if len(self.history) == epoch and batch_idx == 5:
            raise error
        return step(self, batch, batch_idx)

    monkeypatch.setattr(fitting.Fitting, "training_step", failing)
    return lambda: monkeypatch.setattr(fitting.Fitting, "training_step", step)


def test_a_run_folder_holds_what_the_docs_say(finished):
    assert {path.name for path in finished.iterdir()} == FILES
    report = json.loads((finished / "report.json").read_text())
    assert (report["network"], report["data"], report["split"], report["images"]) == ("lenet5", "digits", "test", 359)
    assert (report["epochs"], report["parameters"], report["metric"]) == (2, 60_850, "accuracy")
    assert list(rows(finished)[0]) == ["epoch", "step", "train_loss", "validation_loss", "validation_accuracy", "lr"]
    assert [(row["epoch"], row["step"]) for row in rows(finished)] == [("1", "19"), ("2", "38")]


def test_same_seed_same_weights_and_another_seed_others(finished, tiny, tmp_path):
    train(tiny(), tmp_path / "again", progress="none")
    assert_same_run(finished, tmp_path / "again")
    train(tiny(seed=1, epochs=1), tmp_path / "other", progress="none")
    ours, other = (load_file(out / "model.safetensors")["c1.weight"] for out in (finished, tmp_path / "other"))
    assert not torch.equal(ours, other)


def test_training_in_worker_processes_gives_the_same_weights(finished, tiny, tmp_path):
    train(tiny(workers=1), tmp_path / "run", progress="none")
    assert_same_run(finished, tmp_path / "run")


@pytest.mark.usefixtures("noisy")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_run_equals_an_uninterrupted_one(optimizer, tiny, tmp_path, monkeypatch):
    settings = tiny(epochs=4, optimizer=optimizer, augment=("shift", "rotate"))
    train(settings, tmp_path / "whole", progress="none")
    mend = interrupt(monkeypatch, 2, RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        train(settings, tmp_path / "cut", progress="none")
    mend()
    (tmp_path / "cut" / ".last.ckpt.1.partial").write_bytes(b"half")
    train(settings, tmp_path / "cut", resume=True, progress="none")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    assert {path.name for path in (tmp_path / "cut").iterdir()} == FILES


def test_a_run_that_stopped_before_its_first_checkpoint_begins_anew(finished, tiny, tmp_path, monkeypatch):
    mend = interrupt(monkeypatch, 0, RuntimeError("power cut"))
    with pytest.raises(RuntimeError):
        train(tiny(), tmp_path / "run", progress="none")
    mend()
    train(tiny(), tmp_path / "run", resume=True, progress="none")
    assert_same_run(finished, tmp_path / "run")


def test_resuming_a_finished_run_reports_again_and_more_epochs_go_on(finished, tiny):
    before = (finished / "last.ckpt").read_bytes()
    report = train(tiny(), finished, resume=True, progress="none")
    assert report.epochs == 2
    assert (finished / "last.ckpt").read_bytes() == before
    assert train(tiny(epochs=3), finished, resume=True, progress="none").epochs == 3
    assert [row["epoch"] for row in rows(finished)] == ["1", "2", "3"]
    with pytest.raises(InvalidInput, match="3 epochs behind it, and epochs=2 came"):
        train(tiny(), finished, resume=True, progress="none")


def test_a_folder_with_a_run_is_not_written_to(finished, tiny):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(RunError, match="already holds a run"):
        train(tiny(), finished, progress="none")
    with pytest.raises(RunError, match=r"started with lr=0\.\d+, and lr=0.5 came"):
        train(tiny(lr=0.5), finished, resume=True, progress="none")
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_run_folder_that_lost_its_settings_is_refused(finished, tiny):
    (finished / "config.yaml").unlink()
    with pytest.raises(RunError, match=r"has no config\.yaml"):
        train(tiny(), finished, resume=True, progress="none")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("classes", ["a", "b"], "trained on other classes"), ("state_dict", {}, "has no place in the file")],
)
def test_a_checkpoint_of_other_classes_or_another_network_is_refused(key, value, said, finished, tiny):
    torch.save(read_checkpoint(finished / "last.ckpt") | {key: value}, finished / "last.ckpt")
    with pytest.raises(RunError, match=said):
        train(tiny(), finished, resume=True, progress="none")


def test_a_damaged_checkpoint_is_refused(finished, tiny):
    (finished / "last.ckpt").write_bytes((finished / "last.ckpt").read_bytes()[:1000])
    with pytest.raises(RunError, match=r"last\.ckpt cannot be read as a checkpoint"):
        train(tiny(), finished, resume=True, progress="none")


def test_a_checkpoint_that_would_run_code_is_refused(finished, tiny):
    torch.save({"history": os.getcwd}, finished / "last.ckpt")
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        train(tiny(), finished, resume=True, progress="none")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"network": "lenet6"}, UnknownName),
        ({"data": "digit"}, UnknownName),
        ({"augment": ("flop",)}, UnknownName),
        ({"size": (28, 28)}, InvalidInput),
        ({"nodes": 2}, InvalidInput),
        pytest.param(
            {"precision": "16"},
            Unsupported,
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device can do this"),
        ),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_written(wrong, error, tiny, tmp_path):
    with pytest.raises(error):
        train(tiny(**wrong), tmp_path / "run", progress="none")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_last_good_checkpoint(tiny, tmp_path, monkeypatch):
    loss = fitting.Fitting._loss

    def broken(self, batch):
        outputs, value = loss(self, batch)
        return outputs, value * (nan if self.history and self.training else 1)

    monkeypatch.setattr(fitting.Fitting, "_loss", broken)
    with pytest.raises(Diverged, match=r"nan in epoch 2, step 20, .*last.ckpt \(epoch 1\); .* lower --lr \(it was 0"):
        train(tiny(), tmp_path / "run", progress="none")
    assert len(read_history(tmp_path / "run" / "last.ckpt")) == 1


def test_a_learning_rate_far_too_high_diverges(tiny, tmp_path):
    with pytest.raises(Diverged, match="no checkpoint was written before"):
        train(tiny(lr=1e30, schedule="constant"), tmp_path / "run", progress="none")


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_another_process_trains_in_is_refused(resume, tiny, taken):
    before = list(taken.iterdir())
    with pytest.raises(RunError, match=r"process \d+ is working in .*taken"):
        train(tiny(), taken, resume=resume, progress="none")
    assert list(taken.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "nth"), [("last.ckpt", 2), ("best.ckpt", 1), ("model.safetensors", 1), ("metrics.csv", 2)]
)
def test_a_full_disk_leaves_the_epochs_before_and_the_run_goes_on_later(
    name, nth, full_disk, finished, tiny, tmp_path, monkeypatch
):
    full_disk(name, nth)
    with pytest.raises(StorageFull, match=f"{name} could not be written: the disk is full"):
        train(tiny(), tmp_path / "run", progress="none")
    monkeypatch.undo()
    assert not list((tmp_path / "run").glob(".*"))
    assert len(read_history(tmp_path / "run" / "last.ckpt")) == {"last.ckpt": 1, "metrics.csv": 2}.get(name, 0)
    train(tiny(), tmp_path / "run", resume=True, progress="none")
    assert_same_run(finished, tmp_path / "run")


@pytest.mark.parametrize("name", ["curves.png", "predictions.csv", "confusion.png", "report.json", "config.yaml"])
def test_a_full_disk_is_told_whatever_file_meets_it(name, full_disk, finished, tiny):
    before = (finished / name).read_bytes()
    full_disk(name)
    with pytest.raises(StorageFull, match=name):
        train(tiny(workers=1), finished, resume=True, progress="none")
    assert (finished / name).read_bytes() == before


def test_ctrl_c_says_how_to_go_on_and_keeps_the_last_epoch(tiny, tmp_path, monkeypatch, capsys):
    mend = interrupt(monkeypatch, 1, KeyboardInterrupt())
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="--resume --out"):
        train(tiny(), tmp_path / "run", progress="lines")
    mend()
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(read_history(tmp_path / "run" / "last.ckpt")) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"the run folder is {tmp_path / 'run'}"
    assert said[1].startswith("epoch 1/2   loss ")
    assert said[2] == f"stopped; what was finished is kept, go on with: --resume --out {tmp_path / 'run'}"


def test_training_names_its_folder_and_writes_one_line_per_epoch(tiny, tmp_path, capfd):
    train(tiny(), tmp_path / "run", progress="lines")
    out, err = capfd.readouterr()
    assert out == ""
    assert [line[:9] for line in err.splitlines()] == ["the run f", "epoch 1/2", "epoch 2/2"]


def test_a_package_that_is_missing_is_named_before_anything_is_written(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "find_spec", lambda name: None if name == "matplotlib" else name)
    with pytest.raises(MissingExtra, match=r"'matplotlib'; .*ninefold\[train\]"):
        train(tiny(), tmp_path / "run", progress="none")
    assert not (tmp_path / "run").exists()


def test_mixed_precision_trains(tiny, tmp_path):
    assert train(tiny(epochs=1, precision="bf16"), tmp_path / "run", progress="none").epochs == 1
