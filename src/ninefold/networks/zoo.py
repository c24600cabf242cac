"""The register of networks: a card and a builder for each name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ninefold.errors import InvalidInput, UnknownName
from ninefold.networks.checkpoint import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from ninefold.networks.checkpoint import Renaming
    from ninefold.records import Card

    Builder = Callable[[int, int], nn.Module]
    SizedBuilder = Callable[[int, int, tuple[int, int]], nn.Module]


class Entry(NamedTuple):
    """What the register holds of a network.

    Args:
        card: what is known of it.
        build: `build(classes, in_channels) -> module`.
        renaming: from the names of tensors that `card.naming` speaks of to ours.
        sized: `sized(classes, in_channels, (height, width)) -> module`; None: nothing depends on the size of pictures.
    """

    card: Card
    build: Builder
    renaming: Renaming
    sized: SizedBuilder | None


_ZOO: dict[str, Entry] = {}

# What torchvision's checkpoints, and all that follow them, want: a card's `preprocessing`.
IMAGENET_PICTURES: Final = "RGB, from 0 to 1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)"
# What weights from TensorFlow want.
INCEPTION_PICTURES: Final = "RGB, from 0 to 1, minus 0.5, divided by 0.5"
# Of networks whose authors wrote them in TensorFlow: one of a card's `differences`.
SYMMETRIC_PADDING: Final = (
    "Strided convolutions pad all sides alike, as weights published for PyTorch want it; the authors' TensorFlow code "
    "pads one row less above and one column less on the left where sizes are even."
)
# What the multiply-accumulates of networks over points are counted on: a card's `counted_on`.
SPHERE: Final = "15,192 voxels of a hollow sphere, 64 across and 1.25 thick (`ninefold.nn.sphere`)"


def network(card: Card, renaming: Renaming = (), sized: SizedBuilder | None = None) -> Callable[[Builder], Builder]:
    """Register the decorated builder, `build(classes, in_channels) -> module`, under its card's name.

    Args:
        card: of the network.
        renaming: from the names of tensors in published checkpoints to ours, see `checkpoint.renamed`.
        sized: builds it for pictures of another size than the card's, where that changes its layers.
    """

    def register(build: Builder) -> Builder:
        if card.name in _ZOO:
            raise ValueError(f"two networks are called {card.name!r}")
        _ZOO[card.name] = Entry(card, build, renaming, sized)
        return build

    return register


def cards(family: str | None = None) -> list[Card]:
    """Give the cards of all networks, or of one family, in alphabetical order.

    Args:
        family: as the folder under `networks` is called, such as "classic"; None for all.

    Raises:
        UnknownName: when there is no such family.
    """
    everything = [_ZOO[name].card for name in sorted(_ZOO)]
    families = {c.family for c in everything}
    if family is not None and family not in families:
        raise UnknownName.among("family of networks", family, families)
    return [c for c in everything if family in (None, c.family)]


def card(name: str) -> Card:
    """Give one network's card.

    Args:
        name: as `ninefold models` lists it.

    Raises:
        UnknownName: when there is no such network.
    """
    return entry(name).card


def entry(name: str) -> Entry:
    """Give all that the register holds of a network.

    Args:
        name: as `ninefold models` lists it.

    Raises:
        UnknownName: when there is no such network.
    """
    if name not in _ZOO:
        raise UnknownName.among("network", name, _ZOO)
    return _ZOO[name]


def create(
    name: str,
    *,
    classes: int | None = None,
    in_channels: int | None = None,
    size: tuple[int, int] | None = None,
    checkpoint: str | Path | None = None,
) -> nn.Module:
    """Build a network with fresh weights, drawn from torch's global generator, or with those of a checkpoint.

    Args:
        name: as `ninefold models` lists it.
        classes: scores per picture, >= 1; the published number if left out.
        in_channels: channels of a picture, or features of a point, >= 1; the published number if left out.
        size: height and width of pictures, of a network of a fixed size that is built for any, such as `ccnn`; the
            published size if left out.
        checkpoint: a file of weights in our names of tensors or in those that the card tells, see `checkpoint.load`;
            tensors whose shape depends on `classes` or `in_channels` stay fresh where the file has another number of
            them, and a warning names them.

    Returns:
        A module that maps images (N, in_channels, H, W), or a `sparse.SparseTensor` of in_channels features where its
        card says that it reads points, to the record that its task reads, such as `Logits`. It refuses pictures of a
        size that its card excludes with `InvalidInput`.

    Raises:
        UnknownName: when there is no such network.
        InvalidInput: when `classes`, `in_channels` or `size` cannot be, or the checkpoint is that of another network.
        MissingData: when the checkpoint is not there.
        CorruptFile: when it cannot be read.

    >>> import torch
    >>> create("lenet5", classes=7)(torch.zeros(2, 1, 32, 32)).scores.shape
    torch.Size([2, 7])
    """
    found = entry(name)
    classes = found.card.classes if classes is None else classes
    in_channels = found.card.input[0] if in_channels is None else in_channels
    if min(classes, in_channels) < 1:
        raise InvalidInput(
            f"{name} was asked for with classes={classes} and in_channels={in_channels}; both must be at least 1"
        )
    model, card = _built(found, classes, in_channels, size)
    if checkpoint is not None:
        load(Path(checkpoint), model, found.renaming, _changeable(found))
    if card.reads == "pictures":
        model.register_forward_pre_hook(partial(_check_size, card))
    return model


def _built(found: Entry, classes: int, in_channels: int, size: tuple[int, int] | None) -> tuple[nn.Module, Card]:
    """Build a network, and give its card with the size of pictures that it takes."""
    if size is None or size == found.card.input[1:] or not found.card.fixed_size:
        return found.build(classes, in_channels), found.card
    if found.sized is None or min(size) < 1:
        wanted = f"{found.card.input[1:]} only" if found.sized is None else "a height and a width of at least 1"
        raise InvalidInput(f"{found.card.name} was asked for with size={size}; wanted {wanted}")
    return found.sized(classes, in_channels, size), replace(found.card, input=(in_channels, *size))


def _check_size(card: Card, _model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Refuse a size before a layer inside the network does; a picture that came by name is left to that layer."""
    own = card.input[1:]
    height, width = inputs[0].shape[-2:] if inputs else own
    if card.fixed_size and (height, width) != own:
        wanted = f"{own[0]}x{own[1]} only; resize them to that"
    elif height < card.smallest or width < card.smallest:
        wanted = f"at least {card.smallest}x{card.smallest}; enlarge them"
    else:
        return
    raise InvalidInput(f"pictures of {height}x{width} came, and {card.name} takes pictures of {wanted}")


def _changeable(entry: Entry) -> frozenset[str]:
    """Give the tensors of a network whose shape depends on `classes` or `in_channels`."""
    with torch.device("meta"):
        one = entry.build(entry.card.classes, entry.card.input[0]).state_dict()
        other = entry.build(entry.card.classes + 1, entry.card.input[0] + 1).state_dict()
    return frozenset(key for key, tensor in one.items() if tensor.shape != other[key].shape)
