"""What lots hold in the country and the suburbs: driveways, fields and ponds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo import lots, yards
from geoseg.demo.gardens import patches_of
from geoseg.demo.manners import Gaps, moved
from geoseg.demo.palette import ASPHALT, GRASS, PAVING, SAND, SCRUB, SOIL, Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Manner

    Table = NDArray[np.float64]

_KERB = 2.6  # metres from a lot to its street
_COLOR = slice(yards.RED, yards.BLUE + 1)


def drives_of(rng: np.random.Generator, look: Look, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return driveways from the street to houses, some of them on along the house."""
    n = len(parcels)
    half_u, half_v = parcels[:, lots.HALF_U], parcels[:, lots.HALF_V]
    beside = (rng.random(n) < 0.4) & (gaps.side > 3.0)
    half_a = np.where(beside, np.minimum(0.5 * gaps.side - 0.3, 1.7), rng.uniform(1.3, 3.0, n))
    span = np.maximum(half_u - gaps.side - half_a - 0.5, 0.0) * rng.uniform(0.3, 1.0, n)
    along = np.where(beside, half_u - 0.5 * gaps.side, span) * rng.choice([-1.0, 1.0], n)
    end = half_v - gaps.front - np.where(beside, rng.uniform(3.0, 11.0, n), 0.0)
    half_b = 0.5 * (half_v + _KERB - end)
    patch = patches_of(parcels, moved(parcels, along, end + half_b), (half_a, half_b))
    patch[:, yards.KIND] = yards.YARD
    base = rng.choice([ASPHALT, PAVING, SAND], n, p=[0.5, 0.35, 0.15])
    patch[:, _COLOR] = look.ground[base] * rng.uniform(0.8, 1.25, (n, 1))
    patch[:, yards.SALT] = rng.integers(1, 2**30, n)
    chosen: Table = patch[gaps.built & (rng.random(n) < share)]
    return chosen


def crops_of(rng: np.random.Generator, look: Look, parcels: Table, gaps: Gaps, share: float) -> Table:
    """Return fields that fill free lots: grass, crops and ploughed soil."""
    n = len(parcels)
    patch = patches_of(
        parcels,
        (parcels[:, lots.X], parcels[:, lots.Y]),
        (parcels[:, lots.HALF_U] - rng.uniform(0.2, 3.0, n), parcels[:, lots.HALF_V] - rng.uniform(0.2, 5.0, n)),
    )
    ploughed = rng.random(n) < 0.25
    mixed = rng.random((n, 1))
    green = look.ground[GRASS] * mixed + look.ground[SCRUB] * (1.0 - mixed)
    patch[:, _COLOR] = np.where(ploughed[:, None], look.ground[SOIL], green) * rng.uniform(0.8, 1.2, (n, 1))
    patch[:, yards.KIND] = np.where(ploughed, yards.YARD, yards.CROP)
    patch[:, yards.SALT] = rng.integers(1, 2**30, n)
    chosen: Table = patch[~gaps.built & (rng.random(n) < share)]
    return chosen


def lakes_of(rng: np.random.Generator, parcels: Table, gaps: Gaps, manner: Manner) -> Table:
    """Return ponds with rough shores on free lots."""
    n = len(parcels)
    halves = parcels[:, lots.HALF_U] * rng.uniform(0.3, 0.95, n), parcels[:, lots.HALF_V] * rng.uniform(0.2, 0.7, n)
    patch = patches_of(parcels, (parcels[:, lots.X], parcels[:, lots.Y]), halves)
    patch[:, yards.KIND] = yards.LAKE
    patch[:, yards.SALT] = rng.integers(1, 2**30, n)
    chosen: Table = patch[~gaps.built & (rng.random(n) < manner.lake)]
    return chosen
