"""What lies flat on lots and streets: yards with walls, lawns, pools, car parks and cars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geoseg.demo.canvas import LAND, ROAD, VEGETATION, WATER, Canvas, span, tint
from geoseg.demo.ground import asphalt, lawn, sea
from geoseg.demo.noise import cloud, compiled, unit
from geoseg.demo.palette import MARKS, POOL, Look, shaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

X, Y, COS, SIN, A, B, KIND, RED, GREEN, BLUE, SALT = range(11)
"""Columns of a table of patches: middle (image metres), direction, half sizes, kind, colour, own number.
RED is the share of taken bays for PARKING, and 1 for a round POND."""

YARD, WALLED, LAWN, POND, PARKING, CAR, FIELD, CROP, LAKE = range(9)
"""Values of KIND."""


@compiled
def _paint_paving(canvas: Canvas, patch: NDArray[np.float64], at: tuple[int, int], depth: float) -> None:
    """Paint one pixel of a paved or sandy yard, with a wall around it where it has one."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    salt = int(patch[SALT])
    light = 0.9 + 0.14 * cloud(x / 7.0, y / 7.0, salt) + 0.06 * unit(at[1] + canvas.col, at[0] + canvas.row, salt)
    wall = patch[KIND] == WALLED and depth < 0.8
    light += 0.14 * unit(8, 8, salt) - 0.02 if wall else 0.0
    share = min(1.0, depth + 0.5) * (0.85 if not wall else 1.0)
    tint(canvas, at, (patch[RED] * light, patch[GREEN] * light, patch[BLUE] * light), share)
    canvas.classes[at] = LAND


@compiled
def _paint_parking(
    canvas: Canvas, look: Look, patch: NDArray[np.float64], at: tuple[int, int], place: tuple[float, float]
) -> None:
    """Paint one pixel of a car park: bays, marks and most bays taken."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    s, t = place
    salt = int(patch[SALT])
    canvas.classes[at] = ROAD
    tint(canvas, at, asphalt(look, x, y, unit(1, 1, salt)), 1.0)
    lane = (t + patch[B]) / 16.0
    deep = (lane - math.floor(lane)) * 16.0
    side = 0 if deep < 5.2 else 1
    if 5.2 <= deep < 10.8:
        return
    bay = math.floor(s / 2.7)
    over = abs(s / 2.7 - bay - 0.5) * 2.7
    key = math.floor(lane) * 2 + side
    if over > 1.15:
        tint(canvas, at, shaded(look, MARKS, 1.0), 0.25)
    elif over < 0.95 and 0.4 < deep % 10.8 < 4.9 and unit(bay, key, salt) < patch[RED]:
        light = 40.0 + 200.0 * unit(bay, key + 7, salt) ** 0.7
        hue = unit(bay, key + 13, salt)
        tint(
            canvas,
            at,
            (light, light * (0.55 if hue < 0.08 else 0.98), light * (0.5 if hue < 0.08 else 0.99)),
            0.9,
        )
        canvas.tall[at] = 1.5


@compiled
def _paint_car(
    canvas: Canvas, patch: NDArray[np.float64], at: tuple[int, int], place: tuple[float, float], depth: float
) -> None:
    """Paint one pixel of a car if it is on a road."""
    if canvas.classes[at] != ROAD:
        return
    glass = 0.55 if 0.4 < place[0] < 1.3 else 1.0
    tint(canvas, at, (patch[RED] * glass, patch[GREEN] * glass, patch[BLUE] * glass), min(1.0, depth + 0.5))
    if depth > 0.0:
        canvas.tall[at] = 1.5


@compiled
def _paint_crop(canvas: Canvas, patch: NDArray[np.float64], at: tuple[int, int], place: tuple[float, float]) -> None:
    """Paint one pixel of a field: rows, and growth that is thicker here than there."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    salt = int(patch[SALT])
    step = 2.0 + 6.0 * unit(9, 9, salt)
    light = 0.86 + 0.2 * cloud(x / 31.0, y / 31.0, salt) + 0.06 * cloud(x / 3.0, y / 3.0, salt + 1)
    light += 0.07 * unit(9, 8, salt) * math.sin(place[0] * 2.0 * math.pi / step)
    tint(canvas, at, (patch[RED] * light, patch[GREEN] * light, patch[BLUE] * light), 0.92)
    canvas.classes[at] = VEGETATION


