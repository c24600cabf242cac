"""`ninefold models`: which networks there are."""

from typing import TYPE_CHECKING, Annotated

import typer

from ninefold.app.screen import AsJson, Debug, print_facts, print_json, print_rows

if TYPE_CHECKING:
    from ninefold.records import Card


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all about this one.")] = None,
    family: Annotated[str | None, typer.Option(help="List only this family.")] = None,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """List the networks, or tell what is known of one."""
    from ninefold import networks

    if name is not None:
        card = networks.card(name)
        print_json(card) if as_json else _print_card(card)
        return
    cards = networks.cards(family)
    print_json(cards) if as_json else _print_list(cards)


def _print_list(cards: "list[Card]") -> None:
    titles = ("name", "family", "task", "year", "input", "classes", "parameters", "MACs")
    print_rows(
        titles, [(c.name, c.family, c.task, str(c.year), _size(c), c.classes, c.parameters, c.macs) for c in cards]
    )


def _print_card(card: "Card") -> None:
    pictures = "no other height and width" if card.fixed_size else f"height and width from {card.smallest} up"
    facts = [
        ("name", card.name),
        ("family", card.family),
        ("task", card.task),
        ("paper", card.paper),
        ("link", card.link),
        ("input", f"{_size(card)}, {pictures}"),
        ("classes", card.classes),
        ("parameters", card.parameters),
        ("MACs", card.macs),
        ("published", card.published),
        *(("differs" if i == 0 else " ", text) for i, text in enumerate(card.differences)),
    ]
    print_facts(facts)


def _size(card: "Card") -> str:
    return "x".join(map(str, card.input))
