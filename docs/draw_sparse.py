"""Draw tables and rulebooks of sparse convolutions: `python docs/draw_sparse.py` writes docs/learn/sparse-*.svg."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from diagram import MARGIN, STYLE

from ninefold import reference
from ninefold.spec import SparseSpec

if TYPE_CHECKING:
    from ninefold.reference.sparse import Site

FOLDER = Path(__file__).parent / "learn"
SITES = ((0, 0, 1), (0, 1, 1), (0, 1, 2), (0, 3, 4))
SPECS = {
    "submanifold": SparseSpec.of((4, 5), 3, kind="submanifold"),
    "strided": SparseSpec.of((4, 5), 3, stride=2, padding=1),
}
CELL, LINE, GAP, TABLE, BOOK = 26, 20, 30, 88, 210


def picture_of(spec: SparseSpec) -> str:
    """Give the SVG of a convolution of `SITES`: grid and table of the input, rulebook, table and grid of the output."""
    book = reference.rulebook(SITES, spec)
    panels = [
        ("input", spec.size[1] * CELL, _grid(spec.size, SITES)),
        ("its table", TABLE, _table(SITES)),
        ("rulebook: offset, rules", BOOK, _rules(spec, book)),
        ("output's table", TABLE, _table(book.sites)),
        ("output", spec.out_size[1] * CELL, _grid(spec.out_size, book.sites)),
    ]
    shapes, left = [], float(MARGIN)
    for title, width, drawn in panels:
        wide = max(width, 7 * len(title))
        shapes.append(f'<text x="{left + wide / 2:.0f}" y="{MARGIN + 10}">{title}</text>')
        shapes.append(f'<g transform="translate({left + (wide - width) / 2:.0f} {MARGIN + 22})">{"".join(drawn)}</g>')
        left += wide + GAP
    lines = max(spec.size[0] * CELL, LINE * sum(map(bool, book.rules)))
    width, height = left - GAP + MARGIN, lines + 22 + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f"<style>{STYLE}</style>", *shapes, "</svg>\n"])


def _grid(size: tuple[int, ...], sites: tuple[Site, ...]) -> list[str]:
    rows = {site[1:]: row for row, site in enumerate(sites)}
    shapes = []
    for y in range(size[0]):
        for x in range(size[1]):
            row = rows.get((y, x))
            kind = "end" if row is None else "box"
            shapes.append(f'<rect class="{kind}" x="{x * CELL}" y="{y * CELL}" width="{CELL}" height="{CELL}"/>')
            if row is not None:
                shapes.append(_text(str(row), (x + 0.5) * CELL, y * CELL + 17))
    return shapes


def _table(sites: tuple[Site, ...]) -> list[str]:
    shapes = []
    for row, (_, y, x) in enumerate(sites):
        shapes.append(f'<rect class="box" y="{row * LINE}" width="{TABLE}" height="{LINE}"/>')
        shapes.append(_text(f"({y}, {x}) → {row}", TABLE / 2, row * LINE + 14))
    return shapes


def _rules(spec: SparseSpec, book: reference.Rulebook) -> list[str]:
    shapes = []
    known = [(offset, rules) for offset, rules in zip(spec.offsets, book.rules, strict=True) if rules]
    for line, (offset, rules) in enumerate(known):
        shapes.append(f'<rect class="end" y="{line * LINE}" width="{BOOK}" height="{LINE}"/>')
        shapes.append(_text(f"({offset[0]}, {offset[1]})", 28, line * LINE + 14, "note"))
        shapes.append(_text("   ".join(f"{i}→{o}" for i, o in rules), BOOK / 2 + 28, line * LINE + 14))
    return shapes


def _text(text: str, x: float, y: float, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y}" xml:space="preserve">{text}</text>'


if __name__ == "__main__":
    for name, spec in SPECS.items():
        (FOLDER / f"sparse-{name}.svg").write_text(picture_of(spec), encoding="utf-8")
