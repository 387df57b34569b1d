"""Districts: the blocks of local streets between arterials, each with its own kind, direction and spacing.

A district has a frame ``u, v`` (metres, along and across its rows of lots) that is turned about its middle
and bent along a sine. Local streets are the lines ``v = row(k)`` and, within row k, ``u = crossing(k, m)``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.city import arterial, city_of, from_city
from geoseg.demo.noise import EDITION, compiled, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Climate

VILLAS, OLD_TOWN, FLATS, TOWERS, WORKS, PARK, BARE = range(7)
BANK = 9.0
"""Metres between water and the end of a local street."""


class District(NamedTuple):
    """One district; plain numbers, so that compiled code can read it."""

    i: int
    j: int
    kind: int
    salt: int
    x: float
    """Middle, image metres."""
    y: float
    cos: float
    sin: float
    swing: float
    """How far rows swing from a straight line, metres."""
    rate: float
    """Radians of the swing per metre along u."""
    phase: float
    rows: float
    crossings: float
    half: float
    """Half width of its streets, metres."""
    lot: float
    deep: int
    green: float
    """0 to 1."""
    dust: float
    """0 to 1: how much bare soil lies in the sand."""


@lru_cache(maxsize=512)
def district_of(seed: int, i: int, j: int, climate: Climate) -> District:
    """Return district ``i, j`` of a seed's city."""
    city = city_of(seed, climate)
    rng = np.random.default_rng([seed, EDITION, 3, i % 2**32, j % 2**32])
    shares = np.array(climate.shares)
    shares = shares * np.random.default_rng([seed, EDITION, 4]).gamma(4.0, 0.25, len(shares))
    number = int(rng.choice(len(shares), p=shares / shares.sum()))
    kind = climate.kinds[number]
    p = 0.5 * (arterial(city, 0, i) + arterial(city, 0, i + 1))
    q = 0.5 * (arterial(city, 1, j) + arterial(city, 1, j + 1))
    x, y = from_city(city, p, q)
    turn = math.atan2(city.sin, city.cos) + rng.integers(0, 2) * math.pi / 2 + _turn(rng, number)
    swing = float(rng.choice([0.0, rng.uniform(*climate.plan.swing)]))
    return District(
        i=i,
        j=j,
        kind=number,
        salt=int(rng.integers(1, 2**30)),
        x=x,
        y=y,
        cos=math.cos(turn),
        sin=math.sin(turn),
        swing=swing,
        rate=2.0 * math.pi / float(rng.uniform(260.0, 420.0)),
        phase=float(rng.uniform(0.0, 2.0 * math.pi)),
        rows=float(rng.uniform(*kind.rows)),
        crossings=float(rng.uniform(*kind.crossings)),
        half=float(rng.uniform(*kind.street)),
        lot=float(rng.uniform(*kind.lot)),
        deep=kind.deep,
        green=kind.green * float(rng.uniform(0.5, 1.0)),
        dust=float(rng.random()),
    )


def _turn(rng: np.random.Generator, kind: int) -> float:
    """Return a district's turn against the arterials: mostly slight, sometimes oblique."""
    slight, oblique = rng.normal(0.0, 0.05), rng.uniform(-0.7, 0.7)
    return float(oblique if rng.random() < (0.15 if kind == TOWERS else 0.3) else slight)


@compiled
def unpacked(table: NDArray[np.float64], column: int, line: int) -> District:
    """Return the district whose fields are the numbers of a table, shape (columns, lines, 18)."""
    n = table[column, line]
    return District(
        int(n[0]), int(n[1]), int(n[2]), int(n[3]),
        n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], int(n[15]), n[16], n[17],
    )  # fmt: skip


@compiled
def to_district(district: District, x: float, y: float) -> tuple[float, float]:
    """Return ``u, v`` of an image position."""
    dx, dy = x - district.x, y - district.y
    u = dx * district.cos + dy * district.sin
    v = dy * district.cos - dx * district.sin
    return u, v - district.swing * math.sin(district.rate * u + district.phase)


@compiled
def from_district(district: District, u: float, v: float) -> tuple[float, float]:
    """Return the image position of ``u, v``."""
    v += district.swing * math.sin(district.rate * u + district.phase)
    return district.x + u * district.cos - v * district.sin, district.y + u * district.sin + v * district.cos


@compiled
def slope(district: District, u: float) -> float:
    """Return the direction of rows at u against the district's own, radians."""
    return math.atan(district.swing * district.rate * math.cos(district.rate * u + district.phase))


@compiled
def row(district: District, k: int) -> float:
    """Return where street k runs, in v."""
    return (k + 0.16 * unit(k, 1, district.salt)) * district.rows


@compiled
def crossing(district: District, k: int, m: int) -> float:
    """Return where street m crosses the row after street k, in u."""
    return (m + unit(k, 2, district.salt) + 0.25 * unit(k, m + 1000, district.salt)) * district.crossings


@compiled
def block(district: District, u: float, v: float) -> tuple[int, int]:
    """Return the row and the crossing before a place."""
    k = math.floor(v / district.rows)
    k = k - 1 if v < row(district, k) else k
    m = math.floor(u / district.crossings - unit(k, 2, district.salt))
    return k, m - 1 if u < crossing(district, k, m) else m


@compiled
def rounded(first: float, second: float) -> float:
    """Return the distance to the nearer of two kerbs, metres, with the corner between them rounded off."""
    near = min(first, second)
    if first <= 0.0 or second <= 0.0 or first >= 5.0 or second >= 5.0:
        return near
    return min(near, 5.0 - math.hypot(5.0 - first, 5.0 - second))


@compiled
def street(district: District, u: float, v: float) -> float:
    """Return the distance to the nearest local kerb, metres; negative on the carriageway."""
    k, m = block(district, u, v)
    along = min(v - row(district, k), row(district, k + 1) - v)
    across = min(u - crossing(district, k, m), crossing(district, k, m + 1) - u)
    return rounded(along - district.half, across - district.half)
