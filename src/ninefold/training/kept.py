"""What an evaluation keeps of each prediction, in the run folder."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

from ninefold.data.points import write_labels
from ninefold.storage import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.records import Batch, Classified, PointBatch


class Kept(ABC):
    """Predictions, batch by batch."""

    @abstractmethod
    def add(self, batch: Any, decoded: Classified) -> None:
        """Take a batch's predictions up."""

    @abstractmethod
    def close(self) -> None:
        """Write what is not written yet."""


@final
class PictureTable(Kept):
    """A CSV with a line per picture: its name, class, prediction, and the probability of each class.

    Args:
        path: of the file.
        classes: their names.
    """

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self.path, self.classes = path, classes
        self.text = io.StringIO()
        self.writer = csv.writer(self.text, lineterminator="\n")
        self.writer.writerow(["name", "truth", "prediction", *(f"score_{name}" for name in classes)])

    def add(self, batch: Batch, decoded: Classified) -> None:
        """Write the lines of a batch."""
        columns = batch.labels.tolist(), decoded.labels.tolist(), decoded.probabilities.float().tolist()
        for name, truth, label, scores in zip(batch.names, *columns, strict=True):
            said = (f"{score:.6f}" for score in scores)
            self.writer.writerow([name, self.classes[truth], self.classes[label], *said])

    def close(self) -> None:
        """Write the file."""
        write_text(self.path, self.text.getvalue())


@final
class ScanLabels(Kept):
    """A folder with a `.label` file per scan: the predicted class of every point, as SemanticKITTI keeps labels.

    Args:
        folder: made if need be; one scan is written at a time, so that no more than a batch is in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, batch: PointBatch, decoded: Classified) -> None:
        """Write the files of a batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scans = batch.coords[batch.cells, 0].bincount(minlength=len(batch.names)).tolist()
        labels = decoded.labels[batch.cells].split(scans)
        for name, found in zip(batch.names, labels, strict=True):
            write_labels(self.folder / f"{name.replace('/', '-')}.label", found)

    def close(self) -> None:
        """Do nothing: everything is written."""
