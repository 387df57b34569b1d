"""Furniture of a district: tables of buildings, patches and trees, placed on its lots and streets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo import buildings, lots, yards
from geoseg.demo.city import city_of
from geoseg.demo.districts import BARE, FLATS, OLD_TOWN, PARK, TOWERS, VILLAS, WORKS, district_of
from geoseg.demo.palette import PAVING, SAND, SOIL, Look, look_of
from geoseg.demo.roadside import street_cars, trees_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float64]

DENSE_WHITE, METAL, TILE = (0, 1, 3), (0, 3, 4, 8, 9, 2), (6, 7, 1, 2)
"""Rows of ``Look.roofs`` that flat, ribbed and hipped roofs prefer."""


class Furniture(NamedTuple):
    """What stands and lies in a district."""

    houses: Table
    """Shape (n, 16), columns of ``buildings``."""
    patches: Table
    """Shape (n, 11), columns of ``yards``."""
    trees: Table
    """Shape (n, 6), columns of ``plants``."""


class Manner(NamedTuple):
    """How the lots of one kind of district are built upon; pairs are ranges."""

    built: float
    """Share of the lots with a building."""
    side: tuple[float, float]
    front: tuple[float, float]
    back: tuple[float, float]
    """Metres between building and lot."""
    shapes: tuple[float, ...]
    """Weights of box, L, U, courtyard, cross, chamfered."""
    height: tuple[float, float]
    roofs: tuple[float, ...]
    """Weights of flat, gabled, hipped, ribbed, domed."""
    grounds: tuple[float, float, float]
    """Shares of lots with a plain yard, a walled yard, a car park."""
    lawn: float
    pool: float


MANNERS = (
    Manner(
        0.95,
        (1.2, 3.2),
        (4.0, 7.5),
        (1.5, 3.5),
        (35, 40, 14, 4, 7, 0),
        (5, 9),
        (74, 6, 19, 0, 1),
        (0.05, 0.9, 0),
        0.75,
        0.2,
    ),
    Manner(
        0.95,
        (0.3, 1.6),
        (0.6, 2.5),
        (0.3, 1.5),
        (58, 26, 8, 7, 1, 0),
        (4, 9),
        (94, 4, 1, 0, 1),
        (0.5, 0.2, 0),
        0.06,
        0.0,
    ),
    Manner(
        0.93,
        (2.2, 5.0),
        (4.5, 9.0),
        (2.0, 5.0),
        (40, 20, 14, 14, 9, 3),
        (9, 19),
        (98, 1, 1, 0, 0),
        (0.45, 0.15, 0.13),
        0.5,
        0.14,
    ),
    Manner(
        0.88,
        (4.0, 9.0),
        (6.0, 12.0),
        (3.0, 8.0),
        (38, 12, 6, 8, 14, 22),
        (13, 28),
        (99, 0, 0, 0, 1),
        (0.5, 0.0, 0.22),
        0.6,
        0.18,
    ),
    Manner(
        0.88,
        (1.5, 6.0),
        (4.0, 10.0),
        (1.0, 5.0),
        (88, 11, 1, 0, 0, 0),
        (6, 12),
        (22, 10, 0, 68, 0),
        (0.7, 0.15, 0.06),
        0.0,
        0.0,
    ),
    Manner(
        0.3,
        (14.0, 30.0),
        (30.0, 60.0),
        (10.0, 40.0),
        (50, 20, 5, 10, 10, 5),
        (4, 9),
        (60, 10, 20, 0, 10),
        (0, 0, 0.03),
        0.5,
        0.05,
    ),
    Manner(
        0.25,
        (14.0, 32.0),
        (20.0, 60.0),
        (10.0, 40.0),
        (80, 15, 5, 0, 0, 0),
        (4, 9),
        (60, 10, 0, 30, 0),
        (0.08, 0.15, 0),
        0.0,
        0.0,
    ),
)


@lru_cache(maxsize=512)
def furniture_of(seed: int, i: int, j: int) -> Furniture:
    """Return the furniture of district ``i, j`` of a seed's city."""
    city, look, district = city_of(seed), look_of(seed), district_of(seed, i, j)
    rng = np.random.default_rng([district.salt, 1])
    parcels = lots.lots_of(city, district)
    manner = MANNERS[district.kind]
    gaps = _gaps(rng, parcels, manner)
    houses = _houses(rng, look, parcels, gaps, district.kind)
    patches = [
        _grounds(rng, look, parcels, manner, district.kind),
        _lawns(rng, parcels, gaps, manner.lawn * (0.3 + look.green)),
        _pools(rng, parcels, gaps, manner.pool),
        street_cars(rng, city, district),
    ]
    trees = trees_of(rng, city, look, district, parcels)
    return Furniture(houses, np.ascontiguousarray(np.concatenate(patches)), trees)


class Gaps(NamedTuple):
    """Free metres around the building of each lot, each of shape (n,)."""

    side: Table
    front: Table
    back: Table
    built: NDArray[np.bool_]


