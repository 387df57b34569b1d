"""The frame of a made-up city: where arterial roads run and where water lies, for a seed.

Image coordinates ``x, y`` (metres, which are pixels; right and down) are rotated and gently bent into city
coordinates ``p, q``. Arterials are the lines ``p = constant`` and ``q = constant``; between them lie
districts ``i, j``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.noise import EDITION, compiled, unit, wave

if TYPE_CHECKING:
    from geoseg.demo.climate import Climate

FAR = 1000.0
"""Metres; stands for "no water near"."""


class City(NamedTuple):
    """The numbers that a whole city follows from."""

    salt: int
    cos: float
    sin: float
    spacing: float
    """Mean distance of arterials, metres."""
    bend: float
    """How far arterials swing, metres."""
    reach: float
    """Over what length they swing, metres."""
    water_every: int
    """Every how many columns of districts water flows."""
    water_half: float
    """Mean half width of a creek, metres; 0 for a coast that fills its column."""
    half: float
    """Half width of the narrowest arterial, metres."""
    broad: float
    """Share of the arterials with a median."""


def city_of(seed: int, climate: Climate) -> City:
    """Return the city of a seed."""
    plan = climate.plan
    rng = np.random.default_rng([seed, EDITION, 1])
    turn = float(rng.uniform(0.0, 2.0 * math.pi))
    coast = bool(rng.random() < plan.coast)
    return City(
        salt=int(rng.integers(1, 2**30)),
        cos=math.cos(turn),
        sin=math.sin(turn),
        spacing=float(rng.uniform(*plan.spacing)),
        bend=float(rng.uniform(*plan.bend)),
        reach=float(rng.uniform(550.0, 900.0)),
        water_every=3 if coast else plan.water_every,
        water_half=0.0 if coast else float(rng.uniform(*plan.water_half)),
        half=float(rng.uniform(*plan.half)),
        broad=plan.broad,
    )


@compiled
def to_city(city: City, x: float, y: float) -> tuple[float, float]:
    """Return ``p, q`` of an image position."""
    a = x * city.cos + y * city.sin
    b = y * city.cos - x * city.sin
    p = a + city.bend * wave(b / city.reach, city.salt + 1)
    return p, b + city.bend * wave(p / city.reach, city.salt + 2)


@compiled
def from_city(city: City, p: float, q: float) -> tuple[float, float]:
    """Return the image position of ``p, q``: the exact inverse of to_city."""
    b = q - city.bend * wave(p / city.reach, city.salt + 2)
    a = p - city.bend * wave(b / city.reach, city.salt + 1)
    return a * city.cos - b * city.sin, a * city.sin + b * city.cos


@compiled
def arterial(city: City, axis: int, k: int) -> float:
    """Return where arterial k of an axis (0: p, 1: q) runs."""
    return (k + 0.3 * unit(k, axis, city.salt + 3)) * city.spacing


@compiled
def arterial_half(city: City, axis: int, k: int) -> float:
    """Return half the width of an arterial, metres; 12.5 to 14.5 with a median."""
    chance = unit(k, axis, city.salt + 4)
    return 12.5 + 2.0 * chance / city.broad if chance < city.broad else city.half + 2.0 * chance


@compiled
def between(city: City, axis: int, place: float) -> int:
    """Return the index of the arterial before a place on an axis."""
    k = math.floor(place / city.spacing)
    return k - 1 if place < arterial(city, axis, k) else k


@compiled
def has_water(city: City, i: int) -> bool:
    """Tell whether water flows in column i of districts."""
    return (i + city.salt) % city.water_every == 0


@compiled
def shore(city: City, i: int, p: float, q: float) -> float:
    """Return the distance to the water of column i in metres: positive on land, negative in water."""
    if not has_water(city, i):
        return FAR
    left, right = arterial(city, 0, i), arterial(city, 0, i + 1)
    rough = 2.0 * wave(q / 13.0, city.salt + 5)
    if city.water_half == 0.0:
        low = left + 125.0 + 30.0 * wave(q / 170.0, city.salt + 6) + rough
        high = right - 125.0 + 30.0 * wave(q / 140.0, city.salt + 7) + rough
        return max(low - p, p - high)
    middle = 0.5 * (left + right) + 62.0 * wave(q / 330.0, city.salt + 6)
    half = city.water_half * (1.0 + 0.45 * wave(q / 260.0, city.salt + 7)) + rough
    return abs(p - middle) - half


@compiled
def clearance(city: City, p: float, q: float) -> tuple[int, int, float, float]:
    """Return the district ``i, j`` of a place and its distance to an arterial's kerb and to water, metres."""
    i, j = between(city, 0, p), between(city, 1, q)
    kerb = min(
        p - arterial(city, 0, i) - arterial_half(city, 0, i),
        arterial(city, 0, i + 1) - p - arterial_half(city, 0, i + 1),
    )
    other = min(
        q - arterial(city, 1, j) - arterial_half(city, 1, j),
        arterial(city, 1, j + 1) - q - arterial_half(city, 1, j + 1),
    )
    return i, j, min(kerb, other), shore(city, i, p, q)
