"""Streets as a spinning LiDAR sees them: rays against boxes, spheres and the ground, solved exactly.

A street runs along x. From its middle outwards: the road, two kerbs of 15 cm with pavements, facades with gaps between
them; vehicles stand in the lanes and at the kerbs, poles and bushes on the pavements. The sensor stands in a lane, 1.73
m above the road, at the origin of the points. Everything is drawn from the number of the street alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from ninefold.data.draws import uniform
from ninefold.records import PointSample

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES: Final = ("road", "pavement", "facade", "vehicle", "pole", "vegetation")
_ROAD, _PAVEMENT, _FACADE, _VEHICLE, _POLE, _VEGETATION = range(len(CLASSES))
_BRIGHTNESS: Final = np.array([0.2, 0.3, 0.45, 0.55, 0.6, 0.35])  # mean intensity of each class
_HEIGHT: Final = 1.73  # of the sensor over the road
_HALF_ROAD: Final = 7.5  # from the middle of the road to a kerb
_NEAREST: Final = 1.0  # what is closer to the sensor is the car that carries it


@dataclass(frozen=True, slots=True)
class Scanner:
    """A spinning LiDAR.

    Args:
        beams: rays above each other.
        turns: rays of each beam in one turn.
        highest: elevation of the first beam in degrees; upwards is positive.
        lowest: of the last beam.
        reach: metres.
        noise: deviation of a distance in metres.
        lost: share of the rays that do not come back, 0 to 1.
    """

    beams: int = 32
    turns: int = 512
    highest: float = 2.0
    lowest: float = -24.8
    reach: float = 50.0
    noise: float = 0.02
    lost: float = 0.1

    def rays(self) -> np.ndarray:
        """Give unit vectors, (beams * turns, 3)."""
        up = np.repeat(np.deg2rad(np.linspace(self.highest, self.lowest, self.beams)), self.turns)
        around = np.tile(np.linspace(-np.pi, np.pi, self.turns, endpoint=False), self.beams)
        return np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=1)


class Solid(NamedTuple):
    """Something that stands in a street.

    Args:
        low: x, y, z of the corner of a box; of a ball's centre.
        high: of the opposite corner; for a ball, its radius three times.
        label: index into `CLASSES`.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    label: int


def scan(number: int, scanner: Scanner) -> PointSample:
    """Scan a street.

    Args:
        number: of the street, >= 0; another number is another street.
        scanner: that stands in it.

    Returns:
        Points around the sensor, one feature (intensity, 0 to 1), and the class of what each ray met.
    """
    turn, aside = _draw(number, "place", 2)
    yaw = np.deg2rad(20 * (turn - 0.5))
    rays = scanner.rays()  # (R, 3), in the sensor's frame
    cos, sin = np.cos(yaw), np.sin(yaw)
    seen = rays @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])  # in the street's frame
    origin = np.array([0.0, 1.6 + 2 * (aside - 0.5), _HEIGHT])
    distance, label = _met(origin, seen, street(number, float(origin[1])))
    returned = (distance < scanner.reach) & (_draw(number, "lost", len(rays)) >= scanner.lost)
    distance, label = distance[returned], label[returned]
    distance = distance + scanner.noise * _normal(number, "distance", len(distance))
    intensity = _BRIGHTNESS[label] + 0.1 * _normal(number, "intensity", len(label))
    return PointSample(
        torch.from_numpy((rays[returned] * distance[:, None]).astype(np.float32)),
        torch.from_numpy(intensity.clip(0, 1).astype(np.float32))[:, None],
        torch.from_numpy(label),
        f"street-{number}",
    )


def street(number: int, lane: float) -> list[Solid]:
    """Give all that stands in a street.

    Args:
        number: of the street.
        lane: y of the sensor; no vehicle stands around it.
    """
    return [*_pavements(), *_facades(number), *_vehicles(number, lane), *_poles(number), *_bushes(number)]


def _pavements() -> Iterator[Solid]:
    for side in (-1, 1):
        yield Solid(*_box(-100, 100, side * _HALF_ROAD, side * 30, 0, 0.15), _PAVEMENT)


