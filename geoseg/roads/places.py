"""Where junctions lie: where the roads that meet there would cross if they went straight on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.roads.legs import Core, key_of, legs_of
from geoseg.roads.meeting import meeting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.roads.legs import Key, Leg
    from geoseg.roads.meeting import Link
    from geoseg.roads.network import Edge, Network, Pixel
    from geoseg.roads.scale import Scale

_STIFFNESS = 0.003  # weight of the skeleton's own place, against one of each road
_COVERED = 0.4  # of the half width around each pixel of a junction: so much of its roads is left out
_FARTHEST = 0.8  # of the radius; so near its middle a place may be that lies on none of its roads
_BACK = 0.9  # by so much the way to a place that is no road is shortened, again and again
_ROUNDS = 2  # a place is sought; where it is far off, roads are looked at only from there on for the next


@dataclass(frozen=True, slots=True)
class Lead:
    """How a road comes to its end in a junction: straight, from the first of its points that is its own."""

    first: int
    """Index along the edge, from the junction on."""
    end: NDArray[np.float64]
    """Shape (k, 2), the end and what is passed before it, in metres right and down from the scene's first corner."""


@dataclass(frozen=True, slots=True)
class Place:
    """A junction, or the end of a road."""

    core: Core
    """What it covers; without radius at an end."""
    leads: dict[Key, Lead] = field(default_factory=dict)
    """Of each road."""
    links: tuple[Link, ...] = ()
    """Pieces of street between ends that are not the same."""

    @property
    def is_end(self) -> bool:
        """Whether nothing meets here."""
        return self.core.radius_m == 0

    def lead(self, edge: Edge) -> Lead:
        """Return how an edge that begins here comes to its end."""
        return self.leads[key_of(edge)]


def place_of(network: Network, pixel: Pixel) -> Place:
    """Return where a settled node lies."""
    node, scale = network.nodes[pixel], network.scale
    members = np.array(node.members)
    middle = _middle(network, pixel)
    if len(node.edges) < 3:
        return Place(Core(middle, 0.0))
    away = np.hypot(*((members[:, 1::-1] + 0.5) * (scale.width_m, scale.height_m) - middle).T)
    radius = float(max(members[:, 2].max(), (away + _COVERED * members[:, 2]).max()))
    core, legs = Core(middle, radius), legs_of(network, pixel)
    xy = middle
    others = [_middle(network, other) for number in node.edges for other in network.edges[number].nodes]
    for _ in range(_ROUNDS):
        xy = _on_its_side(_crossing(legs, core, xy, scale), middle, others)
    ends, links = meeting(legs, [leg.ray(core, xy, scale) for leg in legs], xy, core)
    place = Place(core, _leads(legs, ends, core, scale), tuple(links))
    edges = [network.edges[number] for number in node.edges]
    loops = any(edge.nodes[0] == edge.nodes[1] for edge in edges)
    if not loops and _is_plain(legs, place):
        return place
    place = Place(core, _leads(legs, [xy[None]] * len(legs), core, scale))
    if not loops and _is_plain(legs, place):
        return place
    near = min(1.0, _FARTHEST * radius / max(float(np.hypot(*(xy - middle))), 1e-9))
    return Place(core, {leg.key: Lead(leg.outside(core), (middle + near * (xy - middle))[None]) for leg in legs})


def _middle(network: Network, pixel: Pixel) -> NDArray[np.float64]:
    """Return the middle of a node's pixels, in metres right and down."""
    scale = network.scale
    pixels = np.array(network.nodes[pixel].members)[:, 1::-1]
    return np.asarray((pixels.mean(axis=0) + 0.5) * (scale.width_m, scale.height_m))


def _on_its_side(
    xy: NDArray[np.float64], middle: NDArray[np.float64], others: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return a place drawn back to its side of the line midway to each neighbour, so that none pass each other."""
    shift, share = xy - middle, 1.0
    for other in others:
        way = other - middle
        ahead = float(shift @ way)
        if ahead > 0:
            share = min(share, 0.5 * float(way @ way) / ahead)
    return np.asarray(middle + share * shift)


def _leads(legs: Sequence[Leg], ends: Sequence[NDArray[np.float64]], core: Core, scale: Scale) -> dict[Key, Lead]:
    return {leg.key: Lead(leg.apart(core, end[-1], scale), end) for leg, end in zip(legs, ends, strict=True)}


def _is_plain(legs: Sequence[Leg], place: Place) -> bool:
    """Tell whether what is drawn at a junction meets nowhere but at its ends."""
    shapes = [shapely.LineString(link.ends) for link in place.links]
    for leg in legs:
        lead = place.leads[leg.key]
        own = leg.axis.xy[lead.first : max(leg.own, lead.first + 1)]
        if len(own):
            shapes.append(shapely.LineString([*lead.end, *own]))
    return all(shape.is_simple for shape in shapes) and not any(
        one.crosses(other) or one.overlaps(other) for at, one in enumerate(shapes) for other in shapes[:at]
    )


def _crossing(legs: Sequence[Leg], core: Core, goal: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return where roads would cross, as far as they reach; they are looked at from behind a goal."""
    pull, wanted = _STIFFNESS * np.eye(2), np.zeros(2)
    for leg in legs:
        ray = leg.ray(core, goal, scale)
        if ray is not None:
            across = np.eye(2) - np.outer(ray.ahead, ray.ahead)
            pull += across
            wanted += across @ (ray.start - core.middle)
    shift = np.linalg.solve(pull, wanted)
    near = _FARTHEST * core.radius_m
    while np.hypot(*shift) > near and not any(leg.covers(core.middle + shift) for leg in legs):
        shift *= max(_BACK, near / float(np.hypot(*shift)))
    return np.asarray(core.middle + shift)
