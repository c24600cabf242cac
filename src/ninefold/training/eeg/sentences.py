"""What has to be said beside the scores of a study."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from ninefold.training.crossval.significance import LEAST_SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.training.crossval import Protocol, Row
    from ninefold.training.eeg.settings import EegSettings


def remarks(settings: EegSettings, kind: Protocol, scores: Sequence[Row]) -> tuple[str, ...]:
    """Say what a reader must know before believing the scores.

    Args:
        settings: of the study.
        kind: its protocol.
        scores: of its models.

    Returns:
        Sentences: that the protocol leaks, that a null score is off chance and why, that people are few or tests many,
        that the majority is no measure, that there was no null.
    """
    found = [f"{kind.name} {kind.sentence}"] if kind.leaks else []
    off = [row for row in scores if row.null_off_chance]
    if off:
        told = ", ".join(f"{row.model} {row.null:.3f}" for row in off)
        found.append(
            f"on noise that knows nothing of {settings.target}, where chance is 0.5, this very protocol gives {told}: "
            f"the scores of the same on the data are no evidence of {settings.target}, since {_reason(settings, kind)}"
        )
    people = max((row.subjects for row in scores), default=0)
    if 1 < people < LEAST_SUBJECTS:
        found.append(f"intervals that are drawn from {people} people are narrower than what {people} people can tell")
    if kind.unit == "trial" and kind.k is None:
        found.append(
            "of whose trials as many are low as high, the majority of all others is the wrong class of every trial: "
            "compare with 0.5 rather than with the majority"
        )
    tests = comb(len(scores), 2)
    if people >= LEAST_SUBJECTS and tests > 1:
        found.append(f"the p-values are of {tests} tests, and not corrected for their number")
    if not settings.null_subjects:
        found.append("no null was computed, so nothing shows what these scores are on noise")
    elif scores and all(row.null_off_chance is None for row in scores):
        found.append("the null has fewer than ten trials, from which nothing follows")
    return tuple(found)


def _reason(settings: EegSettings, kind: Protocol) -> str:
    if not kind.leaks:
        return "something that training and test share tells the classes apart"
    if settings.baseline == "remove":
        return (
            "the same rest is subtracted from all windows of a trial and marks them, and a model that has trained on "
            "some of them knows the others again"
        )
    return "windows of a trial are alike, and a model that has trained on some of them knows the others again"
