"""The register of networks: a card and a builder for each name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ninefold.records import Card

    Builder = Callable[[int, int], nn.Module]

_ZOO: dict[str, tuple[Card, Builder]] = {}


def network(card: Card) -> Callable[[Builder], Builder]:
    """Register the decorated builder, `build(classes, in_channels) -> module`, under its card's name."""

    def register(build: Builder) -> Builder:
        if card.name in _ZOO:
            raise ValueError(f"two networks are called {card.name!r}")
        _ZOO[card.name] = (card, build)
        return build

    return register


def cards(family: str | None = None) -> list[Card]:
    """Give the cards of all networks, or of one family, in alphabetical order.

    Args:
        family: as the folder under `networks` is called, such as "classic"; None for all.

    Raises:
        UnknownName: when there is no such family.
    """
    everything = [_ZOO[name][0] for name in sorted(_ZOO)]
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
    if name not in _ZOO:
        raise UnknownName.among("network", name, _ZOO)
    return _ZOO[name][0]


def create(name: str, *, classes: int | None = None, in_channels: int | None = None) -> nn.Module:
    """Build a network with fresh weights, drawn from torch's global generator.

    Args:
        name: as `ninefold models` lists it.
        classes: scores per picture, >= 1; the published number if left out.
        in_channels: channels of a picture, >= 1; the published number if left out.

    Returns:
        A module that maps images (N, in_channels, H, W) to the record that its task reads, such as `Logits`.

    Raises:
        UnknownName: when there is no such network.
        InvalidInput: when `classes` or `in_channels` is below 1.

    >>> import torch
    >>> create("lenet5", classes=7)(torch.zeros(2, 1, 32, 32)).scores.shape
    torch.Size([2, 7])
    """
    known = card(name)
    classes = known.classes if classes is None else classes
    in_channels = known.input[0] if in_channels is None else in_channels
    if min(classes, in_channels) < 1:
        raise InvalidInput(
            f"{name} was asked for with classes={classes} and in_channels={in_channels}; both must be at least 1"
        )
    return _ZOO[name][1](classes, in_channels)
