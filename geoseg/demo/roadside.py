"""What accompanies streets and gardens: rows of trees, scattered trees, and cars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo import lots, plants, yards
from geoseg.demo.city import City, arterial, arterial_half, clearance, from_city, to_city
from geoseg.demo.districts import (
    PARK,
    District,
    from_district,
    row,
    slope,
    street,
    to_district,
)
from geoseg.demo.noise import cloud, compiled
from geoseg.demo.palette import CONIFER, CROWN, TWIGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Growth
    from geoseg.demo.palette import Look

    Table = NDArray[np.float64]

PLACE_X, PLACE_Y, TURN, KERB, DRY, LOCAL, THICK = range(7)
"""Columns of a survey: image place, direction of the street, distances to an arterial's kerb, to water and to
a local street's kerb (metres), density of growth (0 to 1)."""


@compiled
def _survey(city: City, district: District, x: float, y: float, out: NDArray[np.float64]) -> None:
    """Write what is known of a place into an array of shape (7,); KERB is -99 outside the district."""
    p, q = to_city(city, x, y)
    i, j, kerb, dry = clearance(city, p, q)
    u, v = to_district(district, x, y)
    out[PLACE_X], out[PLACE_Y] = x, y
    out[KERB] = kerb if i == district.i and j == district.j else -99.0
    out[DRY] = dry
    out[LOCAL] = street(district, u, v)
    out[THICK] = cloud(x / 42.0, y / 42.0, district.salt + 1)


