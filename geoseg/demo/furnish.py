"""Furniture of a district: tables of buildings, patches and trees, placed on its lots and streets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.city import city_of
from geoseg.demo.districts import district_of
from geoseg.demo.gardens import grounds_of, lawns_of, pools_of
from geoseg.demo.houses import houses_of
from geoseg.demo.lots import lots_of
from geoseg.demo.manners import MANNERS, gaps_of
from geoseg.demo.palette import look_of
from geoseg.demo.roadside import street_cars, trees_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float64]


class Furniture(NamedTuple):
    """What stands and lies in a district."""

    houses: Table
    """Shape (n, 16), columns of ``buildings``."""
    patches: Table
    """Shape (n, 11), columns of ``yards``."""
    trees: Table
    """Shape (n, 6), columns of ``plants``."""


@lru_cache(maxsize=512)
def furniture_of(seed: int, i: int, j: int) -> Furniture:
    """Return the furniture of district ``i, j`` of a seed's city."""
    city, look, district = city_of(seed), look_of(seed), district_of(seed, i, j)
    rng = np.random.default_rng([district.salt, 1])
    parcels = lots_of(city, district)
    manner = MANNERS[district.kind]
    gaps = gaps_of(rng, parcels, manner)
    houses = houses_of(rng, look, parcels, gaps, district.kind)
    patches = [
        grounds_of(rng, look, parcels, manner, district.kind),
        lawns_of(rng, parcels, gaps, manner.lawn * (0.3 + look.green)),
        pools_of(rng, parcels, gaps, manner.pool),
        street_cars(rng, city, district),
    ]
    trees = trees_of(rng, city, look, district, parcels)
    return Furniture(houses, np.ascontiguousarray(np.concatenate(patches)), trees)
