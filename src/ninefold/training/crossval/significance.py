"""How sure a score is: intervals by the bootstrap, paired tests, and whether a null score is off chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ninefold.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ninefold.records import Examples

DRAWS: Final = 10_000
LEAST_SUBJECTS: Final = 6
"""Of fewer that differ no signed-rank test can give a p-value below 0.05: the least of n is 2 / 2^n."""

LEAST_GROUPS: Final = 10

_SURE: Final = 0.999
_DECIMALS: Final = 12  # differences of equal scores differ by rounding only, and must count as ties


def interval(scores: Sequence[float], *, sure: float = 0.95, seed: int = 0) -> tuple[float, float] | None:
    """Give the percentile interval of the mean by the bootstrap: subjects are drawn with replacement.

    Args:
        scores: one per subject.
        sure: the share of means of drawn subjects that lie inside, 0 to 1.
        seed: of the draws.

    Returns:
        Its two ends, or None of fewer than two subjects.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    >>> low, high = interval([0.6, 0.7, 0.65, 0.72])
    >>> 0.6 <= low < 0.6675 < high <= 0.72
    True
    """
    values = np.asarray(scores, np.float64)
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - sure) / 2, (1 + sure) / 2])
    return float(low), float(high)


def signed_rank(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Give the two-sided p-value of Wilcoxon's signed-rank test between two models.

    Subjects with equal scores are left out, as Wilcoxon did.

    Args:
        first: a score per subject.
        second: of the same subjects.

    Returns:
        None of fewer than two subjects, and 1 where all scores are equal.

    Raises:
        MissingExtra: when SciPy is not installed.

    Source: Wilcoxon, "Individual Comparisons by Ranking Methods", 1945.

    >>> signed_rank([0.6, 0.7, 0.8], [0.5, 0.5, 0.5]), signed_rank([0.6, 0.7], [0.6, 0.7]), signed_rank([0.6], [0.5])
    (0.25, 1.0, None)
    """
    try:
        from scipy.stats import wilcoxon
    except ImportError as error:
        raise MissingExtra.of("scipy", "train") from error
    differences = _differences(first, second)
    if len(differences) < 2:
        return None
    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0


def too_few(first: Sequence[float], second: Sequence[float]) -> str:
    """Say when there are too few subjects for a p-value of `signed_rank` below 0.05; "" when there are enough.

    Args:
        first: a score per subject.
        second: of the same subjects.

    >>> too_few([0.6, 0.7, 0.8], [0.6, 0.5, 0.5])
    'of 3 subjects 2 score differently, and of so few no p-value can be below 0.05'
    """
    differences = _differences(first, second)
    count, differ = len(differences), np.count_nonzero(differences)
    if count < 2:
        return "a p-value needs two subjects at least"
    if differ >= LEAST_SUBJECTS:
        return ""
    of_these = f" {differ} score differently, and of so few" if differ < count else ""
    return f"of {count} subjects{of_these} no p-value can be below 0.05"


def off_chance(examples: Examples, predicted: NDArray[np.int64], *, seed: int = 0) -> bool | None:
    """Say whether predictions are better than chance can make them.

    Every subject's groups are drawn with replacement, since rows of one group are right or wrong together. What is
    measured is the balanced accuracy, whose chance is 1 / classes however unequal the classes are: a model that always
    says the commonest one has it exactly.

    Args:
        examples: the truth.
        predicted: (N,), -1 where a row was not predicted.
        seed: of the draws.

    Returns:
        Whether 99.9 % of the draws are above chance; None of fewer than ten groups, from which nothing follows.
    """
    tested = predicted >= 0
    if len(np.unique(examples.groups[tested])) < LEAST_GROUPS:
        return None
    generator = np.random.default_rng(seed)
    means = np.mean(
        [
            _drawn(examples, predicted, np.flatnonzero(tested & (examples.subjects == subject)), generator)
            for subject in np.unique(examples.subjects[tested])
        ],
        axis=0,
    )
    return bool(np.quantile(means, 1 - _SURE) > 1 / len(examples.classes))


def _differences(first: Sequence[float], second: Sequence[float]) -> NDArray[np.float64]:
    return np.round(np.subtract(first, second), _DECIMALS)


def _drawn(
    examples: Examples, predicted: NDArray[np.int64], rows: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Give the balanced accuracies (draws,) of a subject."""
    labels = examples.labels[rows]
    found, group = np.unique(examples.groups[rows], return_inverse=True)
    right, rows_of = np.zeros((2, len(found), len(examples.classes)))
    np.add.at(rows_of, (group, labels), 1)
    np.add.at(right, (group, labels), predicted[rows] == labels)
    drawn = generator.multinomial(len(found), np.full(len(found), 1 / len(found)), size=DRAWS)  # (draws, groups)
    with np.errstate(invalid="ignore"):  # a class that a draw lacks
        return np.asarray(np.nanmean((drawn @ right) / (drawn @ rows_of), axis=1))
