"""What Ctrl-C and SIGTERM come to, whoever is running."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
