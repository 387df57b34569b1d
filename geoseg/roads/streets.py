"""Finished centrelines as a graph that lines can be taken out of; what goes on through a node becomes one line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

from geoseg.vocabulary import Lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from geoseg.roads.traced import Traced

Spot = tuple[float, float]
"""Coordinates of a node."""


@dataclass(frozen=True, slots=True)
class Street:
    """A line between two nodes."""

    xy: NDArray[np.float64]
    """Shape (n, 2), in units of the CRS."""
    width_m: float
    length_m: float
    clings: float
    """Share along a building on one side only."""
    is_cut: bool
    """Whether somewhere along it pixels without data cut off the road."""

    @property
    def ends(self) -> tuple[Spot, Spot]:
        """Where it begins and ends."""
        (a, b), (c, d) = self.xy[[0, -1]].tolist()
        return (a, b), (c, d)


class Streets:
    """Lines by number, and at each node the numbers of those that meet there; a loop is there twice."""

    def __init__(self) -> None:
        self.lines: dict[int, Street] = {}
        self.nodes: dict[Spot, list[int]] = {}
        self.cut: set[Spot] = set()
        """Where pixels without data cut off roads."""
        self._count = 0

    @classmethod
    def of(cls, lines: Traced) -> Self:
        """Return the graph of lines, numbered the same in whatever order they come."""
        found = cls()
        for at in np.argsort(shapely.to_wkb(lines.geometry)).tolist():
            xy = shapely.get_coordinates(lines.geometry[at])
            width, length, clings = (float(column[at]) for column in (lines.width_m, lines.length_m, lines.clings))
            street = Street(xy, width, length, clings, bool(lines.cut[at, 2]))
            found._put(street)
            found.cut |= {spot for spot, cut in zip(street.ends, lines.cut[at, :2], strict=True) if cut}
        return found

    def to_lines(self) -> Lines:
        """Return the lines that are left, in the order of their numbers."""
        streets = list(self.lines.values())
        geometry = np.empty(len(streets), object)
        geometry[:] = [shapely.LineString(street.xy) for street in streets]
        measures = [np.array([getattr(one, name) for one in streets], np.float64) for name in ("width_m", "length_m")]
        return Lines(geometry, *measures)

    def take(self, numbers: Iterable[int]) -> set[int]:
        """Take lines out and join what is left of two at their nodes; return the numbers of lines so joined."""
        touched: dict[Spot, None] = {}
        for number in numbers:
            for spot in self.lines.pop(number).ends:
                self.nodes[spot].remove(number)
                touched[spot] = None
        joined = {self._dissolved(spot) for spot in touched}
        return {number for number in joined if number in self.lines}

    def components(self) -> Iterator[set[int]]:
        """Yield the numbers of lines that hang together."""
        seen: set[int] = set()
        for start in self.lines:
            if start in seen:
                continue
            found, ahead = {start}, [start]
            while ahead:
                fresh = {other for spot in self.lines[ahead.pop()].ends for other in self.nodes[spot]} - found
                found |= fresh
                ahead += sorted(fresh)
            seen |= found
            yield found

    def faces(self, numbers: Collection[int]) -> list[tuple[shapely.Polygon, list[int]]]:
        """Return the areas that some lines go around, without what lies inside, and the lines in order around them."""
        ordered = [number for number in sorted(numbers) if number in self.lines]
        beginning = {frozenset(map(tuple, self.lines[number].xy[:2].tolist())): number for number in ordered}
        polygons = shapely.polygonize([shapely.LineString(self.lines[number].xy) for number in ordered])
        found = []
        for polygon in polygons.geoms:
            pairs = (beginning.get(frozenset(pair)) for pair in pairwise(polygon.exterior.coords))
            found.append((shapely.Polygon(polygon.exterior), [number for number in pairs if number is not None]))
        return found

    def _put(self, street: Street) -> int:
        self.lines[self._count] = street
        for spot in street.ends:
            self.nodes.setdefault(spot, []).append(self._count)
        self._count += 1
        return self._count - 1

    def _dissolved(self, spot: Spot) -> int:
        """Join the two lines at a node where nothing else meets; return the number of what came out, or -1."""
        numbers = self.nodes[spot]
        if not numbers:
            del self.nodes[spot]
        if len(numbers) != 2 or numbers[0] == numbers[1]:
            return -1
        one, other = (self.lines.pop(number) for number in tuple(numbers))
        for number, street in zip(tuple(numbers), (one, other), strict=True):
            for end in street.ends:
                self.nodes[end].remove(number)
        del self.nodes[spot]
        first = one.xy if one.ends[1] == spot else one.xy[::-1]
        then = other.xy if other.ends[0] == spot else other.xy[::-1]
        length = one.length_m + other.length_m
        width, clings = (
            (getattr(one, name) * one.length_m + getattr(other, name) * other.length_m) / length
            for name in ("width_m", "clings")
        )
        xy = np.concatenate((first, then[1:]))
        return self._put(Street(xy, width, length, clings, one.is_cut or other.is_cut))
