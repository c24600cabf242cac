"""Fill the pages of networks with what the cards say: `python docs/network_pages.py` rewrites docs/networks/*.md.

A page has marks, and what is filled in stands between them:

    <!-- cards NAME NAME ... -->           names of networks, in which * stands for anything
    <!-- end -->
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from ninefold import networks

if TYPE_CHECKING:
    from ninefold.records import Card

FOLDER = Path(__file__).parent / "networks"
MARK = re.compile(r"<!-- cards (.+?) -->\n.*?<!-- end -->\n", re.DOTALL)


def filled(text: str, family: str) -> str:
    """Give the page of a family with every mark filled anew."""
    return MARK.sub(lambda found: f"<!-- cards {found[1]} -->\n{_cards(family, found[1].split())}<!-- end -->\n", text)


def _cards(family: str, patterns: list[str]) -> str:
    cards = [c for c in networks.cards(family) if any(fnmatch(c.name, pattern) for pattern in patterns)]
    cards.sort(key=lambda card: (card.year, card.macs))
    papers = dict.fromkeys(f"[{card.paper}, {card.year}]({card.link})" for card in cards)
    rows = [_row(card) for card in cards]
    head = ["| network | input | parameters | MACs | top-1 % | checkpoints named as in |", "|---|---|--:|--:|--:|---|"]
    parts = ["<br>\n".join(papers) + "\n", *head, *rows]
    differences = _differences(cards)
    return "\n".join([*parts, "", *differences, ""] if differences else [*parts, ""])


def _row(card: Card) -> str:
    size = "x".join(map(str, card.input))
    top1 = "" if card.top1 is None else f"{card.top1:.1f}"
    return f"| `{card.name}` | {size} | {card.parameters:,} | {card.macs:,} | {top1} | {card.naming} |"


def _differences(cards: list[Card]) -> list[str]:
    """Give a line per difference from the paper; it names its networks where it is not that of all."""
    owners: dict[str, list[str]] = {}
    for card in cards:
        for text in card.differences:
            owners.setdefault(text, []).append(f"`{card.name}`")
    return [
        f"- {text}" if len(names) == len(cards) else f"- {', '.join(names)}: {text}" for text, names in owners.items()
    ]


if __name__ == "__main__":
    for page in FOLDER.glob("*.md"):
        page.write_text(filled(page.read_text(encoding="utf-8"), page.stem), encoding="utf-8")
