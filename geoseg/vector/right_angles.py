"""The outline that a building is likely to have: straight walls at right angles or half of them, or a circle.

A ring is cut into stretches, each of which becomes one wall along one of four directions. Of all ways to cut it the
one is taken that costs least: the squared distance of the ring from its walls, summed along the ring, and a fixed
price for each wall (least squares with a description length, found exactly by dynamic programming, as in
https://doi.org/10.1145/366573.366611). Walls turn freely: given the cut, the best direction follows from moments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geoseg.vector.circle import circle
from geoseg.vector.compiled import compiled

_FRAME = 4  # the direction of an edge that stays on its line
_ALONG = 4  # directions: along the main axis, across it, and the two halfway between
_LONGEST = 256  # edges that one wall may stand for
_TURNS = 4  # rounds of cutting and turning

_SLANTED = 4.0  # times as much for a wall that is neither along nor across
_ROUND = 0.5  # a circle must be this much cheaper than walls


@compiled
def fitted(ring: Any, main: Any, price: Any, cut: Any) -> Any:
    """Return the likely outline of a ring and its main direction.

    Args:
        ring: (vertices, 2) float64, not closed, in pixels; at least 3.
        main: main direction in radians to keep, for courtyards; NaN finds one.
        price: of a wall, in cubic pixels: the more, the fewer walls. A jog of 2 pixels over 6 is worth about 6.
        cut: whether the last edge, which leads to the first vertex, is where the scene ends: it stays on its line, and
            is the last edge of what is returned, too.

    Returns:
        (vertices, 2) float64, not closed, turning the same way; empty where no outline was found. And the direction.
    """
    origin = ring[0].copy()
    points = _thinned(ring - origin, cut)
    given = not np.isnan(main)
    if not given:
        main = _main_direction(points, cut)
    empty = np.empty((0, 2), np.float64)
    if len(points) < 3:
        return empty, main
    cuts = np.empty(0, np.int64)
    ways = np.empty(0, np.int64)
    cost = np.inf
    for turn in range(1 if given else _TURNS):
        cuts, ways, cost = _cut(points, main, price, cut)
        if len(cuts) < 3:
            return empty, main
        if not given and turn + 1 < _TURNS:
            turned = _turned(points, main, cuts, ways)
            if abs(turned - main) < 1e-4:
                break
            main = turned
    if not given and not cut:
        round_one, strays = circle(points)
        if strays + 4 * price < _ROUND * cost:
            return round_one + origin, main
    return _corners(points, main, cuts, ways) + origin, main


@compiled
def _thinned(ring: Any, cut: Any) -> Any:
    """Return a ring without repeated vertices and without those on straight lines."""
    count = len(ring)
    kept = np.empty((count, 2), np.float64)
    n = 0
    for i in range(count):
        before, after = ring[i - 1], ring[(i + 1) % count]
        cross = (ring[i, 0] - before[0]) * (after[1] - ring[i, 1]) - (ring[i, 1] - before[1]) * (after[0] - ring[i, 0])
        if abs(cross) > 1e-9 or (cut and (i in (0, count - 1))):
            kept[n] = ring[i]
            n += 1
    return kept[:n].copy()


@compiled
def _main_direction(points: Any, cut: Any) -> Any:
    """Return the direction, modulo a right angle, that edges have on average, weighted by their squared length."""
    cos = sin = 0.0
    for i in range(1 if cut else 0, len(points)):
        dx, dy = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
        angle = 4 * np.arctan2(dy, dx)
        weight = dx * dx + dy * dy
        cos += weight * np.cos(angle)
        sin += weight * np.sin(angle)
    return np.arctan2(sin, cos) / 4


@compiled
def _moments(points: Any, normal_x: Any, normal_y: Any) -> Any:
    """Return sums along the ring walked twice, shape (2 edges + 1, 3): length, offset and squared offset."""
    count = len(points)
    sums = np.zeros((2 * count + 1, 3), np.float64)
    for i in range(2 * count):
        p, q = points[i % count], points[(i + 1) % count]
        length = np.hypot(q[0] - p[0], q[1] - p[1])
        a = p[0] * normal_x + p[1] * normal_y
        b = q[0] * normal_x + q[1] * normal_y
        sums[i + 1, 0] = sums[i, 0] + length
        sums[i + 1, 1] = sums[i, 1] + length * (a + b) / 2
        sums[i + 1, 2] = sums[i, 2] + length * (a * a + a * b + b * b) / 3
    return sums


@compiled
def _strays(sums: Any, i: Any, j: Any) -> Any:
    """Return the squared distance from the best wall, summed along the edges from i to before j."""
    length = sums[j, 0] - sums[i, 0]
    offset = sums[j, 1] - sums[i, 1]
    return max(0.0, sums[j, 2] - sums[i, 2] - offset * offset / length)


@compiled
def _cut(points: Any, main: Any, price: Any, cut: Any) -> Any:
    """Return the cheapest cut of a ring: vertices where walls begin, direction of each wall, and the cost.

    A first round begins where the longest edge does; a second one at the wall of the first that begins furthest from
    there, which is a corner whatever the first beginning was.
    """
    count = len(points)
    sums = np.empty((_ALONG, 2 * count + 1, 3), np.float64)
    for way in range(_ALONG):
        angle = main + way * np.pi / 4 + np.pi / 2
        sums[way] = _moments(points, np.cos(angle), np.sin(angle))
    if cut:
        cuts, ways, cost = _cheapest(sums, 0, -1, count - 1, price)
        return np.append(cuts, count - 1), np.append(ways, _FRAME), cost
    begin = 0
    longest = -1.0
    for i in range(count):
        length = sums[0, i + 1, 0] - sums[0, i, 0]
        if length > longest:
            longest = length
            begin = i
    first = 0
    for way in range(1, _ALONG):
        if _strays(sums[way], begin, begin + 1) < _strays(sums[first], begin, begin + 1):
            first = way
    cuts, ways, cost = _cheapest(sums, begin, first, count, price)
    if len(cuts) < 3:
        return cuts, ways, cost
    middle = len(cuts) // 2
    return _cheapest(sums, cuts[middle] % count, ways[middle], count, price)


@compiled
def _cheapest(sums: Any, begin: Any, first: Any, count: Any, price: Any) -> Any:
    """Return the cheapest cut of some edges, the first of which begins at a vertex.

    A ring's first wall has a given direction, and the last one another; -1 stands for edges that do not close.
    """
    best = np.full((count + 1, _ALONG), np.inf)
    came = np.full((count + 1, _ALONG), -1, np.int64)  # 4 · vertex + direction of the wall before
    for j in range(1, count + 1):
        for i in range(max(0, j - _LONGEST), j):
            for way in range(_ALONG):
                if i == 0 and way != first and first >= 0:
                    continue
                cheapest = 0.0
                origin = 0
                if i > 0:
                    cheapest = np.inf
                    for other in range(_ALONG):
                        if other != way and best[i, other] < cheapest:
                            cheapest = best[i, other]
                            origin = i * _ALONG + other
                    if cheapest == np.inf:
                        continue
                cost = cheapest + price * (1.0 if way % 2 == 0 else _SLANTED)
                if cost < best[j, way]:
                    cost += _strays(sums[way], begin + i, begin + j)
                    if cost < best[j, way]:
                        best[j, way] = cost
                        came[j, way] = origin
    last = -1
    for way in range(_ALONG):
        if way != first and (last < 0 or best[count, way] < best[count, last]):
            last = way
    cuts = np.empty(count, np.int64)
    ways = np.empty(count, np.int64)
    n = 0
    at, way = count, last
    while at > 0 and came[at, way] >= 0:
        origin = came[at, way]
        cuts[n] = begin + origin // _ALONG
        ways[n] = way
        n += 1
        at, way = origin // _ALONG, origin % _ALONG
    return cuts[:n][::-1].copy(), ways[:n][::-1].copy(), best[count, last]


@compiled
def _turned(points: Any, main: Any, cuts: Any, ways: Any) -> Any:
    """Return the main direction from which the ring strays least, given how it is cut."""
    count = len(points)
    xx = xy = yy = 0.0
    for k in range(len(cuts)):
        if ways[k] == _FRAME:
            continue
        angle = ways[k] * np.pi / 4
        cos, sin = np.cos(angle), np.sin(angle)
        end = cuts[(k + 1) % len(cuts)]
        while end <= cuts[k]:
            end += count
        length = mean_x = mean_y = 0.0
        sxx = sxy = syy = 0.0
        for i in range(cuts[k], end):
            p, q = points[i % count], points[(i + 1) % count]
            px, py = p[0] * cos + p[1] * sin, p[1] * cos - p[0] * sin
            qx, qy = q[0] * cos + q[1] * sin, q[1] * cos - q[0] * sin
            part = np.hypot(qx - px, qy - py)
            length += part
            mean_x += part * (px + qx) / 2
            mean_y += part * (py + qy) / 2
            sxx += part * (px * px + px * qx + qx * qx) / 3
            syy += part * (py * py + py * qy + qy * qy) / 3
            sxy += part * (2 * px * py + px * qy + qx * py + 2 * qx * qy) / 6
        xx += sxx - mean_x * mean_x / length
        yy += syy - mean_y * mean_y / length
        xy += sxy - mean_x * mean_y / length
    # Walls lie along the axis of the larger moment; of its directions modulo a right angle the one near ``main``.
    axis = 0.5 * np.arctan2(2 * xy, xx - yy)
    quarter = np.pi / 2
    return axis + np.round((main - axis) / quarter) * quarter


@compiled
def _corners(points: Any, main: Any, cuts: Any, ways: Any) -> Any:
    """Return where neighbouring walls meet; empty where a wall would run backwards."""
    count = len(points)
    walls = len(cuts)
    lines = np.empty((walls, 3), np.float64)  # normal and offset
    for k in range(walls):
        angle = main + ways[k] * np.pi / 4 + np.pi / 2
        nx, ny = np.cos(angle), np.sin(angle)
        if ways[k] == _FRAME:
            upright = 1.0 if points[-1, 0] == points[0, 0] else 0.0
            nx, ny = upright, 1.0 - upright
        end = cuts[(k + 1) % walls]
        while end <= cuts[k]:
            end += count
        total = weight = 0.0
        plain = length = 0.0
        for i in range(cuts[k], end):
            p, q = points[i % count], points[(i + 1) % count]
            dx, dy = q[0] - p[0], q[1] - p[1]
            middle = ((p[0] + q[0]) * nx + (p[1] + q[1]) * ny) / 2
            along = abs(dx * ny - dy * nx)
            total += along * middle
            weight += along
            part = np.hypot(dx, dy)
            plain += part * middle
            length += part
        lines[k, 0], lines[k, 1] = nx, ny
        lines[k, 2] = total / weight if weight > 0.5 * length else plain / length
    corners = np.empty((walls, 2), np.float64)
    for k in range(walls):
        a, b = lines[k - 1], lines[k]
        cross = a[0] * b[1] - a[1] * b[0]
        if abs(cross) < 0.1:  # a wall along the scene's end
            return corners[:0].copy()
        corners[k, 0] = (a[2] * b[1] - b[2] * a[1]) / cross
        corners[k, 1] = (a[0] * b[2] - b[0] * a[2]) / cross
    for k in range(walls):
        after = (k + 1) % walls
        start, end = points[cuts[k] % count], points[cuts[after] % count]
        forth = (corners[after, 0] - corners[k, 0]) * (end[0] - start[0]) + (corners[after, 1] - corners[k, 1]) * (
            end[1] - start[1]
        )
        if forth <= 0:
            return corners[:0].copy()
    return corners
