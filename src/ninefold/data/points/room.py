"""Rooms as a depth camera's surface reconstruction gives them: points on floors, walls and furniture.

A room is 3.5 to 5.5 m long, 3 to 4.5 m wide and 2.4 m high, turned by any angle, without a ceiling. Every surface is
sampled on a jittered lattice; patches of half a metre are missing from the walls, and a door's width from one of them.
Everything is drawn from the number of the room alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from ninefold.data.draws import uniform
from ninefold.records import PointSample

if TYPE_CHECKING:
    from collections.abc import Iterator

    Place = tuple[float, float, float]
    Surface = tuple[np.ndarray, int]  # points (P, 3), and their class

CLASSES: Final = ("floor", "wall", "cabinet", "table", "ball")
_FLOOR, _WALL, _CABINET, _TABLE, _BALL = range(len(CLASSES))
_BRIGHTNESS: Final = np.array([0.4, 0.8, 0.5, 0.45, 0.6])  # mean brightness of each class
_HIGH: Final = 2.4
_DOOR: Final = 0.9


def room(number: int, spacing: float = 0.05, noise: float = 0.003) -> PointSample:
    """Sample a room.

    Args:
        number: of the room, >= 0; another number is another room.
        spacing: of the lattice in metres.
        noise: deviation of a point from its surface in metres.

    Returns:
        Points with the floor's middle at the origin, one feature (brightness, 0 to 1), and the class of each.
    """
    lattice = _Lattice(number, spacing)
    length, width = 3.5 + 2 * lattice.one(), 3 + 1.5 * lattice.one()
    surfaces = [*_shell(lattice, length, width), *_furniture(lattice, length, width)]
    points = np.concatenate([points for points, _ in surfaces])
    label = np.repeat([label for _, label in surfaces], [len(points) for points, _ in surfaces])
    points = points - (length / 2, width / 2, 0) + noise * lattice.normal((len(points), 3))
    angle = 2 * np.pi * lattice.one()
    cos, sin = np.cos(angle), np.sin(angle)
    turned = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    brightness = (_BRIGHTNESS[label] + 0.15 * lattice.normal((len(label),))).clip(0, 1)
    return PointSample(
        torch.from_numpy(turned.astype(np.float32)),
        torch.from_numpy(brightness.astype(np.float32))[:, None],
        torch.from_numpy(label),
        f"room-{number}",
    )


class _Lattice:
    """Draws one after the other, and surfaces sampled with them."""

    def __init__(self, number: int, spacing: float) -> None:
        self.key, self.spacing, self.drawn = np.array([number], np.uint64), spacing, 0

    def draw(self, count: int) -> np.ndarray:
        self.drawn += 1
        return uniform(self.key, f"room {self.drawn}", count)[0]

    def one(self) -> float:
        return float(self.draw(1)[0])

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        radius, angle = self.draw(2 * int(np.prod(shape))).reshape(2, *shape)
        return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)

    def rectangle(self, corner: Place, first: Place, second: Place, kept: float = 1.0) -> np.ndarray:
        """Sample a rectangle by its corner and its two sides; patches of 0.5 m stay with the probability `kept`."""
        sides = np.array([first, second])
        lengths = np.linalg.norm(sides, axis=1)
        n, m = (int(side / self.spacing) for side in lengths)
        i, j = np.meshgrid(np.arange(n), np.arange(m), indexing="ij")
        jitter = self.draw(2 * n * m).reshape(2, n * m)
        shares = np.stack([(i.ravel() + jitter[0]) / n, (j.ravel() + jitter[1]) / m], axis=1)  # (P, 2)
        patches = (shares * lengths / 0.5).astype(int)
        stays = self.draw(1024).reshape(32, 32)[patches[:, 0], patches[:, 1]] < kept
        return np.array(corner) + shares[stays] @ sides

    def ball(self, centre: Place, radius: float) -> np.ndarray:
        """Sample a sphere along the golden spiral."""
        count = int(4 * np.pi * radius**2 / self.spacing**2)
        step = np.arange(count) + 0.5
        down, around = np.arccos(1 - 2 * step / count), np.pi * (1 + np.sqrt(5)) * step
        unit = np.stack([np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)], axis=1)
        return np.array(centre) + radius * unit


def _shell(lattice: _Lattice, length: float, width: float) -> Iterator[Surface]:
    up = (0.0, 0.0, _HIGH)
    yield lattice.rectangle((0, 0, 0), (length, 0, 0), (0, width, 0)), _FLOOR
    yield lattice.rectangle((0, 0, 0), (length - _DOOR, 0, 0), up, 0.7), _WALL
    yield lattice.rectangle((0, width, 0), (length, 0, 0), up, 0.7), _WALL
    yield lattice.rectangle((0, 0, 0), (0, width, 0), up, 0.7), _WALL
    yield lattice.rectangle((length, 0, 0), (0, width, 0), up, 0.7), _WALL


def _furniture(lattice: _Lattice, length: float, width: float) -> Iterator[Surface]:
    for _ in range(3):
        size = (0.4 + 0.8 * lattice.one(), 0.4 + 0.4 * lattice.one(), 0.6 + 1.2 * lattice.one())
        place = (lattice.one() * (length - size[0]), lattice.one() * (width - size[1]), 0.0)
        yield from ((face, _CABINET) for face in _box(lattice, place, size))
    for _ in range(2):
        w, l, h = 0.9 + 0.6 * lattice.one(), 0.6 + 0.4 * lattice.one(), 0.7 + 0.1 * lattice.one()
        x, y = lattice.one() * (length - w), lattice.one() * (width - l)
        yield lattice.rectangle((x, y, h), (w, 0, 0), (0, l, 0)), _TABLE
        for dx, dy in ((0, 0), (w - 0.06, 0), (0, l - 0.06), (w - 0.06, l - 0.06)):
            yield from ((face, _TABLE) for face in _box(lattice, (x + dx, y + dy, 0), (0.06, 0.06, h)))
    for _ in range(3):
        radius = 0.15 + 0.2 * lattice.one()
        centre = (0.5 + lattice.one() * (length - 1), 0.5 + lattice.one() * (width - 1), radius)
        yield lattice.ball(centre, radius), _BALL


def _box(lattice: _Lattice, place: Place, size: tuple[float, float, float]) -> Iterator[np.ndarray]:
    """Sample the top and the four sides of a box."""
    (x, y, z), (w, l, h) = place, size
    yield lattice.rectangle((x, y, z + h), (w, 0, 0), (0, l, 0))
    for side_y in (y, y + l):
        yield lattice.rectangle((x, side_y, z), (w, 0, 0), (0, 0, h))
    for side_x in (x, x + w):
        yield lattice.rectangle((side_x, y, z), (0, l, 0), (0, 0, h))
