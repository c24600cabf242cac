"""The networks: one file per paper, grouped by family; `zoo` holds the register."""

from ninefold.networks import classic
from ninefold.networks.zoo import card, cards, create

__all__ = ["card", "cards", "classic", "create"]
