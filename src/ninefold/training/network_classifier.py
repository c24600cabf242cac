"""A network of the zoo as a classifier of scikit-learn's kind: rows of features in, classes out.

Needs lightning and scikit-learn.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, final

import numpy as np
import torch

from ninefold import networks, tasks
from ninefold.data.eeg.grid import Grid, on_grid
from ninefold.errors import Diverged, InvalidInput, MissingExtra
from ninefold.training.interrupts import plain_interrupts
from ninefold.training.quiet import quiet

try:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.plugins.environments import LightningEnvironment
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise MissingExtra.of((error.name or "lightning").partition(".")[0], "train") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

_PREDICTED: Final = 128  # rows at a time


@final
@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained on rows in memory.

    Args:
        epochs: over the rows, >= 1, each in another order.
        batch_size: rows per step, >= 1; what is left at the end of an epoch is a smaller one.
        lr: learning rate of the first step, > 0.
        weight_decay: of all parameters, biases included, >= 0.
        optimizer: "adam" adds weight_decay times a parameter to its gradient; "adamw" takes lr times that off it.
        schedule: of the learning rate: "constant", or "linear", which has it fall to 0 step by step.
        weights: the first ones: "own", as the network draws them, or "lecun", from N(0, 1 / n) where a unit has n
            inputs, with biases of 0.
        noise: standard deviation of what is added to every value of a row whenever it is trained on, >= 0.

    Raises:
        InvalidInput: when a number is out of range.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", NIPS 2017, for the weights;
        Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural Computation 7, 1995.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    optimizer: Literal["adam", "adamw"] = "adam"
    schedule: Literal["constant", "linear"] = "constant"
    weights: Literal["own", "lecun"] = "own"
    noise: float = 0.0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or self.lr <= 0 or min(self.weight_decay, self.noise) < 0:
            raise InvalidInput(
                f"epochs={self.epochs}, batch_size={self.batch_size}, lr={self.lr:g}, weight_decay="
                f"{self.weight_decay:g}, noise={self.noise:g} came; wanted at least 1 of the first two, a third "
                "above 0, and at least 0 of the others"
            )


PAPER: Final = Recipe(epochs=50, batch_size=128, lr=1e-4, weight_decay=0.5)
"""The recipe of the code that the authors of `ccnn` released."""

QUICK: Final = Recipe(epochs=1, batch_size=32, lr=1e-4, schedule="linear", weights="lecun", noise=1.0)
"""A fiftieth of those epochs, for rows whose features have a standard deviation of 1."""


@final
class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network over the plane of electrodes, as an estimator of scikit-learn's.

    It trains with one thread, so that several can be trained side by side, or on the GPU where there is one. On a
    processor, equal rows, arguments and versions give equal predictions. torch's global generator is left as it was.

    Args:
        network: that classifies pictures, as `ninefold models` lists it.
        grid: the plane, with a cell per channel.
        bands: of frequencies; a row holds all channels of the first band, then those of the next.
        recipe: of the training.
        seed: of first weights, order and dropout, >= 0.

    >>> from ninefold.data.eeg.grid import deap_grid
    >>> rows, labels = np.random.default_rng(0).normal(size=(8, 32)), np.arange(8) % 2
    >>> model = NetworkClassifier("ccnn", deap_grid(), bands=1, recipe=Recipe(epochs=1, batch_size=4, lr=1e-4))
    >>> model.fit(rows, labels).predict_proba(rows).shape
    (8, 2)
    """

    def __init__(self, network: str, grid: Grid, bands: int, recipe: Recipe = QUICK, seed: int = 0) -> None:
        self.network = network
        self.grid = grid
        self.bands = bands
        self.recipe = recipe
        self.seed = seed

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> NetworkClassifier:
        """Train a fresh network.

        Args:
            X: (N, bands * channels).
            y: (N,), the classes, any values.

        Raises:
            UnknownName: when there is no such network.
            InvalidInput: when rows have another length, there is no row, or the network does not take the plane.
            Diverged: when the loss stops being a number.
        """
        values = self._values(X)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(labels) != len(values) or not len(labels):
            raise InvalidInput(
                f"{len(values)} rows and {len(labels)} classes came; wanted as many of both, and one at least"
            )
        with _alone(self.seed), quiet(), plain_interrupts():
            size = self.grid.height, self.grid.width
            model = networks.create(self.network, classes=len(self.classes_), in_channels=self.bands, size=size)
            if self.recipe.weights == "lecun":
                model.apply(_draw_lecun)
            batches = _Batches(values, torch.from_numpy(labels), self.grid, self.recipe, self.seed)
            _trainer(self.recipe.epochs).fit(_Fitting(model, self.network, self.recipe), batches)
        self.model_ = model.cpu().eval()
        return self

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give the most probable class of every row, (N,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the probabilities of `classes_`, (N, classes); rows sum to 1.

        Args:
            X: (N, bands * channels).

        Raises:
            InvalidInput: when rows have another length.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        decode, values = tasks.get(networks.card(self.network).task).decode, self._values(X)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = self.model_.to(device)
        with _alone(self.seed), torch.inference_mode():
            parts = [np.empty((0, len(self.classes_)))]
            for start in range(0, len(values), _PREDICTED):
                images = _planes(values[start : start + _PREDICTED], self.grid).to(device)
                parts.append(decode(model(images)).probabilities.double().cpu().numpy())
        model.cpu()
        return np.concatenate(parts)

    def _values(self, X: NDArray[np.float64]) -> NDArray[np.float32]:  # (N, B, C)
        rows, channels = np.asarray(X, np.float32), len(self.grid.rows)
        if rows.ndim != 2 or rows.shape[1] != self.bands * channels:
            raise InvalidInput(
                f"values of shape {rows.shape} came; wanted rows of {self.bands} bands times {channels} channels, "
                f"(N, {self.bands * channels})"
            )
        return rows.reshape(len(rows), self.bands, channels)


@final
class _Batches:
    """The rows on the plane, batch by batch, in another order and with other noise whenever they are gone through.

    Args:
        values: float32 (N, B, C).
        labels: int64 (N,).
        grid: the plane.
        recipe: how large the batches are, and the noise.
        seed: of orders and noise.
    """

    def __init__(self, values: NDArray[np.float32], labels: Tensor, grid: Grid, recipe: Recipe, seed: int) -> None:
        self.values, self.labels, self.grid, self.recipe = values, labels, grid, recipe
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return ceil(len(self.labels) / self.recipe.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.generator.permutation(len(self.labels))
        for start in range(0, len(order), self.recipe.batch_size):
            rows = order[start : start + self.recipe.batch_size]
            yield _planes(self._noisy(self.values[rows]), self.grid), self.labels[rows]

    def _noisy(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.recipe.noise:
            return values
        return values + np.float32(self.recipe.noise) * self.generator.standard_normal(values.shape, np.float32)


@final
class _Fitting(LightningModule):
    """A recipe, in the hooks that Lightning calls."""

    def __init__(self, model: nn.Module, name: str, recipe: Recipe) -> None:
        super().__init__()
        self.model, self.name, self.recipe = model, name, recipe
        self.task = tasks.get(networks.card(name).task)

    def configure_optimizers(self) -> Any:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.recipe.optimizer]
        optimizer = kind(self.model.parameters(), self.recipe.lr, weight_decay=self.recipe.weight_decay)
        if self.recipe.schedule == "constant":
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> Tensor:
        images, labels = batch
        loss = self.task.loss(self.model(images), labels)
        if not isfinite(loss.item()):
            raise Diverged(
                f"the loss of {self.name} became {loss.item()} in epoch {self.current_epoch + 1}; take a lower "
                f"learning rate than {self.recipe.lr:g}"
            )
        return loss


def _trainer(epochs: int) -> Trainer:
    """Give a trainer on one device that writes nothing and looks for no launcher."""
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    alone = LightningEnvironment()
    return Trainer(accelerator=accelerator, devices=1, max_epochs=epochs, barebones=True, plugins=[alone])


def _planes(values: NDArray[np.float32], grid: Grid) -> Tensor:  # (N, B, H, W)
    return torch.from_numpy(on_grid(values, grid)).contiguous(memory_format=torch.channels_last)


def _draw_lecun(layer: nn.Module) -> None:
    if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
        torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        if layer.bias is not None:
            torch.nn.init.zeros_(layer.bias)


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Compute with one thread and a generator of one's own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
