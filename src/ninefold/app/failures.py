"""What the terminal says when a command fails: one sentence, and where to read on."""

from __future__ import annotations

from typing import Final

import typer

from ninefold.errors import NinefoldError

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
PAGES: Final = "docs/errors"  # in the source tree: the pages are not part of the wheel

# Typer makes public only this subclass of what it raises for any misuse.
_MISUSE: Final = typer.BadParameter.__mro__[1]


def sentences(error: Exception) -> tuple[int, list[str]]:
    """Give the exit code for `error` and the lines that tell a person about it.

    >>> from ninefold.errors import InvalidInput
    >>> sentences(InvalidInput("epochs=0 came; wanted at least 1"))[0]
    2
    """
    if isinstance(error, NinefoldError):
        return error.exit_code, [f"ninefold: {error}", f"read more: {PAGES}/{error.page}.md"]
    if isinstance(error, _MISUSE):
        asked = error.ctx.command_path if error.ctx else "ninefold"
        return MISUSED, [f"ninefold: {error.format_message()}", f"read more: {asked} --help"]
    if isinstance(error, OSError) and error.strerror:
        return FAILED, [f"ninefold: the system refused {str(error.filename)!r}: {error.strerror}"]
    what = " ".join(str(error).split())
    told = f"{type(error).__name__}: {what}" if what else type(error).__name__
    return FAILED, [f"ninefold: this should not have happened: {told}", "read more: the same command with --debug"]
