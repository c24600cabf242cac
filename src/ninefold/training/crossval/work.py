"""One training on one fold, in this process or in another; and its fingerprint."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from functools import cache
from threading import Thread
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from ninefold.errors import MissingExtra, NinefoldError
from ninefold.training.crossval.kept import Predicted, keep
from ninefold.training.interrupts import no_half_training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ninefold.training.crossval.protocols import Fold

_LOOK_SECONDS: Final = 0.5


class Estimator(Protocol):
    """What is trained: scikit-learn's two names."""

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64], /) -> Any:
        """Train on rows (N, D) and their labels (N,)."""

    def predict(self, X: NDArray[np.float64], /) -> NDArray[np.int64]:
        """Give a label (N,) for each row (N, D)."""


class Task(NamedTuple):
    """A model to be trained and tested on a fold.

    Args:
        number: its place among all tasks.
        model: its name.
        make: gives a fresh estimator; module-level functions and `functools.partial` of them reach other processes.
        fold: which rows.
        labels: int64, of the rows to train on, and of no other.
        fingerprint: of everything that the prediction depends on.
        path: of the file to keep the result in; None: nowhere.
    """

    number: int
    model: str
    make: Callable[[], Estimator]
    fold: Fold
    labels: NDArray[np.int64]
    fingerprint: str = ""
    path: Path | None = None


class Done(NamedTuple):
    """What became of a task.

    Args:
        number: of the task.
        predicted: None when it failed.
        failure: why it failed, a sentence.
        remarks: what the estimator warned of.
    """

    number: int
    predicted: Predicted | None
    failure: str = ""
    remarks: tuple[str, ...] = ()


def work(task: Task, values: NDArray[np.float64]) -> Done:
    """Train on a fold with one thread, predict its test, and keep the result; an estimator that fails ends only this.

    Args:
        task: what to do.
        values: float64 (N, D), all rows.

    Raises:
        StorageFull: when the disk has no room for the result.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            predicted = _predicted(task, values)
        except Exception as error:  # noqa: BLE001  # an estimator may fail in any way, and the other folds stay
            return Done(task.number, None, f"{task.model} on fold {task.fold.name}: {_sentence(error)}")
    if task.path is not None:
        keep(task.path, task.fingerprint, predicted)
    remarks = (f"{task.model}: {_first_line(warning.message)}" for warning in caught)
    return Done(task.number, predicted, remarks=tuple(dict.fromkeys(remarks)))


def work_for(parent: int, task: Task, values: NDArray[np.float64]) -> Done:
    """Do as `work` does, in another process, which does not outlive the one that asked for it.

    Args:
        parent: the number of the process that asked.
        task: what to do.
        values: float64 (N, D), all rows.

    Raises:
        StorageFull: when the disk has no room for the result.
    """
    _watch(parent)
    return work(task, values)


def fingerprint(*things: Any) -> str:
    """Give a name that changes whenever one of the things does, the same in every process.

    Args:
        things: arrays, numbers, text, estimators that are not trained yet.

    >>> fingerprint(np.arange(3), "svm") == fingerprint(np.arange(3), "svm") != fingerprint(np.arange(4), "svm")
    True
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingExtra.of("joblib", "train") from error
    return str(joblib.hash(things, hash_name="sha1"))


def _predicted(task: Task, values: NDArray[np.float64]) -> Predicted:
    start, rows, estimator = perf_counter(), task.fold.test, task.make()
    with _one_thread(), no_half_training():  # one thread now that the estimator's own libraries are loaded
        estimator.fit(values[task.fold.train], task.labels)
        labels = np.asarray(estimator.predict(values[rows])).astype(np.int64).reshape(len(rows))
    return Predicted(labels, perf_counter() - start)


@cache
def _watch(parent: int) -> None:
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent was killed: it would wait forever for the rest of a half-sent task."""
    while os.getppid() == parent:
        sleep(_LOOK_SECONDS)
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep BLAS and OpenMP to one thread: folds run side by side, and sums are the same in any number of processes."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtra.of("threadpoolctl", "train") from error
    with threadpool_limits(1):
        yield


def _sentence(error: Exception) -> str:
    text = _first_line(error)
    return text if isinstance(error, NinefoldError) else f"{type(error).__name__}: {text}"


def _first_line(thing: object) -> str:
    return str(thing).strip().partition("\n")[0]
