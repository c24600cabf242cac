import io
import sys

import pytest
import torch
from PIL import Image

from ninefold.training import plots, progress
from ninefold.training.history import as_csv, best, read_csv
from ninefold.training.plots import draw_confusion, draw_curves

ROWS = [
    {"epoch": i, "step": 10 * i, "train_loss": 2 / i, "validation_loss": 2.2 / i, "validation_accuracy": 1 - 0.7 / i}
    for i in range(1, 13)
]


@pytest.mark.parametrize("count", [1, 12])
def test_the_curves_are_a_picture_of_readable_size(count, tmp_path):
    draw_curves(tmp_path / "curves.png", ROWS[:count], "lenet5 on digits")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1170, 468)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_darker_cell_stands_for_a_larger_share(classes, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "save_sheet", lambda sheet, _path: figures.append(sheet))
    counts = torch.eye(classes, dtype=torch.int64) * 9 + 1
    draw_confusion(tmp_path / "confusion.png", counts, [f"class {i}" for i in range(classes)], "title")
    shares = torch.as_tensor(figures[0].axes[0].images[0].get_array().data).float()
    assert torch.allclose(shares, counts / counts.sum(1, keepdim=True), atol=1e-6)
    assert len(figures[0].axes[0].texts) == (classes**2 if classes <= 20 else 0)


def test_metrics_are_read_as_they_were_written(tmp_path):
    (tmp_path / "metrics.csv").write_text(as_csv(ROWS))
    assert read_csv(tmp_path / "metrics.csv") == ROWS
    assert read_csv(tmp_path / "other.csv") == []


def test_of_equally_good_epochs_the_one_with_the_lower_loss_is_best_then_the_first():
    rows = [{"epoch": i, "validation_loss": loss, "validation_accuracy": 0.5} for i, loss in enumerate((0.3, 0.2, 0.2))]
    assert best(rows)["epoch"] == 1


def test_a_terminal_gets_a_bar_and_a_pipe_lines(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress.style_here("bar") == "bar"
    with progress.bar("bar", "epoch 1/2", 10) as move:
        move(10, "loss 0.5")
    assert "epoch 1/2" in sys.stderr.getvalue()
    assert "10/10" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress.style_here("bar") == "lines"
