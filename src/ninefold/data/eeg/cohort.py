"""People by name: made up, or in a folder of files."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ninefold.data.eeg.deap import deap_files, read_deap
from ninefold.data.eeg.synthetic import PRESETS, synthetic_subject
from ninefold.errors import InvalidInput, MissingData, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.data.eeg.recording import Subject

SYNTHETIC: Final = "synthetic:"
_MANY: Final = 32  # people that are made up unless told, as many as DEAP has
_RANGE: Final = re.compile(r"([0-9]{1,4})(?:\s*-\s*([0-9]{1,4}))?")


class Cohort(ABC):
    """People whose recordings can be read one at a time.

    Args:
        names: of the people.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @abstractmethod
    def subject(self, name: str) -> Subject:
        """Read one of `names`; raises `CorruptFile` when its file is damaged, which the others survive."""

    @abstractmethod
    def digest(self, name: str) -> str:
        """Give a short text that changes whenever what `subject` gives would."""


@final
class SyntheticCohort(Cohort):
    """People made up by `synthetic_subject`.

    Args:
        preset: a name in `PRESETS`.
        numbers: of the people, from 1.
        trials, seconds, seed: as of `synthetic_subject`.
    """

    def __init__(
        self, preset: str, numbers: Sequence[int], *, trials: int = 40, seconds: int = 60, seed: int = 0
    ) -> None:
        if preset not in PRESETS:
            raise UnknownName.among("preset", preset, PRESETS)
        self._numbers = {f"s{number:02d}": number for number in numbers}
        self._preset, self._trials, self._seconds, self._seed = preset, trials, seconds, seed
        super().__init__(tuple(self._numbers))

    def subject(self, name: str) -> Subject:
        """Make up one of `names`."""
        return synthetic_subject(
            self._preset, self._numbers[name], trials=self._trials, seconds=self._seconds, seed=self._seed
        )

    def digest(self, name: str) -> str:
        """Give a short text that changes with the arguments, and with what the generator makes of them."""
        preset, number = PRESETS[self._preset], self._numbers[name]
        first = synthetic_subject(preset, number, trials=1, seconds=2, seed=self._seed)
        made_of = repr((preset, number, self._trials, self._seconds, self._seed))
        return hashlib.sha256(made_of.encode() + first.volts.tobytes() + first.ratings.tobytes()).hexdigest()


@final
class DeapCohort(Cohort):
    """People in a folder of DEAP's preprocessed Python files.

    Args:
        files: by the person's number.
    """

    def __init__(self, files: dict[int, Path]) -> None:
        self._files = {path.stem: path for path in files.values()}
        super().__init__(tuple(self._files))

    def subject(self, name: str) -> Subject:
        """Read one of `names`."""
        return read_deap(self._files[name])

    def digest(self, name: str) -> str:
        """Give the file's checksum."""
        with self._files[name].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def open_cohort(where: str, numbers: Sequence[int] | None = None) -> Cohort:
    """Find people, without reading their recordings.

    Args:
        where: "synthetic:" and a name in `PRESETS`, or a folder of DEAP's files.
        numbers: of the people wanted; None: all of the folder, or 1 to 32 made up.

    Raises:
        UnknownName: when no preset has the name.
        MissingData: when there is no such folder, or it lacks somebody.
    """
    if where.startswith(SYNTHETIC):
        return SyntheticCohort(where.removeprefix(SYNTHETIC), numbers or range(1, _MANY + 1))
    folder = Path(where)
    if not folder.is_dir():
        known = ", ".join(SYNTHETIC + preset for preset in PRESETS)
        raise MissingData(f"{where} is no folder; wanted one of DEAP's files, or {known}")
    files = deap_files(folder)
    lacking = [number for number in numbers or () if number not in files]
    if lacking:
        raise MissingData(
            f"{where} has no file of {', '.join(f's{n:02d}' for n in lacking)}; it has those of "
            f"{', '.join(path.stem for path in files.values())}"
        )
    return DeapCohort({number: files[number] for number in numbers or files})


def parse_numbers(text: str) -> tuple[int, ...]:
    """Read numbers and ranges.

    Args:
        text: such as "1-4,7"; numbers count from 1.

    Returns:
        Every number once, in rising order.

    Raises:
        InvalidInput: when the text is anything else.

    >>> parse_numbers("7,1-4")
    (1, 2, 3, 4, 7)
    """
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high:
            raise InvalidInput(f"{text!r} has the part {part.strip()!r}; wanted numbers and ranges, such as 1-4,7")
        found.update(range(low, high + 1))
    return tuple(sorted(found))
