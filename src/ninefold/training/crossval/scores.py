"""What an outcome comes to: figures per subject, a row per model, and models compared pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np

from ninefold.errors import MissingExtra
from ninefold.training.crossval.significance import interval, off_chance, signed_rank, too_few

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ninefold.records import Examples
    from ninefold.training.crossval.runner import Outcome

MAJORITY: Final = "majority"


class Figures(NamedTuple):
    """How well one subject's rows were predicted, those of all its folds together.

    Args:
        subject: its name.
        rows: how many were predicted.
        accuracy: the share that was right, 0 to 1.
        balanced: the mean over classes of the share that was right, 0 to 1.
        macro_f1: the mean over classes of F1, 0 to 1, over classes that are there or were predicted.
    """

    subject: str
    rows: int
    accuracy: float
    balanced: float
    macro_f1: float


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A model's line of the table; every score is the mean over subjects, 0 to 1.

    Args:
        model: its name.
        subjects: how many have a score.
        accuracy: the share of rows that was right.
        sd: the standard deviation of the accuracy between subjects; None of one.
        interval: in which the mean accuracy lies, 95 %, by drawing subjects with replacement; None of one.
        balanced: accuracy if every class had as many rows.
        macro_f1: the mean F1 over classes.
        majority: accuracy of the model "majority" in the same folds; None when it was not asked for.
        null: balanced accuracy of the same model and folds on data that knows nothing of the labels; None without.
        null_off_chance: whether `null` is better than chance can make it; None without, or of too few groups.
        leaks: whether rows of one trial were in training and in test.
    """

    model: str
    subjects: int
    accuracy: float
    sd: float | None
    interval: tuple[float, float] | None
    balanced: float
    macro_f1: float
    majority: float | None
    null: float | None
    null_off_chance: bool | None
    leaks: bool


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """Two models compared, subject by subject, over the rows that both of them predicted.

    Args:
        first: a model.
        second: another one.
        subjects: how many have such rows.
        difference: the mean accuracy of the first less that of the second; None of no subject.
        p: of Wilcoxon's signed-rank test, two-sided; None of fewer than two subjects.
        remark: what to know before reading `p`; "" where nothing is.
    """

    first: str
    second: str
    subjects: int
    difference: float | None
    p: float | None
    remark: str


def figures(examples: Examples, predicted: NDArray[np.int64]) -> tuple[Figures, ...]:
    """Give the figures of every subject that has a prediction.

    Args:
        examples: the truth.
        predicted: (N,), -1 where a row was not predicted.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    return tuple(
        _figures(examples.names[subject], examples.labels[rows], predicted[rows])
        for subject, rows in _tested(examples, predicted >= 0)
    )


def table(outcome: Outcome, null: Outcome | None = None, *, seed: int = 0) -> tuple[Row, ...]:
    """Give a row for every model that predicted something.

    Args:
        outcome: of the data.
        null: of data of the same shape that knows nothing of the labels, under the same protocol.
        seed: of the draws for intervals.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    found = {name: figures(outcome.examples, predicted) for name, predicted in outcome.predicted.items()}
    majority = _mean(found[MAJORITY], "accuracy") if found.get(MAJORITY) else None
    return tuple(
        _row(name, own, majority, outcome.protocol.leaks, *_null(null, name, seed), seed)
        for name, own in found.items()
        if own
    )


def pairs(outcome: Outcome) -> tuple[Pair, ...]:
    """Compare every two models, over the rows that both of them predicted.

    Raises:
        MissingExtra: when SciPy is not installed.
    """
    return tuple(_pair(outcome, first, second) for first, second in combinations(outcome.predicted, 2))


def _tested(examples: Examples, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Give every subject that has chosen rows, and these rows."""
    for subject in np.unique(examples.subjects[chosen]):
        yield int(subject), np.flatnonzero(chosen & (examples.subjects == subject))


def _figures(name: str, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Figures:
    try:
        from sklearn.metrics import accuracy_score, f1_score, recall_score
    except ImportError as error:
        raise MissingExtra.of("scikit-learn", "train") from error
    return Figures(
        name,
        len(labels),
        float(accuracy_score(labels, predicted)),
        float(recall_score(labels, predicted, labels=np.unique(labels), average="macro")),
        float(f1_score(labels, predicted, average="macro")),
    )


def _mean(own: Sequence[Figures], what: str) -> float:
    return float(np.mean([getattr(one, what) for one in own]))


def _row(
    name: str,
    own: Sequence[Figures],
    majority: float | None,
    leaks: bool,
    null: float | None,
    off: bool | None,
    seed: int,
) -> Row:
    accuracies = [one.accuracy for one in own]
    return Row(
        model=name,
        subjects=len(own),
        accuracy=_mean(own, "accuracy"),
        sd=float(np.std(accuracies, ddof=1)) if len(own) > 1 else None,
        interval=interval(accuracies, seed=seed),
        balanced=_mean(own, "balanced"),
        macro_f1=_mean(own, "macro_f1"),
        majority=majority,
        null=null,
        null_off_chance=off,
        leaks=leaks,
    )


def _null(null: Outcome | None, name: str, seed: int) -> tuple[float | None, bool | None]:
    """Give a model's null score, and whether it is off chance."""
    if null is None or name not in null.predicted or not (null.predicted[name] >= 0).any():
        return None, None
    predicted = null.predicted[name]
    return _mean(figures(null.examples, predicted), "balanced"), off_chance(null.examples, predicted, seed=seed)


def _pair(outcome: Outcome, first: str, second: str) -> Pair:
    examples, ours, theirs = outcome.examples, outcome.predicted[first], outcome.predicted[second]
    rows_of = [rows for _, rows in _tested(examples, (ours >= 0) & (theirs >= 0))]
    a, b = ([float(np.mean(x[rows] == examples.labels[rows])) for rows in rows_of] for x in (ours, theirs))
    difference = float(np.mean(np.subtract(a, b))) if a else None
    return Pair(first, second, len(a), difference, signed_rank(a, b), too_few(a, b))
