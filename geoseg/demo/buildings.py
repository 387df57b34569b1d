"""Buildings: outlines, heights and roofs, and how they are painted from above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import shapely

from geoseg.demo.canvas import BUILDING, Canvas, span, tint
from geoseg.demo.noise import cloud, compiled, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.demo.palette import Look

X, Y, COS, SIN, A, B, SHAPE, N1, N2, HEIGHT, ROOF, RED, GREEN, BLUE, SALT, CHILD = range(16)
"""Columns of a table of buildings: middle (image metres), direction, half sizes, outline and its two
shares (0 to 1), height (metres), roof, roof colour, own number, 1 for a part on another building."""

FLAT, GABLED, HIPPED, RIBBED, DOMED = range(5)
"""Values of ROOF."""

BOX, ELL, YOU, COURT, CROSS, CHAMFERED = range(6)
"""Values of SHAPE: rectangle, L, U, courtyard, cross, rectangle with cut corners."""


@compiled
def depth_inside(house: NDArray[np.float64], s: float, t: float) -> float:
    """Return how deep a place lies within an outline, metres (negative outside); s, t are along A and B."""
    a: float = house[A]
    b: float = house[B]
    n1: float = house[N1]
    n2: float = house[N2]
    inside = min(a - abs(s), b - abs(t))
    shape = int(house[SHAPE])
    if shape == ELL:
        return min(inside, max(a - 2.0 * a * n1 - s, b - 2.0 * b * n2 - t))
    if shape == YOU:
        return min(inside, max(abs(s) - a * n1, b - 2.0 * b * n2 - t))
    if shape == COURT:
        return min(inside, max(abs(s) - a * n1, abs(t) - b * n2))
    if shape == CROSS:
        return min(inside, max(a - a * n1 - abs(s), b - b * n2 - abs(t)))
    if shape == CHAMFERED:
        return min(inside, 0.7071 * (a + b - n1 * min(a, b) - abs(s) - abs(t)))
    return inside


def outline(house: NDArray[np.float64]) -> shapely.Polygon:
    """Return a building's footprint in image metres: exactly where depth_inside is positive."""
    a, b, n1, n2 = (float(house[k]) for k in (A, B, N1, N2))
    cut = n1 * min(a, b)
    low, high = b - 2 * b * n2, a - 2 * a * n1  # where the notch of an L begins
    waist, wing = a - a * n1, b - b * n2  # half widths of a cross
    rings: dict[int, list[tuple[float, float]]] = {
        ELL: [(-a, -b), (a, -b), (a, low), (high, low), (high, b), (-a, b)],
        YOU: [(-a, -b), (a, -b), (a, b), (a * n1, b), (a * n1, low), (-a * n1, low), (-a * n1, b), (-a, b)],
        CROSS: [
            (-waist, -b), (waist, -b), (waist, -wing), (a, -wing), (a, wing), (waist, wing),
            (waist, b), (-waist, b), (-waist, wing), (-a, wing), (-a, -wing), (-waist, -wing),
        ],
        CHAMFERED: [
            (-a + cut, -b), (a - cut, -b), (a, -b + cut), (a, b - cut),
            (a - cut, b), (-a + cut, b), (-a, b - cut), (-a, -b + cut),
        ],
    }  # fmt: skip
    box = [(-a, -b), (a, -b), (a, b), (-a, b)]
    ring = rings.get(int(house[SHAPE]), box)
    yard = [[(s * n1, t * n2) for s, t in box]] if int(house[SHAPE]) == COURT else []
    cos, sin, x, y = (float(house[k]) for k in (COS, SIN, X, Y))
    turned = [[(x + s * cos - t * sin, y + s * sin + t * cos) for s, t in line] for line in (ring, *yard)]
    return shapely.Polygon(turned[0], turned[1:])


