"""People by name: made up, or in a folder of files."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ninefold.data.eeg.deap import SETUP, deap_files, read_deap
from ninefold.data.eeg.files import KINDS, read_electrodes, read_parts, read_recording
from ninefold.data.eeg.recording import Setup, cut
from ninefold.data.eeg.synthetic import PRESETS, synthetic_subject
from ninefold.data.eeg.trials import TABLE, read_trials
from ninefold.errors import CorruptFile, InvalidInput, MissingData, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.data.eeg.recording import Subject
    from ninefold.data.eeg.synthetic import Preset
    from ninefold.data.eeg.trials import Trials

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
    def setup(self, name: str) -> Setup:
        """Say how the trials of one of `names` were recorded, without reading them; raises as `subject`."""

    @abstractmethod
    def digest(self, name: str) -> str:
        """Give a short text that changes whenever what `subject` gives would."""


@final
class SyntheticCohort(Cohort):
    """People made up by `synthetic_subject`.

    Args:
        preset: a name in `PRESETS`.
        numbers: of the people, from 1.
        trials, seconds, seed, setup: as of `synthetic_subject`.
    """

    def __init__(
        self,
        preset: str,
        numbers: Sequence[int],
        *,
        trials: int = 40,
        seconds: int = 60,
        seed: int = 0,
        setup: Setup = SETUP,
    ) -> None:
        if preset not in PRESETS:
            raise UnknownName.among("preset", preset, PRESETS)
        self._numbers = {f"s{number:02d}": number for number in numbers}
        self._preset, self._trials, self._seconds, self._seed = preset, trials, seconds, seed
        self._setup = setup
        super().__init__(tuple(self._numbers))

    def subject(self, name: str) -> Subject:
        """Make up one of `names`."""
        return self._made(self._preset, self._numbers[name], self._trials, self._seconds)

    def setup(self, _name: str) -> Setup:
        """Give what was asked for."""
        return self._setup

    def digest(self, name: str) -> str:
        """Give a short text that changes with the arguments, and with what the generator makes of them."""
        preset, number = PRESETS[self._preset], self._numbers[name]
        first = self._made(preset, number, 1, 2)
        made_of = repr((preset, number, self._trials, self._seconds, self._seed, self._setup))
        return hashlib.sha256(made_of.encode() + first.volts.tobytes() + first.ratings.tobytes()).hexdigest()

    def _made(self, preset: str | Preset, number: int, trials: int, seconds: int) -> Subject:
        return synthetic_subject(preset, number, trials=trials, seconds=seconds, seed=self._seed, setup=self._setup)


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

    def setup(self, _name: str) -> Setup:
        """Give DEAP's."""
        return SETUP

    def digest(self, name: str) -> str:
        """Give the file's checksum."""
        return _checksum(self._files[name])


@final
class RecordedCohort(Cohort):
    """People in a folder of recordings with a table of their trials.

    Args:
        trials: by the person's name.
        channels: which electrodes, in the order wanted; (): all of them, as `read_recording` says.
    """

    def __init__(self, trials: dict[str, Trials], channels: Sequence[str] = ()) -> None:
        self._trials, self._channels = trials, tuple(channels)
        super().__init__(tuple(trials))

    def subject(self, name: str) -> Subject:
        """Read one of `names`."""
        own = self._trials[name]
        recording = read_recording(own.path, self._channels)
        person = cut(recording, own.onsets, own.ratings, name=name, seconds=own.seconds, rest=own.rest)
        try:
            person.check()
        except CorruptFile as error:
            raise CorruptFile(f"{own.path}: {error}") from error
        return person

    def setup(self, name: str) -> Setup:
        """Read it from the recording's header and the table."""
        own = self._trials[name]
        return Setup(*read_electrodes(own.path, self._channels), own.rest)

    def digest(self, name: str) -> str:
        """Give a checksum of the recording and of what is cut out of it."""
        own = self._trials[name]
        asked = repr((own.onsets, own.seconds, own.rest, own.ratings.tolist(), self._channels))
        parts = asked, *(_checksum(path) for path in read_parts(own.path))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def open_cohort(where: str, numbers: Sequence[int] | None = None, channels: Sequence[str] = ()) -> Cohort:
    """Find people, without reading their recordings.

    Args:
        where: "synthetic:" and a name in `PRESETS`, a folder of DEAP's files, or one of recordings with a table
            of their trials, see `read_trials`.
        numbers: of the people wanted, which in a table count from 1 as they come first; None: all of the folder, or 1
            to 32 made up.
        channels: of recordings with a table: which, in the order wanted; (): every electrode.

    Raises:
        UnknownName: when no preset has the name.
        MissingData: when there is no such folder, or it lacks somebody.
        CorruptFile: when the table cannot be used.
        InvalidInput: when channels are chosen of others than recordings with a table.
    """
    folder = Path(where)
    if not where.startswith(SYNTHETIC) and (folder / TABLE).is_file():
        return _recorded(folder, numbers, channels)
    if channels:
        raise InvalidInput(
            f"channels {', '.join(channels)} came for {where}; they are chosen of recordings beside a {TABLE} only"
        )
    if where.startswith(SYNTHETIC):
        return SyntheticCohort(where.removeprefix(SYNTHETIC), numbers or range(1, _MANY + 1))
    if not folder.is_dir():
        known = ", ".join(SYNTHETIC + preset for preset in PRESETS)
        raise MissingData(f"{where} is no folder; wanted one of DEAP's files or of recordings, or {known}")
    return _deap(folder, numbers)


def _recorded(folder: Path, numbers: Sequence[int] | None, channels: Sequence[str]) -> RecordedCohort:
    people = read_trials(folder)
    lacking = [str(number) for number in numbers or () if number > len(people)]
    if lacking:
        raise MissingData(f"{folder / TABLE} has nobody of number {', '.join(lacking)}; it names {', '.join(people)}")
    names = [*people]
    chosen = names if numbers is None else [names[number - 1] for number in numbers]
    return RecordedCohort({name: people[name] for name in chosen}, channels)


def _deap(folder: Path, numbers: Sequence[int] | None) -> DeapCohort:
    endings = {path.suffix.lower() for path in folder.iterdir()}
    if not endings.isdisjoint(KINDS) and ".dat" not in endings:
        raise MissingData(f"{folder} holds recordings and no {TABLE}; write one, with a line for each trial")
    files = deap_files(folder)
    lacking = [number for number in numbers or () if number not in files]
    if lacking:
        raise MissingData(
            f"{folder} has no file of {', '.join(f's{n:02d}' for n in lacking)}; it has those of "
            f"{', '.join(path.stem for path in files.values())}"
        )
    return DeapCohort({number: files[number] for number in numbers or files})


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
