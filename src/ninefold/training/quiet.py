"""Keep Lightning's hints off the terminal: what a user must know, Ninefold says itself."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS: Final = ("lightning.pytorch", "lightning.fabric")

# Message patterns of warnings that are expected here, each with its reason.
_EXPECTED: Final = (
    # `workers` is the user's choice, and 0 is right for pictures in memory.
    ".*does not have many workers.*",
    # Lightning calls torch's pytree by a name that torch gives up; both work.
    ".*LeafSpec.*is deprecated.*",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's loggers below errors, and the warnings named above; all others stay."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
