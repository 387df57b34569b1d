"""Rendering: a made-up city from above, with its true classes, for any window of an endless plane.

The picture is a pure function of seed and absolute row and column; one pixel is one metre.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo.buildings import paint_buildings
from geoseg.demo.canvas import canvas_of
from geoseg.demo.city import City, between, city_of, to_city
from geoseg.demo.climates import climate_of
from geoseg.demo.districts import district_of
from geoseg.demo.furnish import furniture_of
from geoseg.demo.ground import paint_ground
from geoseg.demo.light import RIM, TALLEST, developed, lighten
from geoseg.demo.noise import compiled
from geoseg.demo.palette import Look, look_of
from geoseg.demo.plants import paint_trees
from geoseg.demo.yards import paint_patches
from geoseg.vocabulary import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Climate

_OVERHANG = 40
"""Metres; nothing that belongs to a district reaches further out of it."""


def render(seed: int, window: Window, climate: Climate | str = "dry") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the picture and the true classes of a window.

    Args:
        seed: which city; 0 or more.
        window: absolute rows and columns; any place, negative ones too.
        climate: what part of the world it lies in, or the name of one of ``CLIMATES``.

    Returns:
        RGB, uint8, shape (3, height, width), and classes, uint8, shape (height, width), values 1 to 5 of the
        default legend.
    """
    climate = climate_of(climate)
    city, look = city_of(seed, climate), look_of(seed, climate)
    if window.height == 0 or window.width == 0:
        return np.zeros((3, window.height, window.width), np.uint8), np.zeros((window.height, window.width), np.uint8)
    seen = _seen(window, look)
    canvas = canvas_of(seen)
    districts = touched(city, seen)
    first = min(i for i, _ in districts), min(j for _, j in districts)
    last = max(i for i, _ in districts), max(j for _, j in districts)
    table = np.zeros((last[0] - first[0] + 1, last[1] - first[1] + 1, 18))
    for i, j in districts:
        table[i - first[0], j - first[1]] = district_of(seed, i, j, climate)
    paint_ground(canvas, city, look, table, first)
    furniture = [furniture_of(seed, i, j, climate) for i, j in districts]
    for one in furniture:
        paint_patches(canvas, look, one.patches)
    for one in furniture:
        paint_buildings(canvas, look, one.houses)
    for one in furniture:
        paint_trees(canvas, look, one.trees)
    lighten(canvas, look)
    top, left = window.row - seen.row, window.col - seen.col
    inside = top, top + window.height, left, left + window.width
    return developed(canvas, look, inside), canvas.classes[top : inside[1], left : inside[3]].copy()


def _seen(window: Window, look: Look) -> Window:
    """Return the window widened by what blur reads and by what may cast shadows into it."""
    length = TALLEST / look.climb
    x, y = math.ceil(length * abs(look.sun_x)) + 2, math.ceil(length * abs(look.sun_y)) + 2
    left, top = RIM + (x if look.sun_x < 0 else 0), RIM + (y if look.sun_y < 0 else 0)
    return Window(window.row - top, window.col - left, window.height + y + 2 * RIM, window.width + x + 2 * RIM)


def touched(city: City, window: Window) -> list[tuple[int, int]]:
    """Return the districts ``i, j`` that have a part in a window, in order."""
    pairs = _districts_at(city, float(window.row), float(window.col), float(window.bottom), float(window.right))
    keys = np.unique(pairs[:, 0] * 2**32 + pairs[:, 1] + 2**31)  # one number per pair: much faster to sort
    return [(int(key >> 32), int(key & 0xFFFFFFFF) - 2**31) for key in keys]


@compiled
def _districts_at(city: City, top: float, left: float, bottom: float, right: float) -> NDArray[np.int64]:
    """Return the districts ``i, j``, shape (n, 2), of places 16 metres apart in and around a window."""
    down = int((bottom - top + 2 * _OVERHANG) / 16.0) + 2
    across = int((right - left + 2 * _OVERHANG) / 16.0) + 2
    out = np.empty((down * across, 2), np.int64)
    for r in range(down):
        for c in range(across):
            p, q = to_city(city, left - _OVERHANG + 16.0 * c, top - _OVERHANG + 16.0 * r)
            out[r * across + c, 0], out[r * across + c, 1] = between(city, 0, p), between(city, 1, q)
    return out
