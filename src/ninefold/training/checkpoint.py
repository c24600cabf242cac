"""Checkpoints that are whole or not there, and are read without running code. Needs lightning."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from lightning.pytorch.plugins import CheckpointIO

from ninefold.errors import RunError
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from ninefold.training.history import Row

HISTORY, CLASSES = "history", "classes"
"""Keys in a checkpoint: the rows of `metrics.csv`, which say how far the run is, and the names of the classes."""


@final
class AtomicCheckpoints(CheckpointIO):
    """Lightning's way to files, through `write_bytes` and `read_checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002  # Lightning's signature
        """Write the whole checkpoint at once."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())

    def load_checkpoint(self, path: Any, *_options: Any, **_more: Any) -> dict[str, Any]:
        """Read without running code, whatever Lightning's options say."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint into main memory with `weights_only=True`.

    Raises:
        RunError: when it is damaged, or not a checkpoint of this library.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no common class for what a damaged file leads to
        raise RunError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}); use another copy or train anew"
        ) from error
    if not isinstance(checkpoint, dict) or HISTORY not in checkpoint:
        raise RunError(f"{path} is a checkpoint without {HISTORY!r}: ninefold did not write it")
    return checkpoint


def read_history(path: Path) -> list[Row]:
    """Give the rows of the epochs that a checkpoint has behind it; no file, no rows."""
    return read_checkpoint(path)[HISTORY] if path.exists() else []
