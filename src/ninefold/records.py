"""The few plain things that travel between rooms: their units and formats are stated here, once.

Images are (C, H, W): channels first, row 0 at the top. Points are x, y, z in metres, z upwards; cells of a grid are
counted along z, y, x, so that the last axis is x. Potentials of the brain are in volts, rates in hertz. Labels are
class indices from 0. Everything here is a value: nothing is changed after it is made, and no method computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Kind = Literal["pictures", "points"]
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class Sample(NamedTuple):
    """One picture and its truth, as a data source gives it.

    Args:
        image: uint8 (C, H, W), 0 is black and 255 is full.
        label: class index, 0 <= label < classes; -1 where the truth is unknown.
        name: what to call the picture in a table: a file's path, or the set's name and index, such as `digits/17`.
    """

    image: Tensor
    label: int
    name: str


class Batch(NamedTuple):
    """Pictures as a network takes them.

    Args:
        images: float32 (N, C, H, W), per channel (value / 255 - mean) / std with the data source's mean and std.
        labels: int64 (N,), class indices; -1 where the truth is unknown.
        names: N names, in the same order.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


class PointSample(NamedTuple):
    """One scan and its truth, as a data source gives it.

    Args:
        points: float32 (P, 3), x, y, z in metres.
        features: float32 (P, F), what else is known of every point, such as its intensity from 0 to 1.
        labels: int64 (P,), class indices; -1 where the truth is unknown or does not count.
        name: what to call the scan in a table, such as `street-17`.
    """

    points: Tensor
    features: Tensor
    labels: Tensor
    name: str


class PointBatch(NamedTuple):
    """Scans as a network takes them: features at the cells of a grid that hold points, and the way back to the points.

    Args:
        features: float32 (V, C), the mean over each cell's points of (x, y, z, further features), normalised.
        coords: int32 (V, 4), scan, z, y, x of each cell, sorted, no two alike.
        size: cells of the grid along z, y, x.
        cells: int64 (P,), the row in `coords` of every point of all scans, one scan after the other.
        labels: int64 (P,), class indices; -1 where the truth is unknown or does not count.
        names: a name per scan.
    """

    features: Tensor
    coords: Tensor
    size: tuple[int, int, int]
    cells: Tensor
    labels: Tensor
    names: tuple[str, ...]


class PointTruth(NamedTuple):
    """What the scores of cells are compared with.

    Args:
        labels: int64 (P,), of every point; -1 where it does not count.
        cells: int64 (P,), the row of every point's cell.
    """

    labels: Tensor
    cells: Tensor


class Examples(NamedTuple):
    """Rows for classifiers that see one row at a time, and what must be known to split them honestly.

    Args:
        values: float64 (N, ...), what is known of every row.
        labels: int64 (N,), class indices.
        groups: int64 (N,), what each row was cut from, such as a trial; no two subjects share a group.
        subjects: int64 (N,), whose it is: an index into `names`.
        classes: their names; a label is an index into them.
        names: of the subjects.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    subjects: NDArray[np.int64]
    classes: tuple[str, ...]
    names: tuple[str, ...]


class Logits(NamedTuple):
    """What a network that tells classes apart returns, in training and evaluation alike.

    Args:
        scores: (N, classes), unnormalised log-probabilities: a row per picture, or per cell of a grid.
        auxiliary: further (N, classes) scores of side heads; the task weighs them, decoding ignores them.
    """

    scores: Tensor
    auxiliary: tuple[Tensor, ...] = ()


class Classified(NamedTuple):
    """What a task reads from logits.

    Args:
        labels: int64 (N,), the most probable class.
        probabilities: (N, classes), rows sum to 1.
    """

    labels: Tensor
    probabilities: Tensor


@dataclass(frozen=True, slots=True)
class DataCard:
    """What is known of a data source before it is opened.

    Args:
        name: what to pass as `--data`.
        title: one line for a table.
        origin: where the pictures come from: paper or address.
        licence: the terms of the pictures themselves.
        split_rule: one sentence that says which pictures are in which split.
        needs_dir: True if the source only exists with `--data-dir`.
        holds: pictures, or scans of points.
    """

    name: str
    title: str
    origin: str
    licence: str
    split_rule: str
    needs_dir: bool = False
    holds: Kind = "pictures"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a network; tests hold the code to it.

    Args:
        name: what to pass to `ninefold.create`.
        family: which of the nine families, as the folder under `networks` is called.
        task: the name of the task that trains it.
        paper: authors, title, venue.
        year: of the paper.
        link: where the paper is.
        input: (C, H, W) of the published network; (C,), the features of a cell, where it reads points.
        classes: of the published network.
        parameters: trainable numbers, at `input` channels and `classes`.
        macs: multiply-accumulates of one picture in convolutions and dense layers, at `input`; where they depend on
            which cells hold points, of what `counted_on` tells.
        fixed_size: True if only `input`'s height and width work.
        smallest: the smallest height and width that work, in pixels.
        published: a published figure with its place, such as "8.75 % error, CIFAR-10 test (Table 6)"; "" if none.
        top1: the accuracy in percent that `published` tells, where it is that of one crop of ImageNet's validation set.
        naming: whose names of tensors a checkpoint may follow beside our own, such as "torchvision"; "" for nobody's.
        preprocessing: of pictures, as checkpoints in that naming want it; "" where none is known.
        licence: of the original code or weights, where it limits their use; "" else.
        differences: where this code differs from the paper, and why; one sentence each.
        reads: pictures, or points.
        counted_on: the cells that `macs` were counted on, where they depend on them; "" for pictures.
    """

    name: str
    family: str
    task: str
    paper: str
    year: int
    link: str
    input: tuple[int, ...]
    classes: int
    parameters: int
    macs: int
    fixed_size: bool = False
    smallest: int = 1
    published: str = ""
    top1: float | None = None
    naming: str = ""
    preprocessing: str = ""
    licence: str = ""
    differences: tuple[str, ...] = ()
    reads: Kind = "pictures"
    counted_on: str = ""
