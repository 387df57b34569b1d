"""Houses for lots: which outline, height and roof each gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo import buildings, lots
from geoseg.demo.districts import FLATS, TOWERS, VILLAS
from geoseg.demo.manners import Gaps, moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Climate, Manner, Roofs
    from geoseg.demo.palette import Look

    Table = NDArray[np.float64]


def houses_of(rng: np.random.Generator, look: Look, parcels: Table, gaps: Gaps, kind: int, climate: Climate) -> Table:
    """Return the buildings of lots, with the towers that stand on podiums after them."""
    n = len(parcels)
    manner = climate.manners[kind]
    house = np.zeros((n, 16))
    a = parcels[:, lots.HALF_U] - gaps.side
    b = parcels[:, lots.HALF_V] - 0.5 * (gaps.front + gaps.back)
    x, y = moved(parcels, np.zeros(n), 0.5 * (gaps.back - gaps.front))
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
    house[:, buildings.RED : buildings.BLUE + 1] = _roof_colors(rng, look, house[:, buildings.ROOF], climate.roofs)
    house[:, buildings.SALT] = rng.integers(1, 2**30, n)
    small = np.minimum(house[:, buildings.A], house[:, buildings.B]) < 5.0
    house[small & (house[:, buildings.SHAPE] != buildings.ELL), buildings.SHAPE] = buildings.BOX
    sheds = _sheds(rng, house, parcels, gaps, manner)
    house = house[gaps.built]
    return np.ascontiguousarray(np.concatenate([house, sheds, _upper(rng, house, kind)]))


def _sheds(rng: np.random.Generator, house: Table, parcels: Table, gaps: Gaps, manner: Manner) -> Table:
    """Return garages and sheds in the strips behind houses, in the colours of the houses or others."""
    if manner.shed == 0.0:
        return house[:0]
    n = len(parcels)
    shed = house.copy()
    a = np.minimum(rng.uniform(1.8, 4.2, n), parcels[:, lots.HALF_U] - 1.0)
    b = np.minimum(rng.uniform(1.8, 4.0, n), 0.5 * gaps.back - 1.3)
    side = (parcels[:, lots.HALF_U] - a - 0.8) * rng.uniform(-1.0, 1.0, n)
    across = -parcels[:, lots.HALF_V] + 0.8 + b + rng.random(n) * (gaps.back - 2.0 * b - 2.2)
    shed[:, buildings.X], shed[:, buildings.Y] = moved(parcels, side, across)
    shed[:, buildings.COS], shed[:, buildings.SIN] = parcels[:, lots.COS], parcels[:, lots.SIN]
    shed[:, buildings.A], shed[:, buildings.B] = a, b
    shed[:, buildings.SHAPE] = buildings.BOX
    shed[:, buildings.HEIGHT] = rng.uniform(2.2, 4.0, n)
    other = rng.permutation(n)
    own = rng.random((n, 1)) < 0.5
    color = slice(buildings.RED, buildings.BLUE + 1)
    shed[:, color] = np.where(own, house[:, color], house[other, color])
    shed[:, buildings.SALT] += 2
    chosen: Table = shed[gaps.built & (rng.random(n) < manner.shed) & (b > 1.6) & (a > 1.6)]
    return chosen


def _upper(rng: np.random.Generator, house: Table, kind: int) -> Table:
    """Return upper parts: towers on podiums, and a second storey on some villas."""
    share = {TOWERS: 0.6, FLATS: 0.12, VILLAS: 0.2}.get(kind, 0.0)
    base = (house[:, buildings.SHAPE] == buildings.BOX) & (house[:, buildings.ROOF] == buildings.FLAT)
    part: Table = house[base & (rng.random(len(house)) < share)].copy()
    n = len(part)
    for half, middle in ((buildings.A, rng.uniform(0.4, 0.8, n)), (buildings.B, rng.uniform(0.4, 0.8, n))):
        part[:, half] *= middle
    part[:, buildings.HEIGHT] += rng.uniform(2.5, 3.5, n) if kind != TOWERS else rng.uniform(6.0, 14.0, n)
    part[:, buildings.SALT] += 1
    part[:, buildings.RED : buildings.BLUE + 1] *= rng.uniform(0.85, 1.1, (n, 1))
    part[:, buildings.CHILD] = 1.0
    return part


def _roof_colors(rng: np.random.Generator, look: Look, roofs: Table, materials: Roofs) -> Table:
    """Return roof colours, shape (n, 3): districts have fashions, kinds of roof their materials."""
    fashion = look.roof_weights * rng.gamma(0.7, 1.4, len(look.roof_weights)) + 0.006
    chosen = np.zeros(len(roofs), np.int64)
    kinds = (buildings.FLAT, buildings.RIBBED, buildings.HIPPED)
    liking = zip(kinds, (materials.flat, materials.ribbed, materials.pitched), materials.liking, strict=True)
    for roof, liked, factor in liking:
        weights = fashion.copy()
        weights[list(liked)] *= factor
        here = (roofs == roof) | ((roofs == buildings.GABLED) & (roof == buildings.HIPPED))
        chosen[here] = rng.choice(len(weights), len(roofs), p=weights / weights.sum())[here]
    light = rng.normal(1.0, materials.vary, (len(roofs), 1)) * rng.normal(1.0, 0.009, (len(roofs), 3))
    colors: Table = np.clip(look.roofs[chosen] * light, materials.darkest, 250.0)
    return colors
