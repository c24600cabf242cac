"""What a contestant owes: a name, and a network made ready to be called."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ninefold.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

# Computes the network for the task's input; what comes back is an array or a tensor of the output's shape.
Call = Callable[[], Any]

INPUT_NAME: Final = "x"


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
        """Export the network to ONNX, once for all who read that."""
        import torch

        for package in ("onnx", "onnxscript"):
            load(package, "export")
        path = self.folder / "network.onnx"
        # The exporter warns of its own parts, and logs that torchvision, which is not needed, is not there.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                self.model,
                (self.x,),
                path,
                input_names=[INPUT_NAME],
                output_names=["y"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
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
