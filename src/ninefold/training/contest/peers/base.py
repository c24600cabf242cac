"""What a contestant owes: a name, and a network made ready to be called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from ninefold.errors import MissingExtra
from ninefold.training.export import export_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

# Computes the network for the task's input; what comes back is an array or a tensor of the output's shape.
Call = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """A network to be run.

    Args:
        model: in evaluation mode; contestants leave it as it is.
        x: float32 (N, C, H, W).
        threads: that may compute, >= 1.
        folder: for files, empty at first.
    """

    model: nn.Module
    x: Tensor
    threads: int
    folder: Path

    @cached_property
    def onnx(self) -> Path:
        """Export the network to ONNX, once for all who read that; a file that is there already is taken for it."""
        path = self.folder / "network.onnx"
        if not path.is_file():
            export_onnx(self.model, path, self.x, any_batch=False)
        return path


class Peer(ABC):
    """One way to run a network that others have written."""

    name: ClassVar[str]

    @abstractmethod
    def prepare(self, task: Task) -> Call:
        """Make a network ready: everything that is done once.

        Raises:
            MissingExtra: when the package is not installed.
            Unsupported: when it cannot take the network.
        """


def load(package: str, extra: str = "bench") -> Any:
    """Import an optional package.

    Raises:
        MissingExtra: naming the extra that installs it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        distribution = {"cv2": "opencv-python-headless"}.get(package, package)
        raise MissingExtra.of(distribution, extra) from error
