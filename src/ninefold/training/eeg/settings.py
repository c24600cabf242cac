"""What a study of EEG is asked to do; checked before anything is read or written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, final, get_args

from ninefold.data.eeg.features import Baseline, Features
from ninefold.data.eeg.filters import BANDS, check_name
from ninefold.data.eeg.recording import SCALES
from ninefold.errors import InvalidInput
from ninefold.training.baselines import BASELINES
from ninefold.training.crossval import DEFAULT, Plan
from ninefold.training.crossval.scores import MAJORITY

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK: Final = "ccnn"
MODELS: Final = (NETWORK, *BASELINES)
RESTS: Final = get_args(Baseline)
RECIPES: Final = ("quick", "paper")
ALL_BANDS: Final = tuple(band.name for band in BANDS)
PRESETS: Final[dict[str, dict[str, Any]]] = {
    "quick": {},
    "paper": {"protocol": "segment-kfold", "folds": 10, "recipe": "paper", "models": (NETWORK, MAJORITY)},
}
"""Values that differ from the defaults of `EegSettings`, by name; "paper" is the published study."""


@final
@dataclass(frozen=True, slots=True)
class EegSettings:
    """Everything that decides a study; two studies with equal settings do the same.

    Args:
        data: "synthetic:" and the name of a preset, a folder of DEAP's files, or one of recordings with a table of
            their trials, see `data.eeg.trials.read_trials`.
        target: which rating is told: above 5, or not; one of `SCALES`.
        bands: which models are shown, of `ALL_BANDS`; the field then holds them from low to high. All are measured,
            and a window is scaled over all, as published.
        baseline: whether a trial's features at rest are subtracted from those of its windows.
        models: of `MODELS`, slow ones first; "majority" is added where it lacks.
        protocol: a name of `crossval.PROTOCOLS`.
        folds: how many, >= 2; None: the protocol's own number.
        subjects: numbers of people; (): all of them.
        channels: of recordings with a table, which electrodes, in the order wanted; (): all of them.
        window: seconds, > 0.
        overlap: of a window with the next, in parts of a window, 0 <= overlap < 1.
        phase: of the filters, causal or zero.
        recipe: of the network's training: "quick", or "paper".
        epochs: of the network, >= 1; None: the recipe's.
        seed: of folds, models and the null, >= 0.
        null_subjects: how many people's recordings are replaced by noise for the null, >= 0; a protocol that
            needs more people gets them.

    Raises:
        InvalidInput: when a value is out of range; the message names it.
    """

    data: str
    target: str = "valence"
    bands: tuple[str, ...] = ALL_BANDS
    baseline: str = "remove"
    models: tuple[str, ...] = (NETWORK, "svm", "mlp", "lda", MAJORITY)
    protocol: str = DEFAULT
    folds: int | None = None
    subjects: tuple[int, ...] = ()
    channels: tuple[str, ...] = ()
    window: float = 1.0
    overlap: float = 0.0
    phase: str = "causal"
    recipe: str = "quick"
    epochs: int | None = None
    seed: int = 0
    null_subjects: int = 2

    def __post_init__(self) -> None:
        for what, asked, known in (
            ("target", (self.target,), SCALES),
            ("band", self.bands, ALL_BANDS),
            ("baseline", (self.baseline,), RESTS),
            ("model", self.models, MODELS),
            ("recipe", (self.recipe,), RECIPES),
        ):
            _check_names(what, asked, known)
        object.__setattr__(self, "bands", tuple(name for name in ALL_BANDS if name in self.bands))
        object.__setattr__(self, "models", tuple(dict.fromkeys((*self.models, MAJORITY))))
        for name, least in (("folds", 2), ("epochs", 1), ("null_subjects", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidInput(f"{name}={value} came; wanted at least {least}")
        self.plan()
        self.features()

    def plan(self) -> Plan:
        """Say how the data is cut; raises as `Plan` does."""
        return Plan(self.protocol, self.folds, self.seed)

    def features(self) -> Features:
        """Say what is measured; raises as `Features` does."""
        return Features(window=self.window, overlap=self.overlap, phase=self.phase)

    def plain(self) -> dict[str, Any]:
        """Give the settings as numbers, text and lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def preset(name: str) -> dict[str, Any]:
    """Give the values of `PRESETS`.

    Raises:
        UnknownName: when no preset has the name.

    >>> EegSettings("synthetic:null", **preset("paper")).protocol
    'segment-kfold'
    """
    check_name("preset", name, tuple(PRESETS))
    return PRESETS[name]


def _check_names(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    if not asked:
        raise InvalidInput(f"no {what} came; wanted some of {', '.join(known)}")
    for name in asked:
        check_name(what, name, tuple(known))
