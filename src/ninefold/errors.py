"""Everything that Ninefold raises on purpose, as one tree.

    NinefoldError
    ├── InvalidInput         an argument that cannot be right: change the call                    (exit code 2)
    │   ├── InvalidSpec      a convolution that has no output, or whose shapes do not meet
    │   └── UnknownName      no network, data source or engine of that name
    ├── Unsupported          a right call that this engine, device or option cannot serve
    ├── DataError            a file or folder that is not what it should be
    │   ├── MissingData      it is not there
    │   └── CorruptFile      it is there, and its content is wrong
    ├── RunError             a run folder or checkpoint that cannot be used
    ├── Diverged             the loss stopped being a number
    ├── StorageFull          the disk took no more; what was written before is intact
    └── MissingExtra         an optional package is needed: the message names the extra

`InvalidInput` is the caller's to mend, `Unsupported` is an engine's limit: they never stand in for each other.
Every message is one sentence that says what came, what was wanted and what to do. The command line prints it and exits
with `exit_code`; each class has a page in the documentation under `errors/`, named by `page`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class NinefoldError(Exception):
    """The root of the tree: catch this one to catch them all."""

    exit_code: ClassVar[int] = 1
    page: ClassVar[str] = "index"


class InvalidInput(NinefoldError, ValueError):
    """An argument that cannot be right, whatever the machine: change the call."""

    exit_code = 2
    page = "invalid-input"


class InvalidSpec(InvalidInput):
    """A convolution that has no output, or whose shapes do not meet."""

    page = "invalid-spec"


class UnknownName(InvalidInput):
    """No network, data source, engine or option of that name."""

    page = "unknown-name"

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error for `name`, quoting the nearest known names.

        >>> str(UnknownName.among("engine", "ftt", ["torch", "fft"]))
        "no engine is called 'ftt'; did you mean 'fft'? (all of them: fft, torch)"
        """
        everything = sorted(known)
        near = get_close_matches(name, everything, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        return cls(f"no {kind} is called {name!r}; {hint}(all of them: {', '.join(everything)})")


class Unsupported(NinefoldError, NotImplementedError):
    """A right call that this engine, device or option cannot serve."""

    page = "unsupported"


class DataError(NinefoldError):
    """A file or folder that is not what it should be."""

    page = "data-error"


class MissingData(DataError, FileNotFoundError):
    """Data that is not where it was looked for."""

    page = "missing-data"


class CorruptFile(DataError):
    """A file whose content is not what its kind promises."""

    page = "corrupt-file"


class RunError(NinefoldError):
    """A run folder or a checkpoint that cannot be used."""

    page = "run-error"


class Diverged(NinefoldError, ArithmeticError):
    """The training loss stopped being a finite number."""

    page = "diverged"


class StorageFull(NinefoldError, OSError):
    """The disk took no more; files written before are intact."""

    page = "storage-full"


class MissingExtra(NinefoldError, ImportError):
    """An optional package is needed for this call."""

    page = "missing-extra"

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtra:
        """Build the error for `package`, which the extra `extra` installs.

        >>> str(MissingExtra.of("lightning", "train"))
        "this needs the package 'lightning'; install it with: pip install 'ninefold[train]'"
        """
        return cls(f"this needs the package {package!r}; install it with: pip install 'ninefold[{extra}]'")
