"""Boxes and arrows from top to bottom, laid out in rows and written as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

GAP_X, GAP_Y, LINE, PAD, MARGIN = 26, 26, 16, 9, 12
LETTER = 6.9  # width of a letter, in pixels, at the size of the text
STYLE = """
.box{fill:#eef2fb;stroke:#4a63b0}.end,.op{fill:#fff;stroke:#4a63b0}path{fill:none;stroke:#5b6472;stroke-width:1.3}
text{font:12px system-ui,sans-serif;text-anchor:middle;fill:#1c2330}.note{fill:#5b6472}.tip{fill:#5b6472;stroke:none}
@media(prefers-color-scheme:dark){.box{fill:#232b42;stroke:#8ea3e0}.end,.op{fill:#1a1f2c;stroke:#8ea3e0}
path{stroke:#a9b1bf}text{fill:#e8ecf4}.note{fill:#a9b1bf}.tip{fill:#a9b1bf}}
"""


@dataclass
class Box:
    """One step of a block.

    Args:
        title: what it does; a sign such as "+" is drawn in a circle.
        notes: further lines, smaller.
        inputs: indices of the boxes whose results it reads.
        kind: "box", "op" or "end", which the style tells apart.
    """

    title: str
    notes: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    kind: str = "box"

    @property
    def width(self) -> float:
        """In pixels."""
        return 26 if self.kind == "op" else 2 * PAD + LETTER * max(map(len, [self.title, *self.notes]))

    @property
    def height(self) -> float:
        """In pixels."""
        return 26 if self.kind == "op" else 2 * PAD - 3 + LINE * (1 + len(self.notes))


@dataclass
class Spot:
    """A place in a row: of a box, or of an arrow that passes by (box -1)."""

    box: int
    width: float
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)
    x: float = 0.0
    half: float = 0.0  # of its height


def draw(boxes: list[Box]) -> str:
    """Give the SVG of `boxes`, in which each comes after those that it reads."""
    rows = _rows(boxes)
    _order(rows)
    _place(rows)
    _straighten(rows)
    shift = MARGIN - min(spot.x - spot.width / 2 for row in rows for spot in row)
    width = max(spot.x + spot.width / 2 for row in rows for spot in row) + shift + MARGIN
    heights = [max((boxes[s.box].height for s in row if s.box >= 0), default=0) for row in rows]
    middles = [MARGIN + sum(heights[:i]) + GAP_Y * i + heights[i] / 2 for i in range(len(rows))]
    height = middles[-1] + heights[-1] / 2 + MARGIN
    lines, shapes = [], []
    for i, row in enumerate(rows):
        for spot in row:
            spot.x += shift
        for spot in row:
            spot.half = (boxes[spot.box].height if spot.box >= 0 else heights[i]) / 2
            lines += [_arrow(above, spot, middles[i - 1], middles[i]) for above in spot.above]
            shapes += _shape(boxes[spot.box], spot.x, middles[i]) if spot.box >= 0 else []
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f"<style>{STYLE}</style>", *lines, *shapes, "</svg>\n"])


def _rows(boxes: list[Box]) -> list[list[Spot]]:
    """Give every box a row below those that it reads, and long arrows a spot in every row between."""
    depth: list[int] = []
    for box in boxes:
        depth.append(1 + max((depth[i] for i in box.inputs), default=-1))
    rows: list[list[Spot]] = [[] for _ in range(max(depth) + 1)]
    spots = [Spot(i, box.width) for i, box in enumerate(boxes)]
    for i, box in enumerate(boxes):
        rows[depth[i]].append(spots[i])
        for source in dict.fromkeys(box.inputs):
            above = spots[source]
            for row in rows[depth[source] + 1 : depth[i]]:
                passing = Spot(-1, 8)
                row.append(passing)
                _join(above, passing)
                above = passing
            _join(above, spots[i])
    return rows


def _join(above: Spot, below: Spot) -> None:
    above.below.append(below)
    below.above.append(above)


def _order(rows: list[list[Spot]]) -> None:
    """Sort every row by where the neighbours stand, again and again, so that few arrows cross."""
    for sweep in range(8):
        down = sweep % 2 == 0
        for before, row in pairwise(rows if down else rows[::-1]):
            place = {id(spot): i for i, spot in enumerate(before)}
            means = {id(s): _mean([place[id(n)] for n in (s.above if down else s.below)], i) for i, s in enumerate(row)}
            row.sort(key=lambda spot: means[id(spot)])


def _place(rows: list[list[Spot]]) -> None:
    """Move every spot towards its neighbours above and below, keeping the distances inside its row."""
    for sweep in range(40):
        for row in rows if sweep % 2 else rows[::-1]:
            wanted = [_mean([n.x for n in spot.above + spot.below], spot.x) for spot in row]
            apart = [0.0, *((a.width + b.width) / 2 + GAP_X for a, b in pairwise(row))]
            right, left = wanted[:], wanted[:]
            for i in range(1, len(row)):
                right[i] = max(wanted[i], right[i - 1] + apart[i])
            for i in range(len(row) - 2, -1, -1):
                left[i] = min(wanted[i], left[i + 1] - apart[i + 1])
            for spot, low, high in zip(row, left, right, strict=True):
                spot.x = (low + high) / 2


def _straighten(rows: list[list[Spot]]) -> None:
    """Let an arrow that passes several rows go straight down, where the boxes leave room for it."""
    row_of = {id(spot): row for row in rows for spot in row}
    for first in (spot for row in rows for spot in row if spot.box < 0 and spot.above[0].box >= 0):
        chain = [first]
        while chain[-1].below[0].box < 0:
            chain.append(chain[-1].below[0])
        for x in sorted(spot.x for spot in chain):
            if all(_is_free(x, spot, row_of[id(spot)]) for spot in chain):
                for spot in chain:
                    spot.x = x
                break


def _is_free(x: float, spot: Spot, row: list[Spot]) -> bool:
    """Say whether a spot at `x` would stand on the same side of all others of its row as now, and not touch them."""
    others = [other for other in row if other is not spot]
    return all(
        (x - other.x) * (spot.x - other.x) > 0 and abs(x - other.x) >= (spot.width + other.width) / 2 + 6
        for other in others
    )


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _arrow(above: Spot, spot: Spot, before: float, here: float) -> str:
    """Bend from one row to the next; pass a row straight, between its boxes."""
    top, end = before + above.half, here - spot.half
    middle, passed = (top + end) / 2, "" if spot.box >= 0 else f"V{here + spot.half:.1f}"
    bend = f"C{above.x:.1f} {middle:.1f} {spot.x:.1f} {middle:.1f} {spot.x:.1f} {end:.1f}"
    tip = f"M{spot.x - 3.5:.1f} {end - 6:.1f}L{spot.x + 3.5:.1f} {end - 6:.1f}L{spot.x:.1f} {end:.1f}Z"
    return f'<path d="M{above.x:.1f} {top:.1f}{bend}{passed}"/>' + ("" if passed else f'<path class="tip" d="{tip}"/>')


def _shape(box: Box, x: float, y: float) -> list[str]:
    if box.kind == "op":
        return [
            f'<circle class="op" cx="{x:.1f}" cy="{y:.1f}" r="13"/>',
            f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(box.title)}</text>',
        ]
    left, top = x - box.width / 2, y - box.height / 2
    frame = f'x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6"'
    lines = [(box.title, ""), *((note, ' class="note"') for note in box.notes)]
    return [
        f'<rect class="{box.kind}" {frame}/>',
        *(
            f'<text{kind} x="{x:.1f}" y="{top + PAD + LINE * i + 10:.1f}">{escape(text)}</text>'
            for i, (text, kind) in enumerate(lines)
        ),
    ]
