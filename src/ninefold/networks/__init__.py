"""The networks: one file per paper, grouped by family; `zoo` holds the register."""

from ninefold.networks import attention, classic, eeg, lightweight, sparse3d
from ninefold.networks.zoo import card, cards, create

__all__ = ["attention", "card", "cards", "classic", "create", "eeg", "lightweight", "sparse3d"]
