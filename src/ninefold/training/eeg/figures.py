"""The two pictures of a study: accuracies of every person, and maps of what was measured on the head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ninefold.data.eeg.deap import CHANNELS
from ninefold.data.eeg.features import finished
from ninefold.data.eeg.filters import BANDS
from ninefold.data.eeg.grid import Grid, on_grid, plane_of, positions_of
from ninefold.errors import InvalidInput, MissingExtra
from ninefold.training.crossval.scores import MAJORITY
from ninefold.training.eeg.rows import high
from ninefold.training.plots import new_sheet, save_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ninefold.training.eeg.report import EegReport
    from ninefold.training.eeg.rows import Person
    from ninefold.training.eeg.settings import EegSettings

_GREY: Final = "#5b6068"
_MARKERS: Final = "osD^vP*Xh"
_APART: Final = 0.08  # inches from the marks of a model to those of the next, at least, so that they do not overlap


def draw_accuracies(path: Path, report: EegReport) -> None:
    """Draw the accuracy of every model for every person, and what the majority of each has.

    Args:
        path: of the PNG.
        report: with at least one person.
    """
    people = report.subjects
    models = [name for name in report.per_subject if name != MAJORITY]
    sheet = new_sheet(max(6.0, 2.6 + max(0.34, _APART * len(models)) * len(people)), 3.8)
    axes = sheet.subplots()
    places = {name: place for place, name in enumerate(people)}
    for number, name in enumerate(models):
        own = report.per_subject[name]
        beside = 0.8 * (number + 0.5) / len(models) - 0.4
        axes.plot(
            [places[one.subject] + beside for one in own],
            [one.accuracy for one in own],
            linestyle="none",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=name,
        )
    majority = report.per_subject.get(MAJORITY, ())
    axes.hlines(
        [one.accuracy for one in majority],
        [places[one.subject] - 0.42 for one in majority],
        [places[one.subject] + 0.42 for one in majority],
        color=_GREY,
        label=MAJORITY,
    )
    axes.set_xticks(range(len(people)), people, rotation=90 if len(people) > 12 else 0)
    lowest = min(one.accuracy for own in report.per_subject.values() for one in own)
    axes.set(
        xlabel="person",
        ylabel="accuracy, share of windows",
        xlim=(-0.7, len(people) - 0.3),
        ylim=(min(0.4, lowest - 0.02), 1.01),
    )
    axes.grid(visible=True, axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    leaks = ", which leaks" if report.protocol.leaks else ""
    axes.set_title(f"{_told(report.settings)}, {report.protocol.name}{leaks}", fontsize=10)
    save_sheet(sheet, path)


def draw_topography(path: Path, people: Sequence[Person], settings: EegSettings) -> None:
    """Draw the mean differential entropy of every band on the head: of trials rated low, high, and the difference.

    Means are taken over windows and trials, then over people who have trials of both classes. With MNE the map is a
    head, seen from above; without, the plane of cells that networks see. Nothing is drawn where nobody has both, or
    where no place of the electrodes is known.

    Args:
        path: of the PNG.
        people: whose features.
        settings: which target, and whether the rest is subtracted.
    """
    rated = [person for person in people if 0 < high(person.measured, settings.target).mean() < 1]
    where = _places(rated[0].setup.channels) if rated else None
    if where is None:
        return
    low, up = class_means(rated, settings)
    both = [(low[band], up[band], up[band] - low[band]) for band in range(len(BANDS))]
    sheet = new_sheet(7.6, 1.2 + 1.9 * len(BANDS))
    rest = " above that at rest" if settings.baseline == "remove" else ""
    sheet.suptitle(f"differential entropy{rest}, in nats: {_told(settings)}", fontsize=10)
    rows = sheet.subplots(len(BANDS), 3, squeeze=False)
    for axes, band, maps in zip(rows, BANDS, both, strict=True):
        ends = min(maps[0].min(), maps[1].min()), max(maps[0].max(), maps[1].max())
        most = float(np.abs(maps[2]).max()) or 1.0
        _draw_map(axes[0], maps[0], where, "viridis", ends)
        image = _draw_map(axes[1], maps[1], where, "viridis", ends)
        sheet.colorbar(image, ax=axes[:2].tolist(), fraction=0.05)
        image = _draw_map(axes[2], maps[2], where, "RdBu_r", (-most, most))
        sheet.colorbar(image, ax=axes[2], fraction=0.08)
        axes[0].set_ylabel(f"{band.name}\n{band.low:g}-{band.high:g} Hz", rotation=0, ha="right", va="center")
    for axes, title in zip(rows[0], ("low", "high", "high less low"), strict=True):
        axes.set_title(title, fontsize=10)
    save_sheet(sheet, path)


def class_means(people: Sequence[Person], settings: EegSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean features (B, C) of the trials that were rated low, and of those that were rated high.

    Args:
        people: at least one; each with trials of both classes.
        settings: which target, and whether the rest is subtracted.
    """
    found = []
    for _, one, _ in people:
        values = finished(one, settings.baseline, "none").mean(axis=1)  # (T, B, C)
        labels = high(one, settings.target)
        found.append([values[labels == label].mean(axis=0) for label in (0, 1)])
    low, up = np.mean(found, axis=0)
    return low, up


def _told(settings: EegSettings) -> str:
    """Say what was told from whose recordings: of a folder the last name, since all of them may be too long."""
    return f"{settings.target} of {settings.data if ':' in settings.data else Path(settings.data).absolute().name}"


def _places(channels: Sequence[str]) -> Any:
    """Say where to draw: MNE's info of electrodes on a head, a plane, or None where no place is known."""
    try:
        plane = plane_of(channels)
    except (InvalidInput, MissingExtra):
        return None
    try:
        from mne import create_info
        from mne.channels import make_dig_montage
    except ImportError:
        return plane
    positions = positions_of(channels)
    spread = np.linalg.matrix_rank(positions[:, :2] - positions[:, :2].mean(axis=0), tol=1e-3)
    if spread < 2 or len(np.unique(positions, axis=0)) < len(positions):  # MNE draws no line, and none twice
        return plane
    info = create_info(list(channels), 1.0, "eeg", verbose="error")
    if set(channels) <= set(CHANNELS):
        return info.set_montage("biosemi32")
    return info.set_montage(make_dig_montage(dict(zip(channels, positions, strict=True)), coord_frame="head"))


def _draw_map(axes: Any, values: NDArray[np.float64], where: Any, colours: str, ends: tuple[float, float]) -> Any:
    """Draw a value per channel (C,): on a head, or on the plane."""
    if isinstance(where, Grid):
        filled, plane = (on_grid(each[None, None], where)[0, 0] for each in (np.ones_like(values), values))
        axes.set(xticks=[], yticks=[])
        return axes.imshow(np.where(filled, plane, np.nan), cmap=colours, vmin=ends[0], vmax=ends[1])
    from mne.viz import plot_topomap

    return plot_topomap(values, where, axes=axes, cmap=colours, vlim=ends, contours=0, show=False)[0]
