"""Furniture of a district: tables of buildings, patches and trees, placed on its lots and streets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.city import city_of
from geoseg.demo.districts import district_of
from geoseg.demo.fields import crops_of, drives_of, lakes_of
from geoseg.demo.gardens import grounds_of, lawns_of, pools_of
from geoseg.demo.houses import houses_of
from geoseg.demo.lots import lots_of
from geoseg.demo.manners import gaps_of
from geoseg.demo.palette import look_of
from geoseg.demo.plants import LOOSE, free_of
from geoseg.demo.roadside import street_cars, trees_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Climate

    Table = NDArray[np.float64]


class Furniture(NamedTuple):
    """What stands and lies in a district."""

    houses: Table
    """Shape (n, 16), columns of ``buildings``."""
    patches: Table
    """Shape (n, 11), columns of ``yards``."""
    trees: Table
    """Shape (n, 7), columns of ``plants``."""


@lru_cache(maxsize=512)
def furniture_of(seed: int, i: int, j: int, climate: Climate) -> Furniture:
    """Return the furniture of district ``i, j`` of a seed's city."""
    city, look, district = city_of(seed, climate), look_of(seed, climate), district_of(seed, i, j, climate)
    rng = np.random.default_rng([district.salt, 1])
    parcels = lots_of(city, district)
    manner = climate.manners[district.kind]
    gaps = gaps_of(rng, parcels, manner)
    houses = houses_of(rng, look, parcels, gaps, district.kind, climate)
    apart = np.random.default_rng([district.salt, 2])  # what came later leaves the draws of the rest alone
    lakes = lakes_of(apart, parcels, gaps, manner)
    patches = [
        grounds_of(rng, look, parcels, manner),
        lawns_of(rng, parcels, gaps, manner.lawn * (0.3 + look.green)),
        pools_of(rng, parcels, gaps, manner.pool),
        crops_of(apart, look, parcels, gaps, manner.crop),
        lakes,
        drives_of(apart, look, parcels, gaps, manner.drive),
        street_cars(rng, city, district),
    ]
    trees = trees_of(rng, city, look, district, parcels, climate.growth)
    if climate.growth.inner < LOOSE:
        trees = trees[free_of(trees, houses, lakes)]
    return Furniture(houses, np.ascontiguousarray(np.concatenate(patches)), trees)
