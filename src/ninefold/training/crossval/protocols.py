"""Which rows train and which are tested: five ways to cut grouped data into folds, and what each of them is worth.

A row of `records.Examples` belongs to a group (a trial) and a group to a subject. What a protocol never cuts apart, its
unit, decides what its score means: a model that is tested on rows of a trial which it has trained on may know the trial
again rather than its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, final
from zlib import crc32

import numpy as np

from ninefold.errors import InvalidInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ninefold.records import Examples

_NOTHING: Final = np.empty(0, np.int64)


@final
@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to cut data into folds.

    Args:
        name: on the command line.
        sentence: what a score under it says.
        unit: what is in training as a whole or in test as a whole.
        k: the number of folds if none is given; None: as many as there are units, always.
    """

    name: str
    sentence: str
    unit: Literal["trial", "subject", "row"]
    k: int | None

    @property
    def leaks(self) -> bool:
        """Whether rows of one trial are in training and in test."""
        return self.unit == "row"

    @property
    def within(self) -> bool:
        """Whether every subject is cut into folds of its own, rather than all of them together."""
        return self.unit != "subject"


DEFAULT: Final = "trial-kfold"
_KNOWN: Final = (
    Protocol(DEFAULT, "trained on some trials of a subject and tested on its other trials", "trial", 5),
    Protocol(
        "leave-one-trial-out", "trained on all trials of a subject but one, and tested on that one", "trial", None
    ),
    Protocol("leave-one-subject-out", "trained on all subjects but one, and tested on that", "subject", None),
    Protocol("subject-kfold", "trained on some subjects and tested on the others", "subject", 5),
    Protocol(
        "segment-kfold",
        "leaks: rows of one trial are in training and in test, so a score may say that the trial was known again and "
        "nothing about its class",
        "row",
        10,
    ),
)
PROTOCOLS: Final = {protocol.name: protocol for protocol in _KNOWN}


class Fold(NamedTuple):
    """One training and its test.

    Args:
        name: such as "s01-3", the third fold of subject s01.
        subject: the only one that is tested; None: several are.
        train: int64, rows to train on, ascending.
        test: int64, rows to predict, ascending.
        why_not: why it cannot be computed, a sentence; "": it can.
    """

    name: str
    subject: str | None
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    why_not: str = ""


