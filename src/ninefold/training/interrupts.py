"""What Ctrl-C and SIGTERM come to, whoever is running."""

from __future__ import annotations

import signal
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HALF: Final = "Training interrupted by user"


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Give Ctrl-C and SIGTERM back their usual form, which Lightning turns into exits with codes of its own.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        SystemExit: with 128 + SIGTERM, on SIGTERM.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        # Lightning leaves SIGINT ignored once it has seen one.
        if handler is not None and signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def no_half_training() -> Iterator[None]:
    """Let Ctrl-C end what scikit-learn trains: its perceptrons warn of it, and stand there as if they were trained.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=_HALF)
        try:
            yield
        except UserWarning as warning:
            if str(warning).startswith(_HALF):
                raise KeyboardInterrupt from None
            raise
