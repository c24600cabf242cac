"""`digits`: the 1,797 handwritten digits inside scikit-learn; nothing to download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.errors import MissingExtra
from ninefold.records import DataCard, SplitName

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ninefold.data.splits import Source, Split

CARD = DataCard(
    name="digits",
    title="1,797 handwritten digits, 8x8 grey",
    origin="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (test part), UCI 1998, 10.24432/C50P49",
    licence="CC BY 4.0",
    split_rule="index % 5 == 4 is test, index % 10 == 3 is validation, the rest is train.",
)


def open_digits(_data_dir: Path | None = None) -> Source:
    """Open the digits; the values 0..16 of the original are scaled to 0..255 and rounded.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra.of("scikit-learn", "train") from error
    import torch

    from ninefold.data.splits import Source, StoredSplit, every

    bunch = load_digits()
    images = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8)[:, None]  # (1797, 1, 8, 8)
    truth = torch.from_numpy(bunch.target).long()
    rows: dict[SplitName, Tensor] = {
        "train": every(len(truth), 10, 0, 1, 2, 5, 6, 7, 8),
        "validation": every(len(truth), 10, 3),
        "test": every(len(truth), 5, 4),
    }
    splits: dict[SplitName, Split] = {
        name: StoredSplit(images, truth, chosen, "digits") for name, chosen in rows.items()
    }
    return Source(CARD, tuple(map(str, range(10))), channels=1, size=(8, 8), splits=splits)
