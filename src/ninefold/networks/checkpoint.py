"""Published weights: files that others wrote, under names of tensors that others chose."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final

import torch

from ninefold.errors import CorruptFile, InvalidInput, MissingData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

Renaming = tuple[tuple[str, str], ...]

_WRAPPERS: Final = ("state_dict", "model", "model_state_dict", "net")  # keys under which training scripts keep weights
_COUNTER: Final = "num_batches_tracked"  # of batch norm: files from before 2018 lack it, and evaluation never reads it


def renamed(name: str, renaming: Renaming) -> str:
    """Give our name of a tensor: every rule replaces what its pattern finds, one after the other.

    A tensor whose name becomes "" has no place in our network and is left out.

    >>> renamed("module.fc.weight", (("^module[.]", ""), ("^fc[.]", "head.fc.")))
    'head.fc.weight'
    """
    for pattern, replacement in renaming:
        name = re.sub(pattern, replacement, name)
    return name


def in_stages(published: Sequence[str], depths: Sequence[int]) -> Renaming:
    """Give the rules that put blocks, which others named in a row, into the stages of a `StagedBackbone`.

    Args:
        published: how the names of each block's tensors begin, in the order of the blocks.
        depths: number of blocks of each stage; together as many as `published`.

    >>> renamed("features.2.conv.weight", in_stages(("features.0.", "features.1.", "features.2."), (1, 2)))
    'backbone.stages.1.1.conv.weight'
    """
    ours = (f"backbone.stages.{stage}.{block}." for stage, depth in enumerate(depths) for block in range(depth))
    return tuple((f"^{re.escape(theirs)}", name) for theirs, name in zip(published, ours, strict=True))


def load(path: Path, model: nn.Module, renaming: Renaming = (), changeable: frozenset[str] = frozenset()) -> None:
    """Fill a network with the weights of a file; nothing in the file is run.

    Names may be ours or those that `renaming` translates; `module.` before all of them is taken off, weights under
    "state_dict" or "model" are found, and a dense layer's weight fits a 1x1 convolution and the other way round.

    Args:
        path: of a file of safetensors or of `torch.save`.
        model: it changes only if the whole file fits.
        renaming: from the file's names to ours, see `renamed`.
        changeable: names of ours whose shapes may differ; they stay as they are, and a warning names them.

    Raises:
        MissingData: when there is no such file.
        CorruptFile: when it cannot be read, or holds more than tensors.
        InvalidInput: naming the first tensor, in the network's order, that is missing or has another shape.
    """
    wanted = model.state_dict()
    found = _in_our_names(_tensors(path), wanted, renaming)
    found, left = _fitted(path, found, wanted, changeable)
    model.load_state_dict({**wanted, **found})
    if left:
        warnings.warn(
            f"{path.name}: {', '.join(left)} have other shapes in the file, and keep fresh weights: "
            "train them before you trust the scores",
            UserWarning,
            stacklevel=3,
        )


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MissingData(f"{path} is not there; give the path of a file of weights")
    content = _safetensors(path) if path.suffix == ".safetensors" else _saved_by_torch(path)
    for key in _WRAPPERS:
        inner = content.get(key)
        content = inner if isinstance(inner, dict) else content
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise CorruptFile(f"{path} holds no tensors under names; give a file of weights (a state dict)")
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CorruptFile(f"{path} cannot be read as safetensors ({error}); copy or download it again") from error


def _saved_by_torch(path: Path) -> dict[str, object]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no common class for what a damaged file leads to
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorruptFile(
            f"{path} cannot be read as plain weights ({reason}); copy or download it again, or save its state dict anew"
        ) from error
    if not isinstance(content, dict):
        raise CorruptFile(f"{path} holds a {type(content).__name__}; give a file of weights (a state dict)")
    return content


def _in_our_names(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], renaming: Renaming) -> dict[str, Tensor]:
    plain = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    if plain.keys() & wanted.keys() == plain.keys():
        return plain
    ours = {renamed(name, renaming): tensor for name, tensor in plain.items()}
    ours.pop("", None)
    return ours


def _fitted(
    path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], changeable: frozenset[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Give the tensors in the network's shapes, and the names of those that stay fresh."""
    fitted: dict[str, Tensor] = {}
    left: list[str] = []
    for name, ours in wanted.items():
        theirs = found.get(name)
        if theirs is None and name.endswith(_COUNTER):
            continue
        if theirs is not None and _same_but_for_ones(theirs.shape, ours.shape):
            fitted[name] = theirs.reshape(ours.shape)
        elif theirs is not None and name in changeable:
            left.append(name)
        else:
            place = "is not in the file" if theirs is None else f"has the shape {tuple(theirs.shape)} in the file"
            raise InvalidInput(
                f"{path} is not a checkpoint of this network: {name} {place} and {tuple(ours.shape)} in the network"
            )
    if strange := next((name for name in found if name not in wanted), None):
        raise InvalidInput(
            f"{path} is not a checkpoint of this network: {strange}, of shape {tuple(found[strange].shape)}, has no "
            "place in the network"
        )
    return fitted, left


def _same_but_for_ones(one: torch.Size, other: torch.Size) -> bool:
    return [n for n in one if n != 1] == [n for n in other if n != 1]
