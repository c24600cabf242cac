"""Classifiers of scikit-learn's that a network must beat, on any rows of features.

Importing this loads none of torch, NumPy and scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, final

from ninefold.errors import InvalidInput, MissingExtra, UnknownName
from ninefold.records import Examples
from ninefold.training.interrupts import no_half_training

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sklearn.pipeline import Pipeline

    from ninefold.data import Source
    from ninefold.records import SplitName

_SIZE: Final = (32, 32)  # of pictures whose sizes differ
_BLOCK: Final = 1024  # pictures that are turned into rows at a time


def _svm(_seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC()


def _svm_linear(seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=seed, max_iter=10_000)


def _mlp(seed: int) -> Any:
    from ninefold.training.halving_mlp import HalvingMLP

    return HalvingMLP(random_state=seed)


def _lda(_seed: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis()


def _tree(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=20, random_state=seed)


def _knn(_seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier()


def _majority(_seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


BASELINES: Final[dict[str, Callable[[int], Any]]] = {
    "svm": _svm,
    "svm-linear": _svm_linear,
    "mlp": _mlp,
    "lda": _lda,
    "tree": _tree,
    "knn": _knn,
    "majority": _majority,
}
"""By name, a function of a seed that gives a fresh classifier."""


def baseline(name: str, seed: int = 0) -> Pipeline:
    """Give a fresh classifier, with every feature scaled to mean 0 and standard deviation 1 in its training rows.

        svm          support vectors, k(a, b) = exp(-|a - b|^2 / (features * variance)), C = 1
        svm-linear   support vectors, linear, squared hinge, C = 1
        mlp          dense layers of a half, a quarter and an eighth as many units as features, see `HalvingMLP`
        lda          linear discriminant analysis
        tree         decision tree, at most 20 deep
        knn          the most frequent class among the 5 nearest
        majority     the most frequent class of the training rows, whatever comes

    Args:
        name: of `BASELINES`.
        seed: of what is left to chance, >= 0; equal seeds and rows give equal predictions.

    Raises:
        UnknownName: when there is no such classifier.
        InvalidInput: when the seed is negative.
        MissingExtra: when scikit-learn is not installed.

    >>> baseline("lda").fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1]).predict([[0.5], [4.5]]).tolist()
    [0, 1]
    """
    if name not in BASELINES:
        raise UnknownName.among("baseline", name, BASELINES)
    if seed < 0:
        raise InvalidInput(f"seed={seed} came; wanted at least 0")
    return scaled(name, BASELINES[name](seed))


def scaled(name: str, classifier: Any) -> Pipeline:
    """Put before a classifier what brings every feature to mean 0 and standard deviation 1 in its training rows.

    Args:
        name: of the classifier in the pipeline.
        classifier: with scikit-learn's `fit` and `predict`.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    try:
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingExtra.of("scikit-learn", "train") from error
    return Pipeline([("scale", StandardScaler()), (name, classifier)])


def features_of(source: Source, split: SplitName, limit: int | None = None) -> Examples:
    """Give the pictures of a split as rows of numbers from 0 to 1.

    Args:
        source: of pictures; where their sizes differ, they are brought to 32x32.
        split: which pictures.
        limit: at most so many of them, evenly spread over the split; None: all.

    Returns:
        values (N, C * H * W), channel by channel and row by row; every picture is a group of its own.

    Raises:
        InvalidInput: when `limit` is below 1.
    """
    import numpy as np

    from ninefold.data import Pipeline as Pictures

    if limit is not None and limit < 1:
        raise InvalidInput(f"limit={limit} came; wanted at least 1")
    samples, size = source.split(split), source.size or _SIZE
    count = min(limit or len(samples), len(samples))
    chosen = [i * len(samples) // count for i in range(count)]
    to_rows = Pictures(size, source.channels, mean=(0.0,), std=(1.0,))
    blocks = [samples.__getitems__(chosen[i : i + _BLOCK]) for i in range(0, count, _BLOCK)]
    values = np.concatenate([to_rows(block).images.flatten(1).double().numpy() for block in blocks])
    labels = samples.labels.numpy()[chosen]
    groups, subjects = np.arange(count), np.zeros(count, np.int64)
    return Examples(values, labels, groups, subjects, source.classes, (source.card.name,))


@final
@dataclass(frozen=True, slots=True)
class Score:
    """What a classifier came to on the test pictures of a source.

    Args:
        model: its name.
        data: the source's name.
        train: pictures that it was trained on.
        test: pictures that it was tested on.
        features: numbers of a picture.
        accuracy: the share of test pictures that was right, 0 to 1.
        balanced: accuracy if every class had as many test pictures.
        macro_f1: the mean F1 over classes.
        seconds: that training and predicting took.
    """

    model: str
    data: str
    train: int
    test: int
    features: int
    accuracy: float
    balanced: float
    macro_f1: float
    seconds: float


def score(
    name: str, data: str, data_dir: Path | None = None, *, limit: int | None = None, seed: int = 0
) -> tuple[Score, ...]:
    """Train a classifier on the train pictures of a source, test it on the test pictures, and the majority beside it.

    Args:
        name: of `BASELINES`.
        data: name of a source of pictures.
        data_dir: the folder with its files; None: wherever the source keeps them.
        limit: train on at most so many pictures, evenly spread over the split; None: all.
        seed: of what is left to chance, >= 0.

    Returns:
        Its score, then the majority's.

    Raises:
        UnknownName: when there is no such classifier or source.
        InvalidInput: when the source holds points, `limit` or `seed` is out of range, or the pictures are too few for
            the classifier.
        DataError: when the data is missing or damaged.
        MissingExtra: when scikit-learn is not installed.
    """
    from ninefold.data import card, open_source
    from ninefold.training.crossval.scores import MAJORITY

    models = {model: baseline(model, seed) for model in dict.fromkeys((name, MAJORITY))}
    if card(data).holds != "pictures":
        raise InvalidInput(f"the data source {data!r} holds points; wanted one of pictures, such as digits")
    source = open_source(data, data_dir)
    train, test = features_of(source, "train", limit), features_of(source, "test")
    return tuple(_score(model, made, train, test) for model, made in models.items())


def _score(name: str, model: Pipeline, train: Examples, test: Examples) -> Score:
    from ninefold.training.crossval import figures

    started = perf_counter()
    try:
        with no_half_training():
            predicted = model.fit(train.values, train.labels).predict(test.values)
    except ValueError as error:
        raise InvalidInput(
            f"{name} cannot learn from {len(train.labels)} pictures of {len(set(train.labels))} classes: "
            f"{str(error).partition(chr(10))[0]}; take more of them"
        ) from error
    seconds = perf_counter() - started
    (found,) = figures(test, predicted)
    sizes = len(train.labels), len(test.labels), train.values.shape[1]
    return Score(name, *test.names, *sizes, found.accuracy, found.balanced, found.macro_f1, round(seconds, 3))
