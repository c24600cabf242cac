"""The models of a study by name: the network, and what else tells classes apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ninefold.data.eeg.grid import plane_of
from ninefold.errors import InvalidInput
from ninefold.training.baselines import baseline, scaled
from ninefold.training.eeg.settings import NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.data.eeg.grid import Grid
    from ninefold.training.crossval.work import Estimator
    from ninefold.training.eeg.settings import EegSettings


def builders(settings: EegSettings, channels: Sequence[str]) -> dict[str, Callable[[], Estimator]]:
    """Give a function that makes a fresh estimator for every model of a study; they reach other processes.

    Args:
        settings: of the study.
        channels: of its recordings; the network lays them on the plane of `plane_of`.

    Raises:
        InvalidInput: when the network is wanted and there is no such plane.
        MissingExtra: when only MNE knows it, and is not installed.
    """
    return {name: _builder(name, settings, channels) for name in settings.models}


def _builder(name: str, settings: EegSettings, channels: Sequence[str]) -> Callable[[], Estimator]:
    if name != NETWORK:
        return partial(baseline, name, settings.seed)
    try:
        grid = plane_of(channels)
    except InvalidInput as error:
        raise InvalidInput(f"{error}, or leave {NETWORK} out of the models: the others need no plane") from error
    return partial(_network, settings.recipe, settings.epochs, grid, len(settings.bands), settings.seed)


def _network(recipe: str, epochs: int | None, grid: Grid, bands: int, seed: int) -> Estimator:
    from ninefold.training.network_classifier import PAPER, QUICK, NetworkClassifier

    if recipe == "paper":
        return NetworkClassifier(NETWORK, grid, bands, replace(PAPER, epochs=epochs or PAPER.epochs), seed)
    quick = replace(QUICK, epochs=epochs or QUICK.epochs)
    return scaled(NETWORK, NetworkClassifier(NETWORK, grid, bands, quick, seed))
