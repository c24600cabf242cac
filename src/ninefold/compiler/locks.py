"""Locks that a child process finds open, whoever held them when the process forked."""

from __future__ import annotations

import os
import sys
import threading
from weakref import WeakSet


class Lock:
    """A lock, taken by `with lock.own:`; a child process finds it open, as who held it does not exist there."""

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Forget who holds it."""
        self.own = threading.Lock()


def _renew_all() -> None:
    for lock in _locks:
        lock.renew()


_locks: WeakSet[Lock] = WeakSet()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_all)