def _gaps(rng: np.random.Generator, parcels: Table, manner: Manner) -> Gaps:
    """Draw the free margins of lots."""
    n = len(parcels)
    half_u, half_v = parcels[:, lots.HALF_U], parcels[:, lots.HALF_V]
    side, front, back = (rng.uniform(*pair, n) for pair in (manner.side, manner.front, manner.back))
    swap = rng.random(n) < 0.3
    front, back = np.where(swap, back, front), np.where(swap, front, back)
    side = np.maximum(side, half_u - rng.uniform(15.0, 21.0, n))
    spare = np.maximum(0.0, 2.0 * half_v - front - back - rng.uniform(30.0, 42.0, n))
    front, back = front + 0.5 * spare, back + 0.5 * spare
    built = (rng.random(n) < manner.built) & (half_u - side > 3.5) & (2.0 * half_v - front - back > 7.0)
    return Gaps(side, front, back, built)


def _moved(parcels: Table, along: Table, across: Table) -> tuple[Table, Table]:
    """Return image places of lots' middles moved along u and v; v counts from the back to the street."""
    cos, sin = parcels[:, lots.COS], parcels[:, lots.SIN]
    v = across * parcels[:, lots.FRONT]
    return parcels[:, lots.X] + along * cos - v * sin, parcels[:, lots.Y] + along * sin + v * cos


def _houses(rng: np.random.Generator, look: Look, parcels: Table, gaps: Gaps, kind: int) -> Table:
    """Return the buildings of lots, with the towers that stand on podiums after them."""
    n = len(parcels)
    manner = MANNERS[kind]
    house = np.zeros((n, 16))
    a = parcels[:, lots.HALF_U] - gaps.side
    b = parcels[:, lots.HALF_V] - 0.5 * (gaps.front + gaps.back)
    x, y = _moved(parcels, np.zeros(n), 0.5 * (gaps.back - gaps.front))
    quarter = rng.integers(0, 4, n)
    cos, sin = parcels[:, lots.COS], parcels[:, lots.SIN]
    turned_cos, turned_sin = (
        np.array([1.0, 0.0, -1.0, 0.0])[quarter],
        np.array([0.0, 1.0, 0.0, -1.0])[quarter],
    )
    house[:, buildings.X], house[:, buildings.Y] = x, y
    house[:, buildings.COS] = cos * turned_cos - sin * turned_sin
    house[:, buildings.SIN] = sin * turned_cos + cos * turned_sin
    house[:, buildings.A] = np.where(quarter % 2 == 0, a, b)
    house[:, buildings.B] = np.where(quarter % 2 == 0, b, a)
    shapes, roofs = np.array(manner.shapes, float), np.array(manner.roofs, float)
    house[:, buildings.SHAPE] = rng.choice(len(shapes), n, p=shapes / shapes.sum())
    house[:, buildings.N1], house[:, buildings.N2] = rng.uniform(0.3, 0.55, n), rng.uniform(0.28, 0.58, n)
    house[:, buildings.HEIGHT] = rng.uniform(*manner.height, n)
    house[:, buildings.ROOF] = rng.choice(len(roofs), n, p=roofs / roofs.sum())
    house[:, buildings.RED : buildings.BLUE + 1] = _roof_colors(rng, look, house[:, buildings.ROOF])
    house[:, buildings.SALT] = rng.integers(1, 2**30, n)
    small = np.minimum(house[:, buildings.A], house[:, buildings.B]) < 5.0
    house[small & (house[:, buildings.SHAPE] != buildings.ELL), buildings.SHAPE] = buildings.BOX
    house = house[gaps.built]
    return np.ascontiguousarray(np.concatenate([house, _upper(rng, house, kind)]))


def _upper(rng: np.random.Generator, house: Table, kind: int) -> Table:
    """Return upper parts: towers on podiums, and a second storey on some villas."""
    share = {TOWERS: 0.6, FLATS: 0.12, VILLAS: 0.2}.get(kind, 0.0)
    base = (house[:, buildings.SHAPE] == buildings.BOX) & (house[:, buildings.ROOF] == buildings.FLAT)
    part = house[base & (rng.random(len(house)) < share)].copy()
    n = len(part)
    for half, middle in ((buildings.A, rng.uniform(0.4, 0.8, n)), (buildings.B, rng.uniform(0.4, 0.8, n))):
        part[:, half] *= middle
    part[:, buildings.HEIGHT] += rng.uniform(2.5, 3.5, n) if kind != TOWERS else rng.uniform(6.0, 14.0, n)
    part[:, buildings.SALT] += 1
    part[:, buildings.RED : buildings.BLUE + 1] *= rng.uniform(0.85, 1.1, (n, 1))
    part[:, buildings.CHILD] = 1.0
    return part


