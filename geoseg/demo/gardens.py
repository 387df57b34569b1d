"""Gardens for lots: yards, car parks, lawns and pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo import lots, yards
from geoseg.demo.manners import Gaps, moved
from geoseg.demo.palette import ASPHALT, PAVING, SAND, SOIL, Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Manner

    Table = NDArray[np.float64]


def patches_of(parcels: Table, place: tuple[Table, Table], halves: tuple[Table, Table]) -> Table:
    """Return patches at places, in the direction of lots."""
    patch = np.zeros((len(parcels), 11))
    patch[:, yards.X], patch[:, yards.Y] = place
    patch[:, yards.COS], patch[:, yards.SIN] = parcels[:, lots.COS], parcels[:, lots.SIN]
    patch[:, yards.A], patch[:, yards.B] = halves
    return patch


def grounds_of(rng: np.random.Generator, look: Look, parcels: Table, manner: Manner) -> Table:
    """Return yards and car parks that fill lots."""
    n = len(parcels)
    patch = patches_of(
        parcels,
        (parcels[:, lots.X], parcels[:, lots.Y]),
        (parcels[:, lots.HALF_U] - 0.1, parcels[:, lots.HALF_V] - 0.1),
    )
    yard, walled, _ = shares = manner.grounds
    dice = rng.random(n)
    patch[:, yards.KIND] = np.select([dice < yard, dice < yard + walled], [yards.YARD, yards.WALLED], yards.PARKING)
    base = rng.choice([SAND, PAVING, SOIL, ASPHALT][: len(manner.floor)], n, p=manner.floor)
    patch[:, yards.RED : yards.BLUE + 1] = look.ground[base] * rng.uniform(0.88, 1.12, (n, 1))
    parking = patch[:, yards.KIND] == yards.PARKING
    patch[parking, yards.RED] = rng.uniform(0.1, 0.8, n)[parking]
    patch[:, yards.SALT] = rng.integers(1, 2**30, n)
    filled: Table = patch[dice < sum(shares)]
    return filled


def lawns_of(rng: np.random.Generator, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return lawns between houses and the street or behind them; a whole lot where nothing is built."""
    n = len(parcels)
    front = rng.random(n) < 0.5
    deep = np.where(front, gaps.front, gaps.back)
    half_v = parcels[:, lots.HALF_V]
    half_a = (parcels[:, lots.HALF_U] - 1.2) * rng.uniform(0.35, 1.0, n)
    half_b = np.where(gaps.built, 0.5 * deep - 0.6, (half_v - 1.2) * rng.uniform(0.4, 1.0, n))
    middle = np.where(gaps.built, np.where(front, half_v - 0.5 * deep, 0.5 * deep - half_v), 0.0)
    side = (parcels[:, lots.HALF_U] - 1.2 - half_a) * rng.uniform(-1.0, 1.0, n)
    patch = patches_of(parcels, moved(parcels, side, middle), (half_a, half_b))
    patch[:, yards.KIND] = np.where(~gaps.built & (half_b > 12.0), yards.FIELD, yards.LAWN)
    chosen: Table = patch[(rng.random(n) < share) & (half_b > 1.0)]
    return chosen


def pools_of(rng: np.random.Generator, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return pools in the deeper of the two free strips of lots."""
    n = len(parcels)
    front = gaps.front > gaps.back
    deep = np.maximum(gaps.front, gaps.back)
    half_v = parcels[:, lots.HALF_V]
    half_a, half_b = rng.uniform(2.8, 6.0, n), np.minimum(rng.uniform(1.8, 3.2, n), 0.5 * deep - 0.8)
    half_a = np.minimum(half_a, parcels[:, lots.HALF_U] - 2.0)
    side = (parcels[:, lots.HALF_U] - 1.5 - half_a) * rng.uniform(-1.0, 1.0, n)
    middle = np.where(front, half_v - 0.5 * deep, 0.5 * deep - half_v)
    patch = patches_of(parcels, moved(parcels, side, middle), (half_a, half_b))
    patch[:, yards.KIND] = yards.POND
    patch[:, yards.RED] = rng.integers(0, 2, n)
    chosen: Table = patch[(rng.random(n) < share) & (half_b > 1.7) & gaps.built]
    return chosen
