"""`ninefold eeg`: from recordings to a table of models, and what the same protocol makes of noise."""

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ninefold.app.screen import AsJson, Debug, print_json, print_rows, say

if TYPE_CHECKING:
    from ninefold.training.crossval import Pair, Row
    from ninefold.training.eeg import EegReport, EegSettings

_FAILED: Final = 1
_LEAST_P: Final = 0.0001  # that four decimals can show
_RUNS: Final = Path("runs")


def eeg(
    data: Annotated[str, typer.Option(metavar="DATA", help="A folder of recordings, or synthetic:realistic, ...")],
    target: Annotated[str | None, typer.Option(help="Which rating: valence, arousal, dominance, liking.")] = None,
    bands: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Of theta, alpha, beta, gamma.")] = None,
    baseline: Annotated[str | None, typer.Option(help="remove or keep the features at rest.")] = None,
    models: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Such as ccnn,svm,mlp,lda.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Such as trial-kfold; how the data is cut.")] = None,
    folds: Annotated[int | None, typer.Option(help="How many; else the protocol's own number.")] = None,
    subjects: Annotated[str | None, typer.Option(metavar="1-4,7", help="Numbers of people; else all.")] = None,
    channels: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Of your recordings; else all.")] = None,
    window: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Of a window with the next, 0 to below 1.")] = None,
    phase: Annotated[str | None, typer.Option(help="Of the filters: causal or zero.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of the network; else the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result.")] = None,
    null_subjects: Annotated[
        int | None, typer.Option(metavar="N", help="People whose recordings become noise.")
    ] = None,
    preset: Annotated[str, typer.Option(help="quick, or paper: the published protocol and recipe.")] = "quick",
    jobs: Annotated[int | None, typer.Option(help="Processes that train; else one per processor.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder; else runs/eeg-DATA-TARGET, with a number if taken.")
    ] = None,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Tell from EEG how people rated what they saw, and say what the score is worth.

    The same command again goes on where a killed one was.
    """
    from ninefold.data.eeg.cohort import parse_numbers
    from ninefold.training import eeg as studies

    asked = {
        "target": target,
        "bands": _names(bands),
        "baseline": baseline,
        "models": _names(models),
        "protocol": protocol,
        "folds": folds,
        "subjects": None if subjects is None else parse_numbers(subjects),
        "channels": _names(channels),
        "window": window,
        "overlap": overlap,
        "phase": phase,
        "epochs": epochs,
        "seed": seed,
        "null_subjects": null_subjects,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    settings = studies.EegSettings(data, **(studies.preset(preset) | given))
    folder = _chosen(settings) if out is None else out
    report = studies.study(settings, folder, jobs=jobs)
    print_json(report.plain() | {"out": folder}) if as_json else _print(report, folder)
    if report.failures:
        raise typer.Exit(_FAILED)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _chosen(settings: "EegSettings") -> Path:
    """Give the folder of a study with these settings, or one that does not exist yet."""
    from ninefold.training.eeg import holds

    where = settings.data if ":" in settings.data else Path(settings.data).absolute().name
    name = "-".join(("eeg", re.sub(r"[^\w.-]+", "-", where), settings.target))
    folders = (_RUNS / (name if i == 1 else f"{name}-{i}") for i in count(1))
    return next(folder for folder in folders if not folder.exists() or holds(settings, folder))


def _print(report: "EegReport", folder: Path) -> None:
    protocol = f"{report.protocol.name}{' (it leaks)' if report.protocol.leaks else ''}"
    sizes = f"{_people(report.subjects)}, {report.trials} trials, {report.rows:,} windows"
    typer.echo(f"{report.settings.target} of {report.settings.data}: {protocol}, {sizes}")
    print_rows(_titles(report), [_line(report, row) for row in report.scores])
    if report.pairs:
        print_rows(("pair", "difference of accuracy", "p, signed ranks"), [_pair(pair) for pair in report.pairs])
    for sentence in dict.fromkeys((*(pair.remark for pair in report.pairs if pair.remark), *report.remarks)):
        typer.echo(sentence)
    for sentence in report.failures:
        say(sentence)
    say(f"all of it is in {folder}")


def _people(names: tuple[str, ...]) -> str:
    return "1 person" if len(names) == 1 else f"{len(names)} people"


def _titles(report: "EegReport") -> tuple[str, ...]:
    leaks = ", leaking" if report.protocol.leaks else ""
    titles = ("model", f"accuracy{leaks}", "sd", "95 % interval", "balanced", "macro F1", "majority")
    null = (f"null ({_people(report.null_subjects)})",) if report.null_subjects else ()
    return (*titles, *null, *(("published on DEAP",) if report.published else ()))


def _line(report: "EegReport", row: "Row") -> tuple[str | float | None, ...]:
    span = None if row.interval is None else f"{row.interval[0]:.4f} to {row.interval[1]:.4f}"
    scores = (row.model, row.accuracy, row.sd, span, row.balanced, row.macro_f1, row.majority)
    off = "" if row.null is None else f"{row.null:.4f}{', off chance' if row.null_off_chance else ''}"
    beside = report.beside(row.model)
    told = "" if beside is None else f"{beside.accuracy:.4f}, sd {beside.sd:.4f}"
    return (*scores, *((off,) if report.null_subjects else ()), *((told,) if report.published else ()))


def _pair(pair: "Pair") -> tuple[str, str, str]:
    p = "" if pair.p is None else f"{pair.p:.4f}" if pair.p >= _LEAST_P else f"< {_LEAST_P}"
    difference = "" if pair.difference is None else f"{pair.difference:+.4f}"
    return f"{pair.first}, {pair.second}", difference, p