@compiled
def _paint_lake(
    canvas: Canvas, look: Look, patch: NDArray[np.float64], at: tuple[int, int], place: tuple[float, float]
) -> None:
    """Paint one pixel of a pond if it lies within its rough shore."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    s, t = place
    salt = int(patch[SALT])
    far = math.hypot(s / patch[A], t / patch[B])
    rough = 0.45 * cloud(x / 19.0, y / 19.0, salt) + 0.1 * cloud(x / 4.0, y / 4.0, salt + 1)
    depth = (1.0 - rough - far) * min(patch[A], patch[B])
    if depth <= 0.0:
        return
    tint(canvas, at, sea(look, depth, x, y), min(1.0, depth + 0.5))
    canvas.classes[at] = WATER


@compiled
def _paint_green(
    canvas: Canvas, look: Look, patch: NDArray[np.float64], at: tuple[int, int], place: tuple[float, float, float]
) -> None:
    """Paint one pixel of a lawn, a playing field, a crop or a pond; place is s, t and the depth within the patch."""
    s, t, depth = place
    kind = int(patch[KIND])
    if kind == CROP:
        _paint_crop(canvas, patch, at, (s, t))
    elif kind == LAKE:
        _paint_lake(canvas, look, patch, at, (s, t))
    else:
        tint(canvas, at, lawn(look, at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5), 0.9)
        canvas.classes[at] = VEGETATION
        if kind == FIELD and abs(depth - 1.5) < 0.5:
            tint(canvas, at, shaded(look, MARKS, 1.0), 0.4)


@compiled
def _paint_patch(canvas: Canvas, look: Look, patch: NDArray[np.float64], at: tuple[int, int]) -> None:
    """Paint one pixel of a patch if it lies in it."""
    x, y = at[1] + canvas.col + 0.5, at[0] + canvas.row + 0.5
    dx, dy = x - patch[X], y - patch[Y]
    s, t = dx * patch[COS] + dy * patch[SIN], dy * patch[COS] - dx * patch[SIN]
    kind = int(patch[KIND])
    depth = min(patch[A] - abs(s), patch[B] - abs(t))
    if kind == POND and patch[RED] > 0.5:
        depth = (1.0 - math.hypot(s / patch[A], t / patch[B])) * min(patch[A], patch[B])
    if kind == CAR:
        if depth > -0.5:
            _paint_car(canvas, patch, at, (s, t), depth)
    elif depth <= 0.0:
        return
    elif kind <= WALLED:
        _paint_paving(canvas, patch, at, depth)
    elif kind == PARKING:
        _paint_parking(canvas, look, patch, at, (s, t))
    elif kind == POND:
        rim = depth < 0.7
        color = shaded(look, POOL if not rim else MARKS, 0.94 + 0.12 * cloud(x / 2.0, y / 2.0, look.salt))
        tint(canvas, at, color, 1.0)
        canvas.classes[at] = WATER if not rim else LAND
    else:
        _paint_green(canvas, look, patch, at, (s, t, depth))


@compiled
def paint_patches(canvas: Canvas, look: Look, patches: NDArray[np.float64]) -> None:
    """Paint a table of patches, shape (n, 11), in its order."""
    for n in range(len(patches)):
        patch = patches[n]
        top, bottom, left, right = span(canvas, patch[X], patch[Y], math.hypot(patch[A], patch[B]) + 1.0)
        for r in range(top, bottom):
            for c in range(left, right):
                _paint_patch(canvas, look, patch, (r, c))
