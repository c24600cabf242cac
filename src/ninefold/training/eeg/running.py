"""A study of EEG emotion recognition: from recordings to a table that says what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ninefold.data.eeg.cohort import open_cohort
from ninefold.storage import alone_in, write_text
from ninefold.training.crossval import cross_validate
from ninefold.training.eeg.figures import draw_accuracies, draw_topography
from ninefold.training.eeg.folder import ACCURACIES, NULL, REPORT, TOPOGRAPHY, check_folder, open_folder
from ninefold.training.eeg.models import builders
from ninefold.training.eeg.null import null_people
from ninefold.training.eeg.report import EegReport, report_of
from ninefold.training.eeg.rows import Person, measure_all, rows_of
from ninefold.training.progress import say, style_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ninefold.data.eeg.cohort import Cohort
    from ninefold.records import Examples
    from ninefold.training.crossval import Outcome
    from ninefold.training.crossval.work import Estimator
    from ninefold.training.eeg.settings import EegSettings


def study(settings: EegSettings, out: Path, *, jobs: int | None = None, progress: str = "bar") -> EegReport:
    """Measure everybody, train and test every model on every fold, do the same on noise, and write what came of it.

    The folder gets `config.yaml`, `folds/` with a file for every finished training, `null/folds/` with those on noise,
    `report.json`, `accuracies.png` and `topography.png`. A study that was killed goes on where it was when it is called
    with the same settings and folder.

    Args:
        settings: of the study.
        out: its folder.
        jobs: processes that train, >= 1; None: one per processor. The result does not depend on it.
        progress: "bar", "lines" or "none"; on standard error.

    Returns:
        What `report.json` holds. Whose recording cannot be used, and which fold cannot be computed, is told in
        `failures`; the others' results are there.

    Raises:
        MissingData: when there is no such folder, or it lacks somebody.
        CorruptFile: when no recording can be used.
        InvalidInput: when no fold can be computed, people were recorded in different ways, the target was not rated,
            or the network is wanted and there is no plane for the electrodes.
        RunError: when the folder holds something with other settings, another process is at work there, or the system
            ended a process.
        StorageFull: when the disk has no room.
        MissingExtra: when a package is not installed.

    Source: features, network and the protocol segment-kfold are those of Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous
    convolutional neural network with 3D input for EEG-based emotion recognition", ICONIP 2018.
    """
    style = style_here(progress)
    cohort = open_cohort(settings.data, settings.subjects or None, settings.channels)
    with alone_in(out):
        return _studied(cohort, settings, out, jobs, style)


def _studied(cohort: Cohort, settings: EegSettings, out: Path, jobs: int | None, style: str) -> EegReport:
    check_folder(settings, out)
    people, left_out = measure_all(cohort, settings.features(), style)
    case = _case(people, settings)
    open_folder(settings, out)  # what cannot be done has been refused
    outcome = cross_validate(*case, settings.plan(), out, jobs=jobs, progress=style)
    noise = null_people(_tested(people, outcome), settings)
    null = None
    if noise:
        say(style, f"the null: noise in the place of {len(noise)} of {len(people)} people")
        null = cross_validate(*_case(noise, settings), settings.plan(), out / NULL, jobs=jobs, progress=style)
    report = report_of(settings, outcome, null, tuple(left_out))
    if report.subjects:
        draw_accuracies(out / ACCURACIES, report)
        draw_topography(out / TOPOGRAPHY, people, settings)
    write_text(out / REPORT, report.to_json())
    return report


def _case(people: list[Person], settings: EegSettings) -> tuple[Examples, dict[str, Callable[[], Estimator]]]:
    return rows_of(people, settings), builders(settings, people[0].setup.channels)


def _tested(people: list[Person], outcome: Outcome) -> list[Person]:
    """Give those of whom some model predicted something."""
    predicted = np.any([labels >= 0 for labels in outcome.predicted.values()], axis=0)
    return [people[number] for number in np.unique(outcome.examples.subjects[predicted])]
