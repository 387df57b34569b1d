"""Where junctions lie: where the roads that meet there would cross if they went straight on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.roads.axis import Axis, refined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.network import Network, Pixel
    from geoseg.roads.scale import Scale

_SEEN = 200  # pixels of an edge that are looked at
_STIFFNESS = 0.05  # weight of the skeleton's own place, against one of each road
_COVERED = 0.4  # of the half width around each pixel of a junction: so much of its roads is left out
_FARTHEST = 0.8  # of the radius, how far from it the place may be


@dataclass(frozen=True, slots=True)
class Place:
    """A junction, or the end of a road."""

    xy: NDArray[np.float64]
    """Shape (2,), metres right and down from the scene's first corner."""
    middle: NDArray[np.float64]
    """Shape (2,), where the skeleton has it."""
    radius_m: float
    """How far the road reaches around ``middle``; 0 at an end. Inside, lines run straight to ``xy``."""


def place_of(network: Network, pixel: Pixel) -> Place:
    """Return where a settled node lies."""
    node, scale = network.nodes[pixel], network.scale
    members = np.array(node.members)
    middle = (members[:, 1::-1].mean(axis=0) + 0.5) * (scale.width_m, scale.height_m)
    if len(node.edges) < 3:
        return Place(middle, middle, 0.0)
    away = np.hypot(*((members[:, 1::-1] + 0.5) * (scale.width_m, scale.height_m) - middle).T)
    radius = float(max(members[:, 2].max(), (away + _COVERED * members[:, 2]).max()))
    pull, wanted = _STIFFNESS * np.eye(2), np.zeros(2)
    for number in sorted(set(node.edges), key=lambda number: network.edges[number].rank):
        edge = network.edges[number]
        for end in (edge, edge.turned()):
            if end.nodes[0] == pixel:
                across, offset = _straight(refined(end.pixels[:_SEEN], end.near[:_SEEN], scale), middle, radius, scale)
                pull += across
                wanted += across @ offset
    shift = np.linalg.solve(pull, wanted)
    far = float(np.hypot(*shift))
    if far > _FARTHEST * radius:
        shift *= _FARTHEST * radius / far
    return Place(middle + shift, middle, radius)


def outside(xy: NDArray[np.float64], place: Place) -> int:
    """Return the first point of a line that lies outside a place, or how many points there are."""
    beyond = np.hypot(*(xy - place.middle).T) > place.radius_m
    return int(beyond.argmax()) if beyond.any() else len(xy)


def _straight(
    axis: Axis, middle: NDArray[np.float64], radius: float, scale: Scale
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix that keeps what is across a road, shape (2, 2), and a point of it, relative to the middle.

    The road is looked at from where it leaves the junction, over two radii.
    """
    first = outside(axis.xy, Place(middle, middle, radius))
    away = np.hypot(*(axis.xy - middle).T)
    there = axis.xy[first:][away[first:] <= radius + max(2 * radius, 6 * scale.pixel_m)]
    if len(there) < 3:
        return np.zeros((2, 2)), np.zeros(2)
    point = there.mean(axis=0)
    (xx, xy), (_, yy) = (there - point).T @ (there - point)
    along = math.atan2(2 * xy, xx - yy) / 2
    across = np.array((-math.sin(along), math.cos(along)))
    return np.outer(across, across), point - middle