def protocol(name: str) -> Protocol:
    """Give the protocol of that name.

    Raises:
        UnknownName: when there is none.

    >>> protocol("segment-kfold").leaks, protocol("trial-kfold").leaks
    (True, False)
    """
    if name not in PROTOCOLS:
        raise UnknownName.among("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def folds_of(kind: Protocol, k: int | None) -> int | None:
    """Give the number of folds.

    Args:
        kind: of `PROTOCOLS`.
        k: what was asked for; None: the protocol's own number.

    Returns:
        The number, >= 2; None: one per trial or subject.

    Raises:
        InvalidInput: when k is below 2, or given where the data decide.
    """
    if k is not None and kind.k is None:
        raise InvalidInput(f"{kind.name} makes a fold of every {kind.unit}, and {k} folds came; leave the number out")
    if k is not None and k < 2:
        raise InvalidInput(f"{k} folds came; wanted at least 2")
    return k or kind.k


def folds(kind: Protocol, examples: Examples, k: int | None = None, seed: int = 0) -> list[Fold]:
    """Cut the rows into folds; every row is tested in exactly one of them, unless its subject cannot be cut.

    How a subject is cut within itself depends on its own rows, its name and the seed, not on who else is there.
    Trials are dealt so that every fold has about the same share of each class; rows of "segment-kfold" are shuffled
    once and cut into k runs of equal length, as published.

    Args:
        kind: of `PROTOCOLS`.
        examples: no two subjects share a group.
        k: how many folds, >= 2; None: the protocol's own number.
        seed: of what is left to chance, >= 0.

    Returns:
        The folds, subject by subject. One that cannot be computed says why: its subject has a value that is no number
        or fewer trials than folds, or a class is missing from the subject or from what would be trained on.

    Raises:
        InvalidInput: when the examples do not fit together; when k is out of range, given where the data decide, or
            more than there are subjects; when a group would be on both sides; when a value is no number and every fold
            has it; or when no fold can be computed.

    Source: of "segment-kfold": Yang, Wu, Fu, Chen, "Continuous Convolutional Neural Network with 3D Input for EEG-Based
        Emotion Recognition", ICONIP 2018, as the code of its authors cuts.
    """
    _check(examples)
    k = folds_of(kind, k)
    subjects = np.unique(examples.subjects)
    cut = _within if kind.within else _across
    found = [_complete(fold, examples) for fold in cut(kind, examples, subjects, k, seed)]
    if not kind.leaks:
        for fold in found:
            _keep_apart(fold, examples)
    if all(fold.why_not for fold in found):
        raise InvalidInput(found[0].why_not)
    return found


def _check(examples: Examples) -> None:
    rows = [len(column) for column in examples[:4]]
    if len(set(rows)) > 1 or not rows[0]:
        raise InvalidInput(f"{', '.join(map(str, rows))} values, labels, groups and subjects came; wanted one per row")
    for what, column, names in (
        ("label", examples.labels, examples.classes),
        ("subject", examples.subjects, examples.names),
    ):
        if column.min() < 0 or column.max() >= len(names) or len(set(names)) < len(names):
            raise InvalidInput(
                f"{what}s {column.min()} to {column.max()} came with the names {', '.join(names)}; wanted each {what} "
                "to be the place of one of them, and no name twice"
            )


def _within(
    kind: Protocol, examples: Examples, subjects: NDArray[np.int64], k: int | None, seed: int
) -> Iterator[Fold]:
    for subject in subjects:
        name, rows = examples.names[subject], np.flatnonzero(examples.subjects == subject)
        why_not = _why_not(kind, name, examples, rows, k)
        if why_not:
            yield Fold(name, name, _NOTHING, _NOTHING, why_not)
            continue
        for number, test in enumerate(_tests(kind, examples, rows, k, _seed(seed, name)), start=1):
            yield Fold(f"{name}-{number}", name, np.setdiff1d(rows, test), test)


def _why_not(kind: Protocol, name: str, examples: Examples, rows: NDArray[np.int64], k: int | None) -> str:
    """Say why a subject cannot be cut."""
    no_number = _no_number(examples, rows)
    if no_number:
        return no_number
    trials = np.unique(examples.groups[rows])
    counts = np.bincount(examples.labels[rows], minlength=len(examples.classes))
    if not counts.all():
        missing = examples.classes[int(counts.argmin())]
        return f"{name} has no trial of class {missing!r} among its {len(trials)}; leave this subject out"
    units = trials if kind.unit == "trial" else rows
    if len(units) < (k or 2):
        return f"{name} has {len(units)} {kind.unit}s, fewer than the {k or 2} folds; ask for fewer, or leave it out"
    if kind.unit == "trial" and k and counts.max() < k:
        return f"{name} has at most {counts.max()} rows of a class, fewer than the {k} folds; ask for fewer"
    return ""


def _no_number(examples: Examples, rows: NDArray[np.int64]) -> str:
    """Say whose value among the rows is no number, and in which trial."""
    broken = rows[~np.isfinite(examples.values[rows].reshape(len(rows), -1)).all(axis=1)]
    if not len(broken):
        return ""
    subject = examples.subjects[broken[0]]
    trials = np.unique(examples.groups[examples.subjects == subject])
    place = int(np.searchsorted(trials, examples.groups[broken[0]])) + 1
    return (
        f"{examples.names[subject]} has a value that is no number in trial {place} of {len(trials)}; leave this "
        "subject out"
    )


def _tests(
    kind: Protocol, examples: Examples, rows: NDArray[np.int64], k: int | None, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Give the rows of each test, ascending."""
    groups = examples.groups[rows]
    if kind.unit == "row":
        yield from map(np.sort, np.array_split(np.random.default_rng(seed).permutation(rows), k or 2))
    elif k is None:
        yield from (rows[groups == group] for group in np.unique(groups))
    else:
        yield from (rows[test] for test in _stratified(examples.labels[rows], groups, k, seed))


def _stratified(labels: NDArray[np.int64], groups: NDArray[np.int64], k: int, seed: int) -> Iterator[NDArray[np.int64]]:
    import warnings

    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise MissingExtra.of("scikit-learn", "train") from error
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class of fewer rows than folds is missing from some tests, which their subject's other tests make up for.
        warnings.filterwarnings("ignore", message="The least populated class")
        yield from (test for _, test in splitter.split(labels, labels, groups))


def _across(
    kind: Protocol, examples: Examples, subjects: NDArray[np.int64], k: int | None, seed: int
) -> Iterator[Fold]:
    if len(subjects) < (k or 2):
        raise InvalidInput(
            f"{kind.name} needs at least {k or 2} subjects, and {len(subjects)} came; take more of them"
            + (", or fewer folds" if k and len(subjects) > 1 else "")
        )
    no_number = _no_number(examples, np.arange(len(examples.labels)))
    if no_number:
        raise InvalidInput(no_number)
    if k is None:
        parts, names = [subjects[i : i + 1] for i in range(len(subjects))], [examples.names[s] for s in subjects]
    else:
        parts = np.array_split(np.random.default_rng(seed).permutation(subjects), k)
        names = [f"subjects-{number}" for number in range(1, k + 1)]
    for name, part in zip(names, parts, strict=True):
        tested = np.isin(examples.subjects, part)
        yield Fold(name, None if k else name, np.flatnonzero(~tested), np.flatnonzero(tested))


def _complete(fold: Fold, examples: Examples) -> Fold:
    """Let a fold say so when a class is missing from its training."""
    counts = np.bincount(examples.labels[fold.train], minlength=len(examples.classes))
    if fold.why_not or counts.all():
        return fold
    missing = examples.classes[int(counts.argmin())]
    return fold._replace(why_not=f"fold {fold.name} has no row of class {missing!r} to train on; ask for other folds")


def _keep_apart(fold: Fold, examples: Examples) -> None:
    shared = np.intersect1d(examples.groups[fold.train], examples.groups[fold.test])
    if len(shared):
        raise InvalidInput(
            f"fold {fold.name} has rows of group {shared[0]} in training and in test; give the groups of every subject "
            "numbers of their own"
        )


def _seed(seed: int, name: str) -> int:
    """Give the seed of a subject, whoever else is there."""
    return int(np.random.SeedSequence([seed, crc32(name.encode())]).generate_state(1)[0])
