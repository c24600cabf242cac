"""`ninefold models`: which networks there are."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ninefold.app.screen import AsJson, Debug, print_facts, print_json, print_rows
from ninefold.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from ninefold.records import Card

_SCALES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_ORDERS: Final[dict[str, "Callable[[Card], Any]"]] = {
    "name": lambda card: card.name,
    "year": lambda card: card.year,
    "params": lambda card: card.parameters,
    "macs": lambda card: card.macs,
    "top1": lambda card: -(card.top1 or 0.0),  # the best first, the unknown last
}


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all about this one.")] = None,
    family: Annotated[str | None, typer.Option(help="List only this family.")] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="List only networks of at most so many parameters, as 5M.")
    ] = None,
    sort: Annotated[str, typer.Option(help=f"One of {', '.join(_ORDERS)}.")] = "name",
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """List the networks, or tell what is known of one."""
    if sort not in _ORDERS:
        raise UnknownName.among("order", sort, _ORDERS)
    limit = None if max_params is None else parse_count(max_params)
    from ninefold import networks

    if name is not None:
        card = networks.card(name)
        print_json(_document(card)) if as_json else _print_card(card)
        return
    cards = [card for card in networks.cards(family) if limit is None or card.parameters <= limit]
    cards.sort(key=_ORDERS[sort])
    print_json([_document(card) for card in cards]) if as_json else _print_list(cards)


def parse_count(text: str) -> int:
    """Read a number from text such as `5M`, `2.5M` or `800000`.

    Raises:
        InvalidInput: when it is anything else.

    >>> parse_count("2.5M"), parse_count("800000")
    (2500000, 800000)
    """
    number, scale = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    digits = number.replace(".", "", 1)
    if scale not in _SCALES or not (digits.isascii() and digits.isdigit()):
        raise InvalidInput(f"--max-params {text!r} is no number; write one such as 5M, 2.5M or 800000")
    return round(float(number) * _SCALES[scale])


def _document(card: "Card") -> dict[str, object]:
    """Give a card's fields; `params` is what tables call the parameters."""
    return asdict(card) | {"params": card.parameters}


def _print_list(cards: "list[Card]") -> None:
    titles = ("name", "family", "year", "input", "classes", "params", "MACs", "top-1")
    print_rows(
        titles,
        [
            (c.name, c.family, str(c.year), _size(c), c.classes, c.parameters, c.macs, c.top1 and f"{c.top1:.1f}")
            for c in cards
        ],
    )


def _print_card(card: "Card") -> None:
    sizes = "no other height and width" if card.fixed_size else f"height and width from {card.smallest} up"
    facts = [
        ("name", card.name),
        ("family", card.family),
        ("task", card.task),
        ("paper", card.paper),
        ("year", str(card.year)),
        ("link", card.link),
        ("input", f"{_size(card)}, {sizes}" if card.reads == "pictures" else f"{_size(card)} features of a voxel"),
        ("classes", card.classes),
        ("parameters", card.parameters),
        ("MACs", card.macs),
        ("counted on", card.counted_on),
        ("published", card.published),
        ("checkpoints", card.naming and f"named as in {card.naming}"),
        ("pictures", card.preprocessing),
        ("licence", card.licence),
        *(("differs" if i == 0 else " ", text) for i, text in enumerate(card.differences)),
    ]
    print_facts(facts)


def _size(card: "Card") -> str:
    return "x".join(map(str, card.input))
