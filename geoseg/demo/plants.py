"""Trees and shrubs, painted as crowns from above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geoseg.demo.canvas import VEGETATION, Canvas, span, tint
from geoseg.demo.noise import cloud, compiled, unit
from geoseg.demo.palette import CROWN, shaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.demo.palette import Look

X, Y, RADIUS, HEIGHT, TONE, SALT = range(6)
"""Columns of a table of trees: middle (image metres), crown radius, height (metres), tone, own number."""


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
    tint(canvas, at, shaded(look, CROWN, light), min(1.0, depth + 0.5) * 0.94)
    if depth > 0.0:
        canvas.classes[at] = VEGETATION
        canvas.tall[at] = tree[HEIGHT] * min(1.0, 0.6 + 0.3 * depth)


@compiled
def paint_trees(canvas: Canvas, look: Look, trees: NDArray[np.float64]) -> None:
    """Paint a table of trees, shape (n, 6), in its order."""
    for n in range(len(trees)):
        tree = trees[n]
        top, bottom, left, right = span(canvas, tree[X], tree[Y], tree[RADIUS] * 1.25 + 1.0)
        for r in range(top, bottom):
            for c in range(left, right):
                _paint_crown(canvas, look, tree, (r, c))
