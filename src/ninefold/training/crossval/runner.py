"""Cross-validation: every model on every fold, side by side in processes, each finished fold kept on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ninefold.errors import InvalidInput, MissingExtra, RunError
from ninefold.training.crossval.kept import make_folder, place, read_kept
from ninefold.training.crossval.protocols import DEFAULT, Protocol, folds, folds_of, protocol
from ninefold.training.crossval.work import Done, Task, fingerprint, work, work_for
from ninefold.training.progress import bar, say, style_here
from ninefold.training.report import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ninefold.records import Examples
    from ninefold.training.crossval.kept import Predicted
    from ninefold.training.crossval.protocols import Fold
    from ninefold.training.crossval.work import Estimator

FOLDS: Final = "folds"
NOT_PREDICTED: Final = -1


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """How to cut the data.

    Args:
        protocol: a name of `PROTOCOLS`.
        folds: how many, >= 2; None: the protocol's own number, or what the data decide.
        seed: of the folds, >= 0.

    Raises:
        UnknownName: when there is no such protocol.
        InvalidInput: when the number of folds cannot be, or the seed is negative.
    """

    protocol: str = DEFAULT
    folds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        folds_of(protocol(self.protocol), self.folds)
        if self.seed < 0:
            raise InvalidInput(f"seed={self.seed} came; wanted at least 0")


@final
@dataclass(frozen=True, eq=False, slots=True)
class Outcome:
    """What every model said about every row.

    Args:
        examples: all of them.
        protocol: under which they were predicted.
        predicted: by model, int64 (N,): the class of each row, by the fold that tested it; -1 where none did.
        seconds: by model, training and predicting all its folds, one after another.
        failures: a sentence for each fold that could not be computed.
        taken_up: how many results of an earlier call were on disk.
    """

    examples: Examples
    protocol: Protocol
    predicted: dict[str, NDArray[np.int64]]
    seconds: dict[str, float]
    failures: tuple[str, ...]
    taken_up: int


def cross_validate(
    examples: Examples,
    models: Mapping[str, Callable[[], Estimator]],
    plan: Plan,
    out: Path | None = None,
    *,
    jobs: int | None = None,
    progress: str = "bar",
) -> Outcome:
    """Train every model on every fold and predict the fold's test.

    An estimator sees the values and labels of its training rows and the values of its test rows, each row as a vector
    (D,), nothing else. The result does not depend on `jobs`. A call with the same `out` that was killed or interrupted
    is taken up fold by fold; files there of other data, folds or models are replaced.

    Args:
        examples: at least one row.
        models: by name, functions without arguments that give a fresh estimator. To reach other processes they must be
            picklable, as `functools.partial` of a module's function is.
        plan: how to cut the data.
        out: a folder, whose subfolder `folds` gets a file per model and fold; None: nothing is kept.
        jobs: processes, >= 1; None: one per processor. With 1 all is computed in this process.
        progress: "bar", "lines" or "none"; on standard error.

    Returns:
        What was predicted, and a sentence for every fold that could not be.

    Raises:
        InvalidInput: when there is no model, or no fold can be computed; see `folds`.
        RunError: when the system ended a process.
        StorageFull: when the disk has no room for a result.
    """
    style = style_here(progress)
    if not models or (jobs is not None and jobs < 1):
        raise InvalidInput(f"{len(models)} models and jobs={jobs} came; wanted at least one of each")
    kind = protocol(plan.protocol)
    cut = folds(kind, examples, plan.folds, plan.seed)
    values = examples.values.reshape(len(examples.values), -1)  # (N, D)
    tasks = _tasks(examples.labels, values, models, [fold for fold in cut if not fold.why_not], out)
    kept = {task.number: found for task in tasks if (found := _kept(task))}
    results = {number: Done(number, found) for number, found in kept.items()}
    left = [task for task in tasks if task.number not in kept]
    with bar(style, kind.name, len(tasks)) as move:
        move(len(results), "")
        for done in _finished(left, values, jobs):
            results[done.number] = done
            move(len(results), tasks[done.number].model)
            _say_tenths(style, kind.name, len(results), len(tasks))
    for remark in dict.fromkeys(remark for task in tasks for remark in results[task.number].remarks):
        say(style, remark)
    failures = [fold.why_not for fold in cut if fold.why_not] + [results[task.number].failure for task in tasks]
    predicted, seconds = _gathered(tasks, results, len(values))
    return Outcome(examples, kind, predicted, seconds, tuple(filter(None, failures)), len(kept))


def _tasks(
    labels: NDArray[np.int64],
    values: NDArray[np.float64],
    models: Mapping[str, Callable[[], Estimator]],
    cut: Sequence[Fold],
    out: Path | None,
) -> list[Task]:
    """Put every model and fold into a task, the models in their order, so that slow ones can be named first."""
    trained = [labels[fold.train] for fold in cut]
    all_of = [(name, fold, own) for name in models for fold, own in zip(cut, trained, strict=True)]
    plain = [Task(number, name, models[name], fold, own) for number, (name, fold, own) in enumerate(all_of)]
    if out is None:
        return plain
    make_folder(out / FOLDS)
    made = {name: fingerprint(make(), versions()) for name, make in models.items()}
    data = {fold.name: fingerprint(values[fold.train], labels[fold.train], values[fold.test]) for fold in cut}
    return [
        task._replace(
            fingerprint=f"{made[task.model]} {data[task.fold.name]}",
            path=place(out / FOLDS, task.model, task.fold.name),
        )
        for task in plain
    ]


def _kept(task: Task) -> Predicted | None:
    return task.path and read_kept(task.path, task.fingerprint, len(task.fold.test))


def _finished(tasks: Sequence[Task], values: NDArray[np.float64], jobs: int | None) -> Iterator[Done]:
    """Give results as they come, in any order."""
    processes = min(jobs or _processors(), len(tasks))
    if processes < 2:
        yield from (work(task, values) for task in tasks)
    else:
        yield from _in_processes(tasks, values, processes)


def _in_processes(tasks: Sequence[Task], values: NDArray[np.float64], processes: int) -> Iterator[Done]:
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with joblib.parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
        pool = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        try:
            yield from pool(joblib.delayed(work_for)(os.getpid(), task, values) for task in tasks)
        except TerminatedWorkerError as error:
            raise RunError(
                f"the system ended one of {processes} processes, most likely for memory; finished folds are kept: do "
                "the same again with fewer jobs"
            ) from error


def _processors() -> int:
    try:
        import joblib
    except ImportError as error:
        raise MissingExtra.of("joblib", "train") from error
    return int(joblib.cpu_count())


def _gathered(
    tasks: Sequence[Task], results: Mapping[int, Done], rows: int
) -> tuple[dict[str, NDArray[np.int64]], dict[str, float]]:
    """Give what each model predicted of each row, and its seconds."""
    predicted = {task.model: np.full(rows, NOT_PREDICTED, np.int64) for task in tasks}
    seconds = dict.fromkeys(predicted, 0.0)
    for task in tasks:
        found = results[task.number].predicted
        if found is not None:
            predicted[task.model][task.fold.test] = found.labels
            seconds[task.model] += found.seconds
    return predicted, seconds


def _say_tenths(style: str, what: str, done: int, total: int) -> None:
    """Say how far it is where no bar shows it: each time that another tenth is done."""
    if style == "lines" and done * 10 // total > (done - 1) * 10 // total:
        say(style, f"{what}: {done} of {total} trainings")
