"""Lots: the parcels between streets that hold a house and a yard each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo.city import City, clearance, to_city
from geoseg.demo.districts import District, crossing, from_district, row, slope
from geoseg.demo.noise import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

X, Y, COS, SIN, HALF_U, HALF_V, FRONT = range(7)
"""Columns of a table of lots: middle (image metres), direction of u, half sizes, and on which side of v its
street is, -1 or 1."""

_WALK = 2.6
_MOST = 6000


@compiled
def _fits(city: City, district: District, corners: tuple[float, float, float, float], margin: float) -> bool:
    """Tell whether a rectangle u0, v0, u1, v1 keeps off arterials, water and other districts."""
    u0, v0, u1, v1 = corners
    for a in range(3):
        for b in range(3):
            x, y = from_district(district, u0 + 0.5 * a * (u1 - u0), v0 + 0.5 * b * (v1 - v0))
            p, q = to_city(city, x, y)
            i, j, kerb, dry = clearance(city, p, q)
            if i != district.i or j != district.j or kerb < margin or dry < 12.0:
                return False
    return True


@compiled
def _block_lots(
    city: City,
    district: District,
    corners: tuple[float, float, float, float],
    out: NDArray[np.float64],
    n: int,
) -> int:
    """Write the lots of one block into a table from row n on, and return the first free row."""
    u0, v0, u1, v1 = corners
    count = max(1, int((u1 - u0) / district.lot + 0.5))
    width, depth = (u1 - u0) / count, (v1 - v0) / district.deep
    for a in range(count):
        for b in range(district.deep):
            left, top = u0 + a * width, v0 + b * depth
            if n >= len(out) or not _fits(city, district, (left, top, left + width, top + depth), 3.0):
                continue
            u, v = left + 0.5 * width, top + 0.5 * depth
            turn = slope(district, u)
            cos, sin = math.cos(turn), math.sin(turn)
            out[n, X], out[n, Y] = from_district(district, u, v)
            out[n, COS] = district.cos * cos - district.sin * sin
            out[n, SIN] = district.sin * cos + district.cos * sin
            # Neighbours on a bent row differ in direction; a little less of each keeps them apart.
            out[n, HALF_U], out[n, HALF_V] = 0.5 * width * cos, 0.5 * depth * cos
            out[n, FRONT] = -1.0 if b == 0 else 1.0
            n += 1
    return n


@compiled
def lots_of(city: City, district: District) -> NDArray[np.float64]:
    """Return the lots of a district, shape (n, 7), in the columns named above."""
    out = np.zeros((_MOST, 7))
    n = 0
    reach = 0.95 * city.spacing
    gap = district.half + _WALK
    for k in range(math.floor(-reach / district.rows), math.ceil(reach / district.rows)):
        v0, v1 = row(district, k) + gap, row(district, k + 1) - gap
        for m in range(math.floor(-reach / district.crossings) - 2, math.ceil(reach / district.crossings) + 1):
            u0, u1 = crossing(district, k, m) + gap, crossing(district, k, m + 1) - gap
            n = _block_lots(city, district, (u0, v0, u1, v1), out, n)
    return out[:n].copy()
