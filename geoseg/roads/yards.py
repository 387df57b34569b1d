"""Take from finished centrelines what leads around and into yards, not along streets.

Where yards are paved like streets, lines go around each building there. An agency maps streets, and such a way around
only where several streets meet it, or where it is as large as a block. This looks at all lines of a scene together:
what is a yard depends on all that hangs on it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.roads.scale import Scale
from geoseg.roads.streets import Spot, Streets
from geoseg.roads.walled import walled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.traced import Traced
    from geoseg.vocabulary import Grid, Lines

YARD_M2 = 2500.0
"""A way around less than this, 50 m square, goes around one building; blocks of houses are larger."""
_DETOUR = 1.5  # a way around a yard is so much longer than the street that it leaves and comes back to
_STUBBY = 3.0  # widths; a shorter dead end is a place beside the street
_ALONE_M = 60.0  # lines that together are shorter, and join nothing, lead through a yard
_DRIVEWAY_M = 4.0  # two cars cannot pass on what is narrower; a dead end like that leads to one house,
_WAY_IN_M = 100.0  # unless it is longer than this, twice a yard's side
_CURLED = 1.5  # a dead end within a yard's area and so much longer than its extent goes around; an L's is at most 1.42


def without_yards(lines: Traced, grid: Grid) -> Lines:
    """Return the lines of a scene without those of yards; the nodes that only these made are gone, too.

    Args:
        lines: all centrelines of the scene, in the coordinates of the grid's CRS.
        grid: where the scene's pixels lie. What ends at its frame goes on, as does what pixels without data cut off.
    """
    survey = _Survey(Streets.of(lines), grid)
    survey.take_walled()
    around = set(survey.streets.lines)
    fresh = around
    while fresh:
        fresh = survey.take_stubs(fresh)
        around, taken = survey.take_rings(around | fresh)
        fresh |= taken
    survey.take_alone()
    return survey.streets.to_lines()


class _Survey:
    """Streets, and what of them is a yard."""

    def __init__(self, streets: Streets, grid: Grid) -> None:
        self.streets = streets
        scale = Scale.of(grid)
        self._m2 = (scale.pixel_m / scale.factor) ** 2 / grid.pixel_area  # of a squared unit of the CRS
        self._inverse = ~grid.transform
        self._pixel = np.array((scale.width_m, scale.height_m)) / scale.factor
        self._size = np.array((grid.width, grid.height))
        self._beyond = streets.cut | {spot for spot in streets.nodes if self._is_at_frame(spot)}

    def take_walled(self) -> None:
        """Take out ways around single buildings, until there are none."""
        found = True
        while found:
            found = False
            for numbers in walled(self.streets, self._beyond, self._m2**0.5):
                self.streets.take(numbers)
                found = True

    def take_stubs(self, among: set[int]) -> set[int]:
        """Take out dead ends hardly longer than wide; return lines that it made."""
        made, ahead = set(), among
        while ahead:
            ahead = {
                new
                for number in sorted(ahead)
                if number in self.streets.lines and self._is_no_street(number)
                for new in self.streets.take([number])
            }
            made |= ahead
        return made

    def take_rings(self, among: set[int]) -> tuple[set[int], set[int]]:
        """Take out ways around yards, with what leads to them.

        Args:
            among: lines that may go around yards.

        Returns:
            Lines that go around what is as small as a yard, and lines that it made.
        """
        faces = [(area.area * self._m2, ring) for area, ring in self.streets.faces(among)]
        small = sorted((area, ring) for area, ring in faces if area < YARD_M2)
        made: set[int] = set()
        for area, ring in small:
            if all(number in self.streets.lines for number in ring):
                made |= self._taken(ring, area**0.5)
        around = {number for _, ring in small for number in ring} | made
        return around & set(self.streets.lines), made & set(self.streets.lines)

    def take_alone(self) -> None:
        """Take out what is short and joins nothing."""
        for numbers in list(self.streets.components()):
            lines = [self.streets.lines[number] for number in numbers]
            goes_on = any(spot in self._beyond for line in lines for spot in line.ends)
            length = sum(line.length_m for line in lines)
            narrow = all(line.width_m < _DRIVEWAY_M for line in lines)
            short = length < (_WAY_IN_M if narrow else _ALONE_M)
            if not goes_on and (short or self._is_curled([line.xy for line in lines], length)):
                self.streets.take(sorted(numbers))

    def _taken(self, ring: list[int], across_m: float) -> set[int]:
        """Take out a way around a yard, or the part that is a detour; return lines that this made."""
        streets = self.streets
        spots = _corners(streets, ring)
        hanging = {spot: self._hanging(spot, ring, across_m) for spot in spots}
        joints = [spot for spot in spots if len(streets.nodes[spot]) - 2 > len(hanging[spot])]
        # Where pixels without data cut the ring off, another street may join it.
        known = not any(streets.lines[number].is_cut for number in ring)
        if len(joints) > (2 if known else 0):
            return set()
        begin = spots.index(joints[0]) if joints else 0
        ring, spots = ring[begin:] + ring[:begin], spots[begin:] + spots[:begin]
        way, passed = ring, set(spots) - set(joints)
        if len(joints) == 2:
            middle = spots.index(joints[1])
            ways = [(ring[:middle], set(spots[1:middle])), (ring[middle:], set(spots[middle + 1 :]))]
            lengths = [sum(streets.lines[number].length_m for number in part) for part, _ in ways]
            longer = int(lengths[1] > lengths[0])
            if lengths[longer] < _DETOUR * lengths[1 - longer]:
                return set()
            way, passed = ways[longer]
        made = streets.take(dict.fromkeys(way + sorted(number for spot in passed for number in hanging[spot])))
        # What led to it and now leads nowhere.
        for spot in joints:
            for number in tuple(streets.nodes.get(spot, ())):
                if number in streets.lines and self._is_short(number, across_m):
                    made |= streets.take([number])
        return made

    def _hanging(self, spot: Spot, ring: list[int], across_m: float) -> list[int]:
        """Return the dead ends at a corner of a ring that are shorter than it is wide."""
        numbers = self.streets.nodes[spot]
        return [number for number in numbers if number not in ring and self._is_short(number, across_m)]

    def _is_short(self, number: int, length_m: float) -> bool:
        """Tell whether a line is a dead end within the scene, and shorter than that."""
        line = self.streets.lines[number]
        ends = [spot for spot in line.ends if len(self.streets.nodes[spot]) == 1]
        return len(ends) == 1 and ends[0] not in self._beyond and line.length_m < length_m

    def _is_no_street(self, number: int) -> bool:
        """Tell whether a dead end is a driveway, is hardly longer than wide, or comes back from around a yard."""
        line = self.streets.lines[number]
        if not self._is_short(number, np.inf):
            return False
        longest = max(_STUBBY * line.width_m, _WAY_IN_M if line.width_m < _DRIVEWAY_M else 0.0)
        return line.length_m < longest or self._is_curled([line.xy], line.length_m)

    def _is_curled(self, lines: list[NDArray[np.float64]], length_m: float) -> bool:
        """Tell whether lines lie within the area of a yard and are much longer than that extends."""
        x, y = np.concatenate(lines).T
        flat = np.column_stack(self._inverse @ (x, y)) * self._pixel
        hull = shapely.MultiPoint(flat).convex_hull
        corners = shapely.get_coordinates(hull)
        extent = np.hypot(*(corners[:, None] - corners).T).max()
        return bool(hull.area < YARD_M2 and length_m >= _CURLED * extent)

    def _is_at_frame(self, spot: Spot) -> bool:
        at = np.array(self._inverse @ spot)
        return bool((np.minimum(at, self._size - at) < 1.0).any())


def _corners(streets: Streets, ring: list[int]) -> list[Spot]:
    """Return where each line around an area begins."""
    if len(ring) == 1:
        return [streets.lines[ring[0]].ends[0]]
    if len(ring) == 2:
        return list(streets.lines[ring[0]].ends)
    shared = [set(streets.lines[a].ends) & set(streets.lines[b].ends) for a, b in pairwise([ring[-1], *ring])]
    return [min(spots) for spots in shared]
