"""EEG emotion recognition, studied: features, models, folds, scores, and the same on noise."""

from ninefold.training.eeg.folder import holds
from ninefold.training.eeg.report import EegReport
from ninefold.training.eeg.running import study
from ninefold.training.eeg.settings import EegSettings, preset

__all__ = ["EegReport", "EegSettings", "holds", "preset", "study"]
