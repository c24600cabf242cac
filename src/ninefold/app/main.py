"""The command `ninefold`: its commands, its exit codes, and how it says what went wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ninefold import __version__
from ninefold.app.commands import baseline, bench, data, eeg, evaluate, export, models, predict, summary, train
from ninefold.app.failures import FAILED, INTERRUPTED, MISUSED, sentences
from ninefold.app.screen import say

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="ninefold",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    train.train,
    evaluate.evaluate,
    predict.predict,
    export.export,
    models.models,
    summary.summary,
    data.data,
    baseline.baseline,
    eeg.eeg,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(bench.bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ninefold {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Convolutional networks: train, evaluate, predict, and look inside."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(MISUSED)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: what stands behind `ninefold`.

    Returns:
        The exit code: 0; 1 when it failed; 2 when it was called wrongly; 130 when it was interrupted.
    """
    try:
        code = app(args=list(arguments), prog_name="ninefold", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last door: nothing leaves as a traceback unless asked for
        return _report(error, debug="--debug" in arguments)
    if code == INTERRUPTED:
        say("ninefold: interrupted")
    return code or 0


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    code, lines = sentences(error)
    say("\n".join(lines))
    return code


def _discard_output() -> None:
    """Point the standard output nowhere: its reader has gone, and Python would complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