def _roof_colors(rng: np.random.Generator, look: Look, roofs: Table) -> Table:
    """Return roof colours, shape (n, 3): each district has its fashions, and kinds of roof their materials."""
    fashion = look.roof_weights * rng.gamma(0.7, 1.4, len(look.roof_weights)) + 0.006
    chosen = np.zeros(len(roofs), np.int64)
    for roof, liked in ((buildings.FLAT, DENSE_WHITE), (buildings.RIBBED, METAL), (buildings.HIPPED, TILE)):
        weights = fashion.copy()
        weights[list(liked)] *= 2.0 if roof == buildings.FLAT else 8.0
        here = (roofs == roof) | ((roofs == buildings.GABLED) & (roof == buildings.HIPPED))
        chosen[here] = rng.choice(len(weights), len(roofs), p=weights / weights.sum())[here]
    light = rng.normal(1.0, 0.08, (len(roofs), 1)) * rng.normal(1.0, 0.009, (len(roofs), 3))
    return np.clip(look.roofs[chosen] * light, 40.0, 250.0)


def _patches(parcels: Table, place: tuple[Table, Table], halves: tuple[Table, Table]) -> Table:
    """Return patches at places, in the direction of lots."""
    patch = np.zeros((len(parcels), 11))
    patch[:, yards.X], patch[:, yards.Y] = place
    patch[:, yards.COS], patch[:, yards.SIN] = parcels[:, lots.COS], parcels[:, lots.SIN]
    patch[:, yards.A], patch[:, yards.B] = halves
    return patch


def _grounds(rng: np.random.Generator, look: Look, parcels: Table, manner: Manner, kind: int) -> Table:
    """Return yards and car parks that fill lots."""
    n = len(parcels)
    patch = _patches(
        parcels,
        (parcels[:, lots.X], parcels[:, lots.Y]),
        (parcels[:, lots.HALF_U] - 0.1, parcels[:, lots.HALF_V] - 0.1),
    )
    yard, walled, _ = shares = manner.grounds
    dice = rng.random(n)
    patch[:, yards.KIND] = np.select(
        [dice < yard, dice < yard + walled], [yards.YARD, yards.WALLED], yards.PARKING
    )
    base = rng.choice(
        [SAND, PAVING, SOIL],
        n,
        p=[0.3, 0.3, 0.4] if kind in (WORKS, OLD_TOWN, BARE, PARK) else [0.35, 0.55, 0.1],
    )
    patch[:, yards.RED : yards.BLUE + 1] = look.ground[base] * rng.uniform(0.88, 1.12, (n, 1))
    parking = patch[:, yards.KIND] == yards.PARKING
    patch[parking, yards.RED] = rng.uniform(0.1, 0.8, n)[parking]
    patch[:, yards.SALT] = rng.integers(1, 2**30, n)
    return patch[dice < sum(shares)]


def _lawns(rng: np.random.Generator, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return lawns between houses and the street or behind them; a whole lot where nothing is built."""
    n = len(parcels)
    front = rng.random(n) < 0.5
    deep = np.where(front, gaps.front, gaps.back)
    half_v = parcels[:, lots.HALF_V]
    half_a = (parcels[:, lots.HALF_U] - 1.2) * rng.uniform(0.35, 1.0, n)
    half_b = np.where(gaps.built, 0.5 * deep - 0.6, (half_v - 1.2) * rng.uniform(0.4, 1.0, n))
    middle = np.where(gaps.built, np.where(front, half_v - 0.5 * deep, 0.5 * deep - half_v), 0.0)
    side = (parcels[:, lots.HALF_U] - 1.2 - half_a) * rng.uniform(-1.0, 1.0, n)
    patch = _patches(parcels, _moved(parcels, side, middle), (half_a, half_b))
    patch[:, yards.KIND] = np.where(~gaps.built & (half_b > 12.0), yards.FIELD, yards.LAWN)
    return patch[(rng.random(n) < share) & (half_b > 1.0)]


def _pools(rng: np.random.Generator, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return pools in the deeper of the two free strips of lots."""
    n = len(parcels)
    front = gaps.front > gaps.back
    deep = np.maximum(gaps.front, gaps.back)
    half_v = parcels[:, lots.HALF_V]
    half_a, half_b = rng.uniform(2.8, 6.0, n), np.minimum(rng.uniform(1.8, 3.2, n), 0.5 * deep - 0.8)
    half_a = np.minimum(half_a, parcels[:, lots.HALF_U] - 2.0)
    side = (parcels[:, lots.HALF_U] - 1.5 - half_a) * rng.uniform(-1.0, 1.0, n)
    middle = np.where(front, half_v - 0.5 * deep, 0.5 * deep - half_v)
    patch = _patches(parcels, _moved(parcels, side, middle), (half_a, half_b))
    patch[:, yards.KIND] = yards.POND
    patch[:, yards.RED] = rng.integers(0, 2, n)
    return patch[(rng.random(n) < share) & (half_b > 1.7) & gaps.built]
