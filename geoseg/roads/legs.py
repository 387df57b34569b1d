"""The roads that meet at a junction, each seen from there, and from where on they go their own ways."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from geoseg.roads.axis import Axis, refined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.network import Edge, Network, Pixel
    from geoseg.roads.scale import Scale

Key = tuple["Pixel", "Pixel"]
"""The first two pixels of an edge, seen from a junction."""

_SEEN = 200  # pixels of an edge that are looked at
_OWN = 0.6  # of the length of a road; what is farther away belongs to its other end
_INSIDE = 0.8  # of the half width; so near its middle a point is on a road
_WIDER = 1.1  # of a road's usual half width; where it is wider, and half a pixel, it has joined another
_USUAL = 0.4  # quantile of half widths along a road; the greater ones are those near junctions
_STEADY = 1.0  # usual half widths; a road goes its own way when it has its width for so long
_LEAST_PX = 6.0  # working pixels; what is shorter has no direction


@dataclass(frozen=True, slots=True)
class Core:
    """What a junction covers in the skeleton."""

    middle: NDArray[np.float64]
    """Shape (2,), metres right and down from the scene's first corner."""
    radius_m: float


@dataclass(frozen=True, slots=True)
class Ray:
    """A road led on as a straight line, from where it goes its own way towards the junction and beyond."""

    start: NDArray[np.float64]
    """Shape (2,), metres."""
    ahead: NDArray[np.float64]
    """Shape (2,), of length 1."""
    half_m: float
    """Half the road's width."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A road at a junction."""

    key: Key
    axis: Axis
    """Its middle, from the junction on, as far as it is looked at."""

    @property
    def half_m(self) -> float:
        """Half the road's usual width."""
        return float(np.quantile(self.axis.half_m, _USUAL))

    @property
    def own(self) -> int:
        """How many of its points do not belong to its other end."""
        return int(_OWN * len(self.axis.xy))

    def covers(self, xy: NDArray[np.float64]) -> bool:
        """Tell whether a point lies on the road, not near its other end."""
        part = slice(0, self.own)
        return bool((np.hypot(*(self.axis.xy[part] - xy).T) < _INSIDE * self.axis.half_m[part]).any())

    def outside(self, core: Core) -> int:
        """Return the first point that lies outside a junction, or how many points there are."""
        return outside(self.axis.xy, core)

    def apart(self, core: Core, goal: NDArray[np.float64], scale: Scale) -> int:
        """Return the first point from where on the road goes its own way, or how many points there are.

        Where roads meet at an acute angle, the middle of their joined surface is that of neither; it is wider than
        both.

        Args:
            core: what the junction covers.
            goal: shape (2,), where the road is led to; what lies before that is not its own.
            scale: of the pixels.
        """
        xy, half = self.axis.xy, self.axis.half_m
        first = max(self.outside(core), self._passed(core, goal))
        if first >= len(xy):
            return len(xy)
        usual = float(np.quantile(half[first:], _USUAL))
        steady = max(1, round(_STEADY * usual / scale.pixel_m))
        wide = np.flatnonzero(half[first:] > _WIDER * usual + scale.pixel_m / 2)
        for begin, end in pairwise([-1, *wide.tolist(), len(xy) - first + steady]):
            if end - begin > steady:
                return min(first + begin + 1, len(xy))
        return len(xy)

    def ray(self, core: Core, goal: NDArray[np.float64], scale: Scale) -> Ray | None:
        """Return the road led on, straight as it is over two radii of the junction; None where it is too short."""
        first = self.apart(core, goal, scale)
        xy = self.axis.xy[first:]
        if len(xy) == 0:
            return None
        away = np.hypot(*(xy - xy[0]).T)
        beyond = away > max(2 * core.radius_m, _LEAST_PX * scale.pixel_m)
        there = xy[: int(beyond.argmax()) if beyond.any() else len(xy)]
        if len(there) < 3:
            return None
        point = there.mean(axis=0)
        (xx, x_y), (_, yy) = (there - point).T @ (there - point)
        along = math.atan2(2 * x_y, xx - yy) / 2
        ahead = np.array((math.cos(along), math.sin(along)))
        if ahead @ (there[0] - there[-1]) < 0:
            ahead = -ahead
        return Ray(point + ahead * float(ahead @ (there[0] - point)), ahead, self.half_m)

    def _passed(self, core: Core, goal: NDArray[np.float64]) -> int:
        """Return the first point behind a goal that lies along the road, or 0."""
        away = np.hypot(*(self.axis.xy - goal).T)
        at = int(away.argmin())
        return 0 if at == 0 or away[at] > core.radius_m else at + 1


def legs_of(network: Network, pixel: Pixel) -> list[Leg]:
    """Return the roads at a node, in an order that depends on nothing else."""
    found = {}
    for number in set(network.nodes[pixel].edges):
        edge = network.edges[number]
        for end in (edge, edge.turned()):
            if end.nodes[0] == pixel:
                found[key_of(end)] = Leg(key_of(end), refined(end.pixels[:_SEEN], end.near[:_SEEN], network.scale))
    return [found[key] for key in sorted(found)]


def key_of(edge: Edge) -> Key:
    """Return what tells an edge's beginning from all others."""
    (a, b), (c, d) = edge.pixels[:2].tolist()
    return (a, b), (c, d)


def outside(xy: NDArray[np.float64], core: Core) -> int:
    """Return the first point of a line that lies outside a junction, or how many points there are."""
    beyond = np.hypot(*(xy - core.middle).T) > core.radius_m
    return int(beyond.argmax()) if beyond.any() else len(xy)
