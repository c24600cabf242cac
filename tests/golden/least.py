"""One network per file of the zoo, the one with the least work: what needs numbers is asked of it alone."""

from ninefold import networks
from ninefold.networks import zoo

SIZE = 64  # of pictures that are computed with, where the network takes them


def module(card):
    """Tell where the builder was written; a builder of a table's row is a partial call of one function."""
    build = zoo.entry(card.name).build
    return getattr(build, "func", build).__module__


def size(card):
    """Give the height and width to compute with: batch norm learns nothing from a last map of one pixel."""
    return card.input[1:] if card.fixed_size else (min(max(card.smallest + 32, SIZE), card.input[1]),) * 2


CARDS = [card for card in networks.cards() if card.reads == "pictures"]
BY_FILE = {module(card): card for card in sorted(CARDS, key=lambda card: card.macs, reverse=True)}
LEAST = sorted(BY_FILE.values(), key=lambda card: card.name)