@compiled
def _equipment(house: NDArray[np.float64], s: float, t: float, depth: float) -> tuple[float, float]:
    """Return lightness and extra height of what stands on a flat roof: stair head, cooling units, tanks."""
    salt = int(house[SALT])
    a, b = house[A], house[B]
    head_s, head_t = (unit(1, 1, salt) - 0.5) * a, (unit(2, 1, salt) - 0.5) * b
    if abs(s - head_s) < 2.4 and abs(t - head_t) < 1.8 and depth > 0.8:
        return 1.08, 2.6
    if depth < 1.5:
        return 1.0, 0.0
    step = 3.5 + 2.0 * unit(3, 1, salt)
    k, m = math.floor(s / step), math.floor(t / step)
    if unit(k, m, salt) > 0.08 + 0.3 * unit(4, 1, salt):
        return 1.0, 0.0
    size = 0.9 + 0.8 * unit(k, m, salt + 1)
    if abs(s - (k + 0.5) * step) < size and abs(t - (m + 0.5) * step) < size:
        return 0.72 + 0.5 * unit(k, m, salt + 2), 1.4
    return 1.0, 0.0


@compiled
def _flat(house: NDArray[np.float64], s: float, t: float, depth: float) -> tuple[float, float]:
    """Return lightness and extra height on a flat roof with a parapet."""
    salt = int(house[SALT])
    light, extra = _equipment(house, s, t, depth)
    if depth < 0.9:
        return 1.09 - 0.1 * unit(5, 1, salt), 0.0
    # Large roofs are laid in fields of slightly different tone.
    field = 9.0 + 6.0 * unit(6, 1, salt)
    light *= 0.95 + 0.09 * unit(math.floor(s / field), math.floor(t / field), salt + 3)
    return light, extra


@compiled
def _pitched(look: Look, house: NDArray[np.float64], s: float, t: float) -> tuple[float, float]:
    """Return lightness and extra height on a gabled, hipped, ribbed or domed roof."""
    a, b = house[A], house[B]
    roof = int(house[ROOF])
    # Sunlight along the house's own axes.
    sun_s = look.sun_x * house[COS] + look.sun_y * house[SIN]
    sun_t = look.sun_y * house[COS] - look.sun_x * house[SIN]
    if roof == DOMED:
        far = math.hypot(s / a, t / b)
        return 1.0 + 0.3 * (s / a * sun_s + t / b * sun_t) - 0.05 * far, 3.0 * max(0.0, 1.0 - far * far)
    along_a = a >= b
    over, half = (t, b) if along_a else (s, a)
    sun = sun_t if along_a else sun_s
    rise = 1.0 - abs(over) / half
    if roof == HIPPED and (a - abs(s) < b - abs(t)) == along_a:
        over, sun = (s, sun_s) if along_a else (t, sun_t)
    light = 1.0 + (look.relief if roof != RIBBED else 0.09 + 0.45 * (look.relief - 0.2)) * (sun if over > 0.0 else -sun)
    if roof == RIBBED:
        light += 0.035 if (s if along_a else t) % 3.0 < 1.2 else 0.0
    if abs(over) < 0.5:
        light += 0.05
    return light, (1.8 if roof != RIBBED else 1.0) * rise


@compiled
def _paint_roof(canvas: Canvas, look: Look, house: NDArray[np.float64], at: tuple[int, int]) -> None:
    """Paint one pixel of a building if it lies in it, mixing at the edge by cover."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    dx, dy = x - house[X], y - house[Y]
    s = dx * house[COS] + dy * house[SIN]
    t = dy * house[COS] - dx * house[SIN]
    depth = depth_inside(house, s, t)
    if depth <= -0.5:
        return
    light, extra = _flat(house, s, t, depth) if house[ROOF] == FLAT else _pitched(look, house, s, t)
    salt = int(house[SALT])
    light *= 0.93 + 0.1 * cloud(x / 6.0, y / 6.0, salt + 4) + 0.04 * unit(at[1] + canvas.col, at[0] + canvas.row, salt)
    tint(canvas, at, (house[RED] * light, house[GREEN] * light, house[BLUE] * light), min(1.0, depth + 0.5))
    if depth > 0.0:
        canvas.classes[at] = BUILDING
        canvas.tall[at] = house[HEIGHT] + extra
    elif abs(canvas.tall[at]) < house[HEIGHT]:
        canvas.tall[at] = -house[HEIGHT]


@compiled
def paint_buildings(canvas: Canvas, look: Look, houses: NDArray[np.float64]) -> None:
    """Paint a table of buildings, shape (n, 16), in its order."""
    for n in range(len(houses)):
        house = houses[n]
        top, bottom, left, right = span(canvas, house[X], house[Y], math.hypot(house[A], house[B]) + 1.0)
        for r in range(top, bottom):
            for c in range(left, right):
                _paint_roof(canvas, look, house, (r, c))
