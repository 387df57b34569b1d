"""Trees and shrubs, painted as crowns from above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo.buildings import COS, SIN, A, B, depth_inside
from geoseg.demo.canvas import LAND, VEGETATION, Canvas, span, tint
from geoseg.demo.ground import between_colors
from geoseg.demo.noise import cloud, compiled, unit
from geoseg.demo.palette import CROWN, TURNED, TWIGS, shaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.palette import Look

X, Y, RADIUS, HEIGHT, TONE, SALT, SPECIES = range(7)
"""Columns of a table of trees: middle (image metres), crown radius, height (metres), tone, own number, and the row
of ``Look.ground`` with its colour."""


@compiled
def _paint_twigs(canvas: Canvas, look: Look, tree: NDArray[np.float64], at: tuple[int, int], depth: float) -> None:
    """Paint one pixel of a bare crown: what lies below shows through and, but for open land, keeps its class."""
    x, y = at[1] + canvas.col, at[0] + canvas.row
    salt = int(tree[SALT])
    twig = unit(x, y, salt + 1)
    light = tree[TONE] * (0.7 + 0.5 * unit(x, y, salt))
    tint(canvas, at, shaded(look, TWIGS, light), min(1.0, depth + 0.5) * (0.25 + 0.5 * twig))
    if depth > 0.0 and (canvas.classes[at] == LAND or canvas.classes[at] == VEGETATION):
        canvas.classes[at] = VEGETATION


@compiled
def _shade_ground(canvas: Canvas, look: Look, tree: NDArray[np.float64]) -> None:
    """Darken the ground where a bare crown's thin shadow falls: less than what stands solid would."""
    far = 0.75 * tree[HEIGHT] / look.climb
    x, y = tree[X] - far * look.sun_x, tree[Y] - far * look.sun_y
    salt = int(tree[SALT])
    top, bottom, left, right = span(canvas, x, y, tree[RADIUS] + 1.0)
    for r in range(top, bottom):
        for c in range(left, right):
            dx, dy = c + canvas.col + 0.5 - x, r + canvas.row + 0.5 - y
            depth = tree[RADIUS] * (0.7 + 0.5 * cloud(dx / 1.9 + 50.0, dy / 1.9 + 50.0, salt)) - math.hypot(dx, dy)
            if depth > -0.5 and canvas.tall[r, c] < 1.0:
                thick = 0.4 + 0.4 * unit(c + canvas.col, r + canvas.row, salt + 2)
                tint(canvas, (r, c), (0.0, 0.0, 0.0), look.shade * thick * min(1.0, depth + 0.5))


@compiled
def _paint_crown(canvas: Canvas, look: Look, tree: NDArray[np.float64], at: tuple[int, int]) -> None:
    """Paint one pixel of a crown unless something taller stands there."""
    dx, dy = at[1] + canvas.col + 0.5 - tree[X], at[0] + canvas.row + 0.5 - tree[Y]
    salt = int(tree[SALT])
    radius = tree[RADIUS] * (0.75 + 0.5 * cloud(dx / 1.7 + 50.0, dy / 1.7 + 50.0, salt))
    depth = radius - math.hypot(dx, dy)
    if depth <= -0.5 or canvas.tall[at] > tree[HEIGHT]:
        return
    lit = (dx * look.sun_x + dy * look.sun_y) / tree[RADIUS]
    leaf = unit(at[1] + canvas.col, at[0] + canvas.row, salt)
    light = tree[TONE] * (0.92 + 0.3 * lit + 0.22 * leaf)
    if tree[SPECIES] == TWIGS:
        _paint_twigs(canvas, look, tree, at, depth)
        return
    turned = look.turning * unit(7, 7, salt) if tree[SPECIES] == CROWN else 0.0
    color = between_colors(shaded(look, int(tree[SPECIES]), light), shaded(look, TURNED, light), turned)
    tint(canvas, at, color, min(1.0, depth + 0.5) * 0.94)
    if depth > 0.0:
        canvas.classes[at] = VEGETATION
        canvas.tall[at] = tree[HEIGHT] * min(1.0, 0.6 + 0.3 * depth)


@compiled
def paint_trees(canvas: Canvas, look: Look, trees: NDArray[np.float64]) -> None:
    """Paint a table of trees, shape (n, 7), in its order."""
    for n in range(len(trees)):
        tree = trees[n]
        if tree[SPECIES] == TWIGS:
            _shade_ground(canvas, look, tree)
        top, bottom, left, right = span(canvas, tree[X], tree[Y], tree[RADIUS] * 1.25 + 1.0)
        for r in range(top, bottom):
            for c in range(left, right):
                _paint_crown(canvas, look, tree, (r, c))


LOOSE = 0.5
"""Below this ``Growth.inner`` trees may stand anywhere on lots, so that those within houses must go."""


@compiled
def free_of(trees: NDArray[np.float64], houses: NDArray[np.float64], lakes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which trees have their trunks outside of houses and ponds, shape (n,)."""
    out = np.ones(len(trees), np.bool_)
    for k in range(len(houses) + len(lakes)):
        thing = houses[k] if k < len(houses) else lakes[k - len(houses)]
        reach = math.hypot(thing[A], thing[B]) + 2.5
        for n in range(len(trees)):
            dx, dy = trees[n, X] - thing[X], trees[n, Y] - thing[Y]
            if not out[n] or abs(dx) > reach or abs(dy) > reach:
                continue
            s, t = dx * thing[COS] + dy * thing[SIN], dy * thing[COS] - dx * thing[SIN]
            if k < len(houses):
                out[n] = depth_inside(thing, s, t) < -2.2
            else:
                out[n] = math.hypot(s / thing[A], t / thing[B]) > 0.9
    return out
