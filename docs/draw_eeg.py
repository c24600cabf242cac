"""Draw the plane of electrodes: `python docs/draw_eeg.py` writes docs/learn/eeg-plane.svg."""

from __future__ import annotations

from pathlib import Path

from diagram import MARGIN, STYLE

from ninefold.data.eeg.deap import CHANNELS
from ninefold.data.eeg.grid import deap_grid

PLANE = Path(__file__).parent / "learn" / "eeg-plane.svg"
CELL = 42


def picture() -> str:
    """Give the SVG of the published plane: the front of the head above, cells without an electrode empty."""
    grid = deap_grid()
    names = dict(zip(zip(grid.rows.tolist(), grid.columns.tolist(), strict=True), CHANNELS, strict=True))
    shapes = []
    for row in range(grid.height):
        for column in range(grid.width):
            x, y, name = MARGIN + column * CELL, MARGIN + row * CELL, names.get((row, column))
            shapes.append(f'<rect class="{"box" if name else "end"}" x="{x}" y="{y}" width="{CELL}" height="{CELL}"/>')
            if name:
                shapes.append(f'<text x="{x + CELL // 2}" y="{y + CELL // 2 + 4}">{name}</text>')
    width, height = grid.width * CELL + 2 * MARGIN, grid.height * CELL + 2 * MARGIN
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f"<style>{STYLE}</style>", *shapes, "</svg>\n"])


if __name__ == "__main__":
    PLANE.write_text(picture(), encoding="utf-8")
