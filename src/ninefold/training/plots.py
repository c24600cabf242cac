"""The two pictures of a run folder: curves over the epochs, and the confusion matrix."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from ninefold.errors import MissingExtra
from ninefold.storage import write_bytes
from ninefold.training.history import best, figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ninefold.training.history import Row

_TRAIN, _VALIDATION, _GREY = "#8a8f98", "#1f6fb2", "#5b6068"


def draw_curves(path: Path, rows: Sequence[Row], title: str) -> None:
    """Draw loss and metric over the epochs, the best epoch marked.

    Args:
        path: of the PNG.
        rows: at least one.
        title: above the picture.
    """
    sheet = new_sheet(9.0, 3.6)
    losses, metric = sheet.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    name, (top_epoch, top) = figure(rows[0])[0], (best(rows)["epoch"], figure(best(rows))[1])
    losses.plot(epochs, [row["train_loss"] for row in rows], color=_TRAIN, label="train", marker=".")
    losses.plot(epochs, [row["validation_loss"] for row in rows], color=_VALIDATION, label="validation", marker=".")
    highest = max(max(row["train_loss"], row["validation_loss"]) for row in rows)
    losses.set(ylabel="loss", ylim=(0, 1.05 * highest))
    losses.legend(frameon=False)
    metric.plot(epochs, [figure(row)[1] for row in rows], color=_VALIDATION, marker=".")
    metric.plot([top_epoch], [top], color=_VALIDATION, marker="o", markersize=8, fillstyle="none")
    metric.set(ylabel=f"validation {name}")
    metric.set_title(f"best: {top:.4f} in epoch {top_epoch}", fontsize=9, color=_GREY, loc="right")
    for axes in (losses, metric):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    sheet.suptitle(title, fontsize=11)
    save_sheet(sheet, path)


def draw_confusion(path: Path, counts: Tensor, classes: Sequence[str], title: str) -> None:
    """Draw which class is taken for which: each row is a true class, shaded by its share of that row.

    Args:
        path: of the PNG.
        counts: int64 (classes, classes), truth x prediction.
        classes: their names; with more than 20, cells carry no numbers and only some classes are named.
        title: above the picture.
    """
    n, few = len(classes), len(classes) <= 20
    side = max(5.2, 2.6 + 0.52 * n) if few else 10.0
    sheet = new_sheet(side, side * 0.92)
    axes = sheet.subplots()
    shares = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    places = range(0, n, 1 if few else -(-n // 20))
    names = [_short(classes[i]) for i in places]
    lying = max(map(len, names)) > 2
    axes.set_xticks(places, names, rotation=45 if lying else 0, ha="right" if lying else "center")
    axes.set_yticks(places, names)
    axes.set(xlabel="prediction", ylabel="truth")
    axes.set_title(title, fontsize=11)
    for row, column in counts.nonzero().tolist() if few else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column].item()), ha="center", va="center", color=colour, fontsize=8)
    sheet.colorbar(image, ax=axes, fraction=0.046, label="share of the true class")
    save_sheet(sheet, path)


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


def new_sheet(width: float, height: float) -> Any:
    """Give an empty matplotlib figure of so many inches; raises `MissingExtra` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "train") from error
    sheet = Figure(figsize=(width, height), dpi=130, layout="constrained")
    sheet.get_layout_engine().set(w_pad=0.12, h_pad=0.08)  # inches: less, and rotated labels lose their edge
    return sheet


def save_sheet(sheet: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Class names may be in any script; a letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        sheet.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
