"""The models of a study by name: the network, and what else tells classes apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ninefold.data.eeg.grid import deap_grid
from ninefold.training.baselines import baseline
from ninefold.training.eeg.settings import NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.training.crossval.work import Estimator
    from ninefold.training.eeg.settings import EegSettings


def builders(settings: EegSettings) -> dict[str, Callable[[], Estimator]]:
    """Give a function that makes a fresh estimator for every model of a study; they reach other processes."""
    return {name: _builder(name, settings) for name in settings.models}


def _builder(name: str, settings: EegSettings) -> Callable[[], Estimator]:
    if name == NETWORK:
        return partial(_network, settings.recipe, settings.epochs, len(settings.bands), settings.seed)
    return partial(baseline, name, settings.seed)


def _network(recipe: str, epochs: int | None, bands: int, seed: int) -> Estimator:
    from ninefold.training.network_classifier import PAPER, QUICK, NetworkClassifier

    chosen = {"quick": QUICK, "paper": PAPER}[recipe]
    return NetworkClassifier(NETWORK, deap_grid(), bands, replace(chosen, epochs=epochs or chosen.epochs), seed)