@compiled
def survey(city: City, district: District, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a survey, shape (n, 7), of places ``u, v`` of a district, shape (n, 2)."""
    out = np.zeros((len(places), 7))
    turn = math.atan2(district.sin, district.cos)
    for n in range(len(places)):
        x, y = from_district(district, places[n, 0], places[n, 1])
        _survey(city, district, x, y, out[n])
        out[n, TURN] = turn + slope(district, places[n, 0])
    return out


@compiled
def survey_arterials(city: City, district: District, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a survey, shape (n, 7), along the two arterials at the start of a district.

    Args:
        city: frame of the arterials.
        district: the district between them and the next.
        places: shape (n, 3): axis (0 or 1), share of the way along (0 to 1), metres across from the middle.
    """
    out = np.zeros((len(places), 7))
    for n in range(len(places)):
        axis = int(places[n, 0])
        k, across = (district.i, district.j) if axis == 0 else (district.j, district.i)
        start, end = arterial(city, 1 - axis, across), arterial(city, 1 - axis, across + 1)
        along, side = start + places[n, 1] * (end - start), arterial(city, axis, k) + places[n, 2]
        first = from_city(city, side, along) if axis == 0 else from_city(city, along, side)
        then = from_city(city, side, along + 1.0) if axis == 0 else from_city(city, along + 1.0, side)
        _survey(city, district, first[0], first[1], out[n])
        out[n, TURN] = math.atan2(then[1] - first[1], then[0] - first[0])
        out[n, KERB] = min(along - start, end - along) - 22.0  # here: distance from junctions
    return out


def _rows(rng: np.random.Generator, city: City, district: District, step: float, off: float) -> Table:
    """Return places ``u, v``, shape (n, 2), along local streets, off metres from their middle."""
    reach = 0.85 * city.spacing
    streets = [
        row(district, k) for k in range(math.floor(-reach / district.rows), math.ceil(reach / district.rows) + 1)
    ]
    u = np.arange(-reach, reach, step)
    across = np.repeat(np.array([s + side * off for s in streets for side in (-1.0, 1.0)]), len(u))
    along = np.tile(u, 2 * len(streets)) + rng.uniform(-0.45 * step, 0.45 * step, len(across))
    return np.stack([along, across], axis=1)


def _trees(rng: np.random.Generator, places: Table, radius: tuple[float, float]) -> Table:
    """Return trees at surveyed or other places (their first two columns)."""
    n = len(places)
    tree = np.zeros((n, 7))
    tree[:, :2] = places[:, :2]
    tree[:, plants.RADIUS] = rng.uniform(*radius, n) * rng.uniform(0.75, 1.0, n)
    tree[:, plants.HEIGHT] = 1.2 + tree[:, plants.RADIUS] * rng.uniform(0.8, 1.4, n)
    tree[:, plants.TONE] = rng.normal(1.05, 0.14, n)
    tree[:, plants.SALT] = rng.integers(1, 2**30, n)
    return tree


def trees_of(
    rng: np.random.Generator, city: City, look: Look, district: District, parcels: Table, growth: Growth
) -> Table:
    """Return the trees of a district, shape (n, 7): along streets and arterials, in gardens, in groves."""
    green = look.green * district.green
    beside = survey(city, district, _rows(rng, city, district, 10.0, district.half + 1.4))
    row_wish = 1.1 * green * (district.kind < PARK) * rng.uniform(0.2, 1.2)
    keep = (
        (beside[:, KERB] > 3) & (beside[:, DRY] > 11) & (beside[:, LOCAL] > 0.5) & (rng.random(len(beside)) < row_wish)
    )
    trees = [
        _trees(rng, beside[keep], (1.6, 3.4)),
        _groves(rng, city, look, district, growth),
        _gardens(rng, green, district, parcels, growth),
        _avenue(rng, city, look, district),
    ]
    return _grown(rng, look, np.ascontiguousarray(np.concatenate(trees)), growth)


def _grown(rng: np.random.Generator, look: Look, tree: Table, growth: Growth) -> Table:
    """Return trees with their species and their climate's height."""
    n = len(tree)
    conifers = np.clip(look.conifer * rng.uniform(0.2, 2.0), 0.0, 1.0)
    dice = rng.random((2, n))
    kinds = [dice[0] < conifers, dice[1] < look.twigs]
    tree[:, plants.SPECIES] = np.select(kinds, [float(CONIFER), float(TWIGS)], float(CROWN))
    tree[:, plants.HEIGHT] *= growth.tall
    return tree


def _groves(rng: np.random.Generator, city: City, look: Look, district: District, growth: Growth) -> Table:
    """Return trees scattered over a district, thicker here than there, and shrubs."""
    reach = 0.75 * city.spacing
    wish = growth.groves[district.kind]
    count = int(4.0 * reach * reach * wish * (0.35 + 0.8 * look.green))
    there = survey(city, district, rng.uniform(-reach, reach, (count, 2)))
    keep = (there[:, KERB] > 2.5) & (there[:, DRY] > growth.shore) & (there[:, LOCAL] > 1.5)
    keep &= rng.random(count) < np.clip(3.0 * there[:, THICK] - growth.clearing, 0.0, 1.0)
    return _trees(rng, there[keep], growth.grove_radius[district.kind])


def _gardens(rng: np.random.Generator, green: float, district: District, parcels: Table, growth: Growth) -> Table:
    """Return trees on lots."""
    parcel = np.repeat(parcels, growth.each[district.kind], axis=0)
    n = len(parcel)
    u, v = rng.uniform(-0.95, 0.95, n), rng.choice([-1.0, 1.0], n) * rng.uniform(growth.inner, 0.95, n)
    u, v = u * parcel[:, lots.HALF_U], v * parcel[:, lots.HALF_V]
    cos, sin = parcel[:, lots.COS], parcel[:, lots.SIN]
    places = np.stack([parcel[:, lots.X] + u * cos - v * sin, parcel[:, lots.Y] + u * sin + v * cos], axis=1)
    return _trees(rng, places[rng.random(n) < 0.15 + 0.7 * green], growth.radius)


def _avenue(rng: np.random.Generator, city: City, look: Look, district: District) -> Table:
    """Return the trees of medians and verges of arterials."""
    share = np.arange(0.0, 1.0, 10.5 / city.spacing)
    half = arterial_half(city, 0, district.i), arterial_half(city, 1, district.j)
    lines = [(axis, off) for axis in (0, 1) for off in (0.0, half[axis] + 2.6, -half[axis] - 2.6)]
    wish = [(0.8 if half[axis] > 12.4 else 0.0) if off == 0.0 else rng.uniform(-0.4, 0.9) for axis, off in lines]
    places = np.array([(axis, s, off) for axis, off in lines for s in share])
    there = survey_arterials(city, district, places)
    keep = (
        (there[:, KERB] > 0)
        & (there[:, DRY] > 6)
        & (rng.random(len(places)) < np.repeat(wish, len(share)) * (0.3 + look.green))
    )
    return _trees(rng, there[keep], (1.5, 2.9))


def street_cars(rng: np.random.Generator, city: City, district: District) -> Table:
    """Return cars, shape (n, 11), parked on local streets and driving on a district's first two arterials."""
    parked = survey(city, district, _rows(rng, city, district, 8.0, district.half - 1.0))
    busy = rng.uniform(0.05, 0.3) * (0.15 if district.kind >= PARK else 1.0)
    parked = parked[(parked[:, KERB] > 0) & (parked[:, DRY] > 8) & (rng.random(len(parked)) < busy)]
    half = arterial_half(city, 0, district.i), arterial_half(city, 1, district.j)
    count = int(rng.uniform(10, 55))
    axis = rng.integers(0, 2, count)
    median = np.where(np.array(half)[axis] > 12.4, 2.2, 0.0)
    lane = median + 2.5 + 3.6 * rng.integers(0, 3, count)
    off = np.where(lane < np.array(half)[axis] - 1.5, lane, median + 2.5) * rng.choice([-1.0, 1.0], count)
    driving = survey_arterials(city, district, np.stack([axis, rng.random(count), off], axis=1))
    there = np.concatenate([parked, driving])
    n = len(there)
    car = np.zeros((n, 11))
    car[:, yards.X], car[:, yards.Y] = there[:, PLACE_X], there[:, PLACE_Y]
    car[:, yards.COS], car[:, yards.SIN] = np.cos(there[:, TURN]), np.sin(there[:, TURN])
    car[:, yards.A], car[:, yards.B] = rng.uniform(2.1, 2.6, n), rng.uniform(0.85, 1.05, n)
    long = rng.random(n) < 0.06  # lorries and buses
    car[long, yards.A], car[long, yards.B] = 4.5, 1.3
    car[:, yards.KIND] = yards.CAR
    light = 35.0 + 205.0 * rng.random((n, 1)) ** 0.7
    car[:, yards.RED : yards.BLUE + 1] = np.where(rng.random((n, 1)) < 0.1, light * [1.0, 0.45, 0.4], light)
    return car