def _facades(number: int) -> Iterator[Solid]:
    for side in (-1, 1):
        x = -60.0
        for length, gap, back, height in _draw(number, f"facades {side}", 16 * 4).reshape(-1, 4):
            y = side * (10.5 + 3 * back)
            yield Solid(*_box(x, x + 8 + 12 * length, y, y + side * 10, 0, 4 + 10 * height), _FACADE)
            x += 8 + 12 * length + 1 + 6 * gap


def _vehicles(number: int, lane: float) -> Iterator[Solid]:
    lanes = (-6.4, -3.2, 3.2, 6.4)
    for along, which, shift, kind in _draw(number, "vehicles", 24 * 4).reshape(-1, 4):
        x, y = 100 * along - 50, lanes[int(which * 4)] + 0.4 * (shift - 0.5)
        length, width, height = (4.2, 1.8, 1.5) if kind < 0.8 else (6.0, 2.1, 2.6)
        if abs(x) > 6 or abs(y - lane) > 2.5:
            body = _box(x - length / 2, x + length / 2, y - width / 2, y + width / 2, 0.3, 0.6 * height)
            cabin = _box(x - length / 4, x + length / 3, y - width / 2.2, y + width / 2.2, 0.6 * height, height)
            yield Solid(*body, _VEHICLE)
            yield Solid(*cabin, _VEHICLE)


def _poles(number: int) -> Iterator[Solid]:
    for along, side, height in _draw(number, "poles", 24 * 3).reshape(-1, 3):
        x, y = 80 * along - 40, (8.3 if side < 0.5 else -8.3)
        yield Solid(*_box(x - 0.12, x + 0.12, y - 0.12, y + 0.12, 0.15, 4 + 3 * height), _POLE)


def _bushes(number: int) -> Iterator[Solid]:
    for along, side, size, out in _draw(number, "bushes", 28 * 4).reshape(-1, 4):
        x, y = 90 * along - 45, (9.0 + out) * (1 if side < 0.5 else -1)
        radius = 0.4 + 0.8 * size
        yield Solid((x, y, 0.15 + 0.6 * radius), (radius,) * 3, _VEGETATION)


def _box(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float) -> tuple[tuple[float, float, float], ...]:
    return (x0, min(y0, y1), z0), (x1, max(y0, y1), z1)


def _met(origin: np.ndarray, rays: np.ndarray, solids: list[Solid]) -> tuple[np.ndarray, np.ndarray]:
    """Give the distance to what each ray meets first, inf for nothing, and its class."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.ascontiguousarray(rays.T)  # (3, R)
        distance = np.where(inverse[2] < 0, -origin[2] * inverse[2], np.inf)
        label = np.full(len(rays), _ROAD)
        for solid in solids:
            entry = _into_ball(origin, rays, solid) if solid.label == _VEGETATION else _into_box(origin, inverse, solid)
            nearer = (entry > _NEAREST) & (entry < distance)
            distance[nearer], label[nearer] = entry[nearer], solid.label
    return distance, label


def _into_box(origin: np.ndarray, inverse: np.ndarray, solid: Solid) -> np.ndarray:
    """Give where rays enter a box, inf where they do not: the last of three slabs, if none was left before."""
    entry, left = np.full(inverse.shape[1], -np.inf), np.full(inverse.shape[1], np.inf)
    for low, high, start, slopes in zip(solid.low, solid.high, origin, inverse, strict=True):
        first, second = (low - start) * slopes, (high - start) * slopes
        np.maximum(entry, np.minimum(first, second), out=entry)
        np.minimum(left, np.maximum(first, second), out=left)
    return np.where(left >= entry, entry, np.inf)


def _into_ball(origin: np.ndarray, rays: np.ndarray, solid: Solid) -> np.ndarray:
    """Give where rays enter a ball, inf where they do not: the smaller root of |origin + t ray - centre| = radius."""
    to_centre = np.array(solid.low) - origin
    along = rays @ to_centre
    inside = along**2 - to_centre @ to_centre + solid.high[0] ** 2
    return np.where(inside >= 0, along - np.sqrt(np.maximum(inside, 0)), np.inf)


def _draw(number: int, purpose: str, count: int) -> np.ndarray:
    return uniform(np.array([number], np.uint64), f"street {purpose}", count)[0]


def _normal(number: int, purpose: str, count: int) -> np.ndarray:
    """Draw from the normal distribution (Box and Muller)."""
    radius, angle = _draw(number, purpose, 2 * count).reshape(2, count)
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
