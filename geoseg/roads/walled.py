"""Tell ways around single buildings by the walls they run along.

Where a yard is paved, what counts as road there reaches from the building to the yard's end: lines have a wall on one
side and something else as near on the other. A street between houses has walls on both sides, or on none. A
street along a wall is told from a yard by what it does: it leads on, far, or to where nothing else leads.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from geoseg.roads.streets import Spot, Street, Streets

_CLINGS = 0.4  # share of a line
_EXTENT_M = 150.0  # a yard is not wider, nor are two that hang together
_STRAIGHT = np.cos(np.radians(25.0))  # a street that leads on turns less
_STUB = 3.0  # widths
_DIRECT = 1.25  # so much longer than the distance between its ends a street is that leads straight through
_LOOSE_M = 100.0  # what hangs on a yard and is longer is reached through it


def walled(streets: Streets, beyond: Collection[Spot], m: float) -> Iterator[list[int]]:
    """Yield lines, each time those of a yard, so far as the ones before have been taken out.

    Args:
        streets: all lines of a scene; may change between steps.
        beyond: nodes where lines go on beyond what is seen.
        m: metres of a unit of the CRS.
    """
    along = {number for number, line in streets.lines.items() if line.clings >= _CLINGS}
    for group in _groups(streets, along):
        along -= _through(streets, group, beyond, m)
    for group in _groups(streets, along):
        if not group.issubset(streets.lines):  # joined to others at a yard that was taken out
            continue
        if _extent(streets, group) * m <= _EXTENT_M and not _is_needed(streets, group):
            yield sorted(group)


def _groups(streets: Streets, along: Collection[int]) -> list[set[int]]:
    """Return sets of some lines that hang together."""
    left = set(along)
    found = []
    while left:
        group = {min(left)}
        ahead = sorted(group)
        while ahead:
            fresh = {n for spot in streets.lines[ahead.pop()].ends for n in streets.nodes[spot] if n in left} - group
            group |= fresh
            ahead += sorted(fresh)
        left -= group
        found.append(group)
    return found


def _joints(streets: Streets, group: set[int]) -> list[Spot]:
    """Return where a group meets other lines."""
    spots = {spot for number in group for spot in streets.lines[number].ends}
    return sorted(spot for spot in spots if any(number not in group for number in streets.nodes[spot]))


def _through(streets: Streets, group: set[int], beyond: Collection[Spot], m: float) -> set[int]:
    """Return the lines of a group that a street leads through: straight in, about straight along, and straight out."""
    leading = [spot for spot in _joints(streets, group) if _leads_on(streets, spot, group)]
    leading += sorted({spot for number in group for spot in streets.lines[number].ends if spot in beyond})
    found: set[int] = set()
    for at, start in enumerate(leading):
        ways = _ways(streets, group, start)
        for goal in leading[at + 1 :]:
            if goal not in ways:
                continue
            length, way = ways[goal]
            if length <= _DIRECT * m * float(np.hypot(start[0] - goal[0], start[1] - goal[1])):
                found |= set(way)
    return found


def _ways(streets: Streets, group: set[int], start: Spot) -> dict[Spot, tuple[float, tuple[int, ...]]]:
    """Return the shortest ways through a group from a node to its others, their lengths in metres, and their lines."""
    found: dict[Spot, tuple[float, tuple[int, ...]]] = {}
    ahead: list[tuple[float, tuple[int, ...], Spot]] = [(0.0, (), start)]
    while ahead:
        length, way, spot = heapq.heappop(ahead)
        if spot in found:
            continue
        found[spot] = length, way
        for number in streets.nodes[spot]:
            if number in group:
                line = streets.lines[number]
                end = line.ends[1] if line.ends[0] == spot else line.ends[0]
                heapq.heappush(ahead, (length + line.length_m, (*way, number), end))
    return found


def _extent(streets: Streets, group: set[int]) -> float:
    """Return the greatest distance between two points of some lines, in units of the CRS."""
    points = np.concatenate([streets.lines[number].xy for number in sorted(group)])
    corners = shapely.get_coordinates(shapely.MultiPoint(points).convex_hull)
    return float(np.hypot(*(corners[:, None] - corners).T).max())


def _leads_on(streets: Streets, spot: Spot, group: set[int]) -> bool:
    """Tell whether a line of a group goes straight on into another at a node."""
    here = [number for number in streets.nodes[spot] if number in group]
    others = [number for number in streets.nodes[spot] if number not in group and not _is_stub(streets, number)]
    return any(
        _direction(streets.lines[one], spot) @ -_direction(streets.lines[other], spot) > _STRAIGHT
        for one in here
        for other in others
    )


def _is_stub(streets: Streets, number: int) -> bool:
    """Tell whether a line is so short that its direction says nothing."""
    return streets.lines[number].length_m < _STUB * streets.lines[number].width_m


def _direction(line: Street, spot: Spot) -> np.ndarray:
    """Return where a line leads from one of its ends, a unit vector."""
    xy = line.xy if line.ends[0] == spot else line.xy[::-1]
    shape = shapely.LineString(xy)
    ahead = np.array(shape.interpolate(min(shape.length, 4 * line.width_m)).coords[0]) - xy[0]
    return np.asarray(ahead / max(float(np.hypot(*ahead)), 1e-12))


def _is_needed(streets: Streets, group: set[int]) -> bool:
    """Tell whether more than a little is reached only through a group."""
    seen: set[Spot] = set()
    parts = []
    for start in _joints(streets, group):
        if start in seen:
            continue
        length, ahead, lines = 0.0, [start], set()
        seen.add(start)
        while ahead:
            spot = ahead.pop()
            for number in streets.nodes[spot]:
                if number in group or number in lines:
                    continue
                lines.add(number)
                length += streets.lines[number].length_m
                for end in streets.lines[number].ends:
                    if end not in seen:
                        seen.add(end)
                        ahead.append(end)
        parts.append(length)
    return sum(length > _LOOSE_M for length in parts) > 1
