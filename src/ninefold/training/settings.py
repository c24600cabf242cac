"""What a training run is asked to do, on the command line or in `config.yaml`; checked before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ninefold.errors import InvalidInput, MissingExtra, RunError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.records import Card

LEARNING_RATES: Final = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3}
OPTIMIZERS: Final = tuple(LEARNING_RATES)
SCHEDULES: Final = ("cosine", "constant", "step")
PRECISIONS: Final = ("32", "bf16", "16")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a training run; two runs with equal settings do the same.

    Args:
        network: as `ninefold models` lists it.
        data: as `ninefold data` lists it.
        data_dir: where the data is; None: where the source looks by itself.
        epochs: passes over the training pictures, >= 1.
        batch_size: pictures per step over all devices together, >= 1, divisible by `devices * nodes`.
        lr: learning rate, > 0; None: the optimizer's own (`LEARNING_RATES`), which is what the field then holds.
        optimizer: "sgd" (Nesterov momentum 0.9), "adam" or "adamw".
        schedule: how the learning rate changes over the run, see `schedule.rate`.
        weight_decay: of kernels and dense weights, >= 0; biases and scales of one dimension are not decayed.
        augment: names of augmentations, done in this order to every training picture.
        seed: of the initial weights, the order of the pictures, augmentation and dropout, 0 <= seed < 2^63.
        size: (H, W) of the pictures as the network takes them, in pixels; None: see `input_size`.
        workers: further processes that read pictures, >= 0, per device.
        devices: processes per node, each with a device or a share of the processor, >= 1.
        nodes: machines, >= 1.
        precision: "32"; "bf16" or "16": mixed precision.
        checkpoint: a file of weights to start from, see `networks.create`; the field then holds it as an absolute path.
            None: fresh weights.

    Raises:
        InvalidInput: when a value is out of range; the message names it.

    >>> Settings("lenet5", "digits").lr, Settings("lenet5", "digits", optimizer="adam").lr
    (0.05, 0.001)
    """

    network: str
    data: str
    data_dir: Path | None = None
    epochs: int = 30
    batch_size: int = 32
    lr: float | None = None
    optimizer: str = "sgd"
    schedule: str = "cosine"
    weight_decay: float = 5e-4
    augment: tuple[str, ...] = ()
    seed: int = 0
    size: tuple[int, int] | None = None
    workers: int = 0
    devices: int = 1
    nodes: int = 1
    precision: str = "32"
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise UnknownName.among(name, str(getattr(self, name)), known)
        if self.lr is None:
            object.__setattr__(self, "lr", LEARNING_RATES[self.optimizer])
        if isinstance(self.checkpoint, Path):
            object.__setattr__(self, "checkpoint", self.checkpoint.absolute())
        for name, (is_right, wanted) in _WANTED.items():
            if not is_right(getattr(self, name)):
                raise InvalidInput(f"{name}={getattr(self, name)!r} came; wanted {wanted}")
        if self.batch_size % self.processes:
            raise InvalidInput(
                f"batch_size={self.batch_size} cannot be dealt evenly to {self.processes} processes "
                f"({self.nodes} nodes of {self.devices} devices); use a multiple of {self.processes}"
            )

    @property
    def processes(self) -> int:
        """Processes that train together: devices * nodes."""
        return self.devices * self.nodes

    def input_size(self, card: Card, source_size: tuple[int, int] | None) -> tuple[int, int]:
        """Give the (H, W) that the network will see.

        That is `size` if it was given, else the network's own size if no other works, else the size of the source's
        pictures, else (pictures that differ in size) the network's own size.

        Args:
            card: of the network.
            source_size: (H, W) of the source's pictures; None if they differ.

        Raises:
            InvalidInput: when the network cannot take pictures of that size.
        """
        own = card.input[1:]
        size = self.size or (own if card.fixed_size else source_size or own)
        if card.fixed_size and size != own:
            raise InvalidInput(f"{card.name} takes pictures of {own} only, and size={size} came; leave the size out")
        if min(size) < card.smallest:
            raise InvalidInput(
                f"{card.name} takes pictures from {card.smallest} pixels a side, and these have {size}; "
                f"enlarge them with --size {card.smallest}"
            )
        return size

    def to_yaml(self) -> str:
        """Write every setting as YAML; `data_dir` becomes absolute, so that it is found from anywhere."""
        plain = asdict(self) | {
            "data_dir": None if self.data_dir is None else str(self.data_dir.absolute()),
            "augment": list(self.augment),
            "size": None if self.size is None else list(self.size),
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
        }
        return _yaml().safe_dump(plain, sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str, where: str = "config.yaml") -> Self:
        """Read what `to_yaml` wrote.

        Args:
            text: YAML.
            where: what error messages call the text.

        Raises:
            RunError: when it is no YAML, a key is unknown or missing, or a value is out of range.
        """
        yaml = _yaml()
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RunError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
        names = [field.name for field in fields(cls)]
        if not isinstance(values, dict):
            raise RunError(f"{where} holds {type(values).__name__}; wanted the keys {', '.join(names)}")
        for problem, keys in (("unknown", set(values) - set(names)), ("missing", set(names) - set(values))):
            if keys:
                raise RunError(f"{where} has {problem} keys: {', '.join(sorted(map(str, keys)))}")
        try:
            return cls(**_typed(values))
        except (InvalidInput, TypeError) as error:
            raise RunError(f"{where} cannot be used: {error}") from error


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    return values | {
        "data_dir": None if values["data_dir"] is None else Path(values["data_dir"]),
        "augment": tuple(values["augment"]),
        "size": None if values["size"] is None else tuple(values["size"]),
        "checkpoint": None if values["checkpoint"] is None else Path(values["checkpoint"]),
    }


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra.of("pyyaml", "train") from error
    return yaml


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least,
        f"a whole number of at least {least}",
    )


def _number(is_right: Callable[[float], bool], wanted: str) -> tuple[Callable[[Any], bool], str]:
    return lambda v: isinstance(v, int | float) and isfinite(v) and is_right(v), wanted


def _is_size(value: Any) -> bool:
    is_at_least_one = _whole(1)[0]
    return value is None or (isinstance(value, tuple) and len(value) == 2 and all(map(is_at_least_one, value)))


def _is_path_or_none(value: Any) -> bool:
    return value is None or isinstance(value, Path)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_WANTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "network": (_is_text, "the name of a network"),
    "data": (_is_text, "the name of a data source"),
    "data_dir": (_is_path_or_none, "a path"),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "lr": _number(lambda v: v > 0, "a number above 0"),
    "weight_decay": _number(lambda v: v >= 0, "a number of at least 0"),
    "augment": (lambda v: isinstance(v, tuple) and all(map(_is_text, v)), "names of augmentations"),
    "seed": (lambda v: _whole(0)[0](v) and v < 2**63, "a whole number from 0 to 2^63 - 1"),
    "size": (_is_size, "height and width, whole numbers of at least 1"),
    "workers": _whole(0),
    "devices": _whole(1),
    "nodes": _whole(1),
    "checkpoint": (_is_path_or_none, "a path"),
}
