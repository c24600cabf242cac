"""What a study came to: `report.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ninefold.training.crossval import figures, pairs, table
from ninefold.training.eeg.published import Published, published
from ninefold.training.eeg.sentences import remarks
from ninefold.training.report import versions

if TYPE_CHECKING:
    from ninefold.training.crossval import Figures, Outcome, Pair, Protocol, Row
    from ninefold.training.eeg.settings import EegSettings


@final
@dataclass(frozen=True, slots=True)
class EegReport:
    """The result of a study.

    Args:
        settings: all of them.
        protocol: under which rows were predicted.
        subjects: who was tested.
        trials: how many of them.
        rows: windows that were tested.
        scores: a row per model; what is null is of `null_subjects`.
        per_subject: by model, the figures of every subject.
        pairs: of models, compared subject by subject.
        null_subjects: whose recordings were replaced by noise for the null.
        published: what the published study reports on DEAP for its models, if this is its protocol and target.
        remarks: what must be known before the scores are believed; sentences.
        failures: what could not be computed; sentences.
        seconds: by model, of training and predicting all folds, one after another.
        versions: of the packages that decide the result.
    """

    settings: EegSettings
    protocol: Protocol
    subjects: tuple[str, ...]
    trials: int
    rows: int
    scores: tuple[Row, ...]
    per_subject: dict[str, tuple[Figures, ...]]
    pairs: tuple[Pair, ...]
    null_subjects: tuple[str, ...]
    published: tuple[Published, ...]
    remarks: tuple[str, ...]
    failures: tuple[str, ...]
    seconds: dict[str, float]
    versions: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """Give the report as numbers, text, lists and dicts."""
        return asdict(self) | {
            "settings": self.settings.plain(),
            "protocol": asdict(self.protocol) | {"leaks": self.protocol.leaks},
            "per_subject": {name: [one._asdict() for one in own] for name, own in self.per_subject.items()},
            "published": [one._asdict() for one in self.published],
        }

    def to_json(self) -> str:
        """Write the report as a JSON object."""
        return json.dumps(self.plain(), indent=2) + "\n"

    def beside(self, model: str) -> Published | None:
        """Give the published figure of that model with the bands and the baseline of this study."""
        asked = (model, self.settings.bands, self.settings.baseline)
        return next((one for one in self.published if (one.model, one.bands, one.baseline) == asked), None)


def report_of(
    settings: EegSettings, outcome: Outcome, null: Outcome | None, failures: tuple[str, ...] = ()
) -> EegReport:
    """Bring together what a study came to.

    Args:
        settings: of the study.
        outcome: of the data.
        null: of noise in its place; None: there is none.
        failures: of what came before the folds.
    """
    scores = table(outcome, null, seed=settings.seed)
    per_subject = {name: figures(outcome.examples, predicted) for name, predicted in outcome.predicted.items()}
    names = [one.subject for own in per_subject.values() for one in own]
    tested = np.any([predicted >= 0 for predicted in outcome.predicted.values()], axis=0)  # (N,)
    return EegReport(
        settings=settings,
        protocol=outcome.protocol,
        subjects=tuple(dict.fromkeys(names)),
        trials=len(np.unique(outcome.examples.groups[tested])),
        rows=int(tested.sum()),
        scores=scores,
        per_subject=per_subject,
        pairs=pairs(outcome),
        null_subjects=() if null is None else null.examples.names,
        published=_published(settings),
        remarks=remarks(settings, outcome.protocol, scores),
        failures=(*failures, *outcome.failures, *(f"the null: {why}" for why in (null.failures if null else ()))),
        seconds=outcome.seconds,
        versions=versions(),
    )


def _published(settings: EegSettings) -> tuple[Published, ...]:
    """Give what was published for this target, where this study cuts and measures as the published one."""
    alike = (settings.protocol, settings.folds or 10, settings.window, settings.overlap, settings.phase)
    if alike != ("segment-kfold", 10, 1.0, 0.0, "causal"):
        return ()
    return tuple(one for one in published() if one.target == settings.target and one.model in settings.models)
