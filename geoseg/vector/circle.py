"""The circle that a round building is likely to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from geoseg.vector.compiled import compiled

_LEAST_RADIUS = 4.0  # pixels; smaller squares look round
_SAGITTA = 0.15  # pixels between a circle and the polygon that stands for it


@compiled
def circle(points: Any) -> Any:
    """Return a polygon for the circle of a ring's area and middle, and the squared distance of the ring from it.

    Args:
        points: (vertices, 2) float64, not closed, in pixels.

    Returns:
        (sides, 2) float64, of the ring's area and turning the same way; empty for a small ring. And the squared
        distance, summed along the ring, in cubic pixels; infinite for a small one.
    """
    count = len(points)
    origin_x, origin_y = points[0]
    doubled = cx = cy = 0.0
    for i in range(count):
        px, py = points[i - 1, 0] - origin_x, points[i - 1, 1] - origin_y
        qx, qy = points[i, 0] - origin_x, points[i, 1] - origin_y
        cross = px * qy - qx * py
        doubled += cross
        cx += (px + qx) * cross
        cy += (py + qy) * cross
    radius = np.sqrt(abs(doubled) / 2 / np.pi)
    if radius < _LEAST_RADIUS:
        return np.empty((0, 2), np.float64), np.inf
    cx = origin_x + cx / (3 * doubled)
    cy = origin_y + cy / (3 * doubled)
    strays = 0.0
    for i in range(count):
        p, q = points[i - 1], points[i]
        length = np.hypot(q[0] - p[0], q[1] - p[1])
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            away = np.hypot(p[0] + share * (q[0] - p[0]) - cx, p[1] + share * (q[1] - p[1]) - cy) - radius
            strays += length / 5 * away * away
    sides = max(12, int(np.ceil(np.pi / np.arccos(1 - _SAGITTA / radius) / 4)) * 4)
    radius *= np.sqrt(2 * np.pi / sides / np.sin(2 * np.pi / sides))  # of the same area
    result = np.empty((sides, 2), np.float64)
    for i in range(sides):
        angle = 2 * np.pi * i / sides * np.sign(doubled)
        result[i, 0] = cx + radius * np.cos(angle)
        result[i, 1] = cy + radius * np.sin(angle)
    return result, strays
