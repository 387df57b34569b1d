"""Polygons of several inputs at the places where the inputs meet: which are near each other, and one border for both.

Two maps of neighbouring ground seldom agree to the last digit on where their common border runs, and never on the
vertices along it. Here, vertices of different inputs that lie within the tolerance of each other become one, and those
that lie on another input's edge become vertices of that edge. Nothing else moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

from geoseg.vector.groups import grouped
from geoseg.vector.redrawn import redrawn
from geoseg.vector.rings import Rings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_MARGIN = 4  # tolerances; vertices that have been moved must still be found
_SAME = 1e-3  # of the tolerance; vertices of one input this near are one, such as two computed crossings


@dataclass(frozen=True, slots=True)
class Pieces:
    """Polygons and where they come from, one row each."""

    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons."""
    values: NDArray[np.uint8]
    """Shape (n,), classes."""
    source: NDArray[np.intp]
    """Shape (n,), number of the input; the lower one wins where two say different things of the same ground."""
    origin: NDArray[np.intp]
    """Shape (n,), index of the polygon they were at first."""

    def chosen(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Return some of them."""
        return type(self)(self.geometry[index], self.values[index], self.source[index], self.origin[index])

    def replaced(self, geometry: NDArray[np.object_], of: NDArray[np.intp]) -> Self:
        """Return other polygons, of shape (m,), each made of the piece whose index ``of`` says."""
        return type(self)(geometry, self.values[of], self.source[of], self.origin[of])

    def with_more(self, others: Pieces) -> Self:
        """Return these and then others."""
        pairs = ((getattr(one, name) for one in (self, others)) for name in self.__slots__)
        return type(self)(*map(np.concatenate, map(tuple, pairs)))


@dataclass(frozen=True, slots=True)
class Strips:
    """The rectangles in which two inputs can meet, one row each."""

    first: NDArray[np.intp]
    """Shape (n,), number of an input."""
    second: NDArray[np.intp]
    """Shape (n,), that of the other, always the higher one."""
    box: NDArray[np.float64]
    """Shape (n, 4), left, bottom, right, top."""

    @classmethod
    def of(cls, pieces: Pieces, tolerance: float) -> Self:
        """Return where the extents of two inputs come near each other."""
        sources, number = np.unique(pieces.source, return_inverse=True)
        bounds = shapely.bounds(pieces.geometry).reshape(-1, 4)
        extent = np.full((len(sources), 4), np.inf)
        np.minimum.at(extent, number, bounds * (1, 1, -1, -1))
        extent = extent * (1, 1, -1, -1) + _MARGIN * tolerance * np.array((-1, -1, 1, 1))
        boxes = shapely.box(*extent.T)
        one, other = shapely.STRtree(boxes).query(boxes, predicate="intersects")
        one, other = one[one < other], other[one < other]
        low = np.maximum(extent[one, :2], extent[other, :2])
        high = np.minimum(extent[one, 2:], extent[other, 2:])
        return cls(sources[one], sources[other], np.hstack([low, high]))

    def hold(self, bounds: NDArray[np.float64], source: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which things of an input reach into a strip of it.

        Args:
            bounds: shape (n, 4).
            source: shape (n,), the inputs the things belong to.
        """
        found = np.zeros(len(bounds), bool)
        order = np.argsort(source, kind="stable")
        for ends in (self.first, self.second):
            begin, end = (np.searchsorted(source, ends, side, order) for side in ("left", "right"))
            for number, box in enumerate(self.box):
                mine = order[begin[number] : end[number]]
                found[mine[_reach(bounds[mine], box)]] = True
        return found


def _reach(bounds: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rectangles of shape (n, 4) reach into one."""
    inside = np.hstack([bounds[:, :2] <= box[2:], bounds[:, 2:] >= box[:2]])
    return np.asarray(inside.all(axis=1), bool)


def near_pairs(
    pieces: Pieces, strips: Strips, distance: float, predicate: str = "dwithin"
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of pieces of different inputs that are near each other, the one of the lower input first.

    Args:
        pieces: what to look at.
        strips: where inputs meet.
        distance: how near, in units of the CRS.
        predicate: ``dwithin``, or another one of shapely's trees that is the same both ways and needs no distance.
    """
    found = [_near(*pair, pieces.geometry, predicate, distance) for pair in _reaching(pieces, strips)]
    none = [(np.empty(0, np.intp),) * 2]
    first, second = (np.concatenate(part) for part in zip(*(found or none), strict=True))
    return first, second


def _reaching(pieces: Pieces, strips: Strips) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield for every strip the pieces of both inputs that reach into it."""
    bounds = shapely.bounds(pieces.geometry).reshape(-1, 4)
    members = {int(one): np.flatnonzero(pieces.source == one) for one in np.unique(pieces.source)}
    nobody = np.empty(0, np.intp)
    for one, other, box in zip(strips.first.tolist(), strips.second.tolist(), strips.box, strict=True):
        both = [members.get(source, nobody) for source in (one, other)]
        first, second = (mine[_reach(bounds[mine], box)] for mine in both)
        if len(first) and len(second):
            yield first, second


def _near(
    first: NDArray[np.intp], second: NDArray[np.intp], geometry: NDArray[np.object_], predicate: str, distance: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    tree = shapely.STRtree(geometry[second])
    reach = {"distance": distance} if predicate == "dwithin" else {}
    one, other = tree.query(geometry[first], predicate=predicate, **reach)
    return first[one], second[other]


def snapped(pieces: Pieces, strips: Strips, tolerance: float) -> tuple[Pieces, NDArray[np.float64]]:
    """Give neighbours of different inputs the same vertices along their common border.

    Args:
        pieces: polygons that are near those of other inputs.
        strips: where inputs meet.
        tolerance: how far vertices may move, and edges with them, in units of the CRS.

    Returns:
        The polygons, those left out that have no area any more, and the vertices where inputs meet, shape (m, 2).
    """
    if not len(pieces.geometry):
        return pieces, np.empty((0, 2))
    rings = Rings.of(pieces.geometry)
    source = pieces.source[rings.owner]
    seam = np.flatnonzero(strips.hold(np.hstack([rings.xy, rings.xy]), source))
    xy = rings.xy.copy()
    place, met = _one_place(xy[seam], source[seam], tolerance)
    xy[seam] = place
    ends = np.stack([xy, xy[rings.following]])
    edges = np.flatnonzero(
        strips.hold(np.hstack([ends.min(axis=0), ends.max(axis=0)]), source) & (ends[0] != ends[1]).any(axis=1)
    )
    after, landed = _landings(ends[:, edges], source[edges], (place, source[seam]), tolerance)
    after = edges[after]
    changed = np.zeros(len(pieces.geometry), bool)
    changed[rings.owner[(xy != rings.xy).any(axis=1)]] = True
    changed[rings.owner[after]] = True
    ring = np.repeat(np.arange(len(rings.first)), np.diff(np.append(rings.first, len(xy))))
    geometry, of = redrawn(
        pieces.geometry,
        changed,
        np.insert(xy, after + 1, landed, axis=0),
        np.insert(ring, after + 1, ring[after]),
        rings.polygon,
    )
    return pieces.replaced(geometry, of), np.unique(np.concatenate([met, landed]), axis=0)


def _one_place(
    xy: NDArray[np.float64], source: NDArray[np.intp], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move vertices of different inputs that are one to one of them, the same whatever order the inputs have.

    Returns:
        Vertices of shape (n, 2), and those of them, each once, at which inputs meet, shape (m, 2).
    """
    distinct, inverse = np.unique(np.column_stack([xy, source]), axis=0, return_inverse=True)
    points = shapely.points(distinct[:, :2])
    one, other = shapely.STRtree(points).query(points, predicate="dwithin", distance=tolerance)
    one, other = one[one < other], other[one < other]
    apart = np.linalg.norm(distinct[one, :2] - distinct[other, :2], axis=1)
    across = distinct[one, 2] != distinct[other, 2]
    kept = across | (apart <= _SAME * tolerance)
    # Rows are sorted, so the first of a group is its leftmost, lowest vertex.
    group = grouped(len(distinct), one[kept], other[kept])
    met = np.unique(distinct[group[one[across]], :2], axis=0)
    return distinct[group[inverse.reshape(-1)], :2], met


def _landings(
    ends: NDArray[np.float64],
    source: NDArray[np.intp],
    vertices: tuple[NDArray[np.float64], NDArray[np.intp]],
    tolerance: float,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find vertices that lie on an edge of another input.

    Args:
        ends: shape (2, edges, 2), where edges begin and end.
        source: shape (edges,), inputs of the edges.
        vertices: shape (n, 2), and their inputs, shape (n,).
        tolerance: how far off an edge a vertex may lie.

    Returns:
        Edges and the vertices on them, along each edge in order, shapes (m,) and (m, 2).
    """
    distinct = np.unique(np.column_stack(vertices), axis=0)
    lines = shapely.linestrings(ends.transpose(1, 0, 2))
    vertex, edge = shapely.STRtree(lines).query(
        shapely.points(distinct[:, :2]), predicate="dwithin", distance=tolerance
    )
    across = distinct[vertex, 2] != source[edge]
    vertex, edge = vertex[across], edge[across]
    place, begin, end = distinct[vertex, :2], ends[0, edge], ends[1, edge]
    way = end - begin
    along = ((place - begin) * way).sum(axis=1) / (way**2).sum(axis=1)
    inside = (along > 0) & (along < 1) & (place != begin).any(axis=1) & (place != end).any(axis=1)
    found = np.unique(np.column_stack([edge, along, place])[inside], axis=0)
    return found[:, 0].astype(np.intp), found[:, 2:]
