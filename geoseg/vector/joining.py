"""Polygons that were cut where two inputs meet, made whole again.

What is near no polygon of another input is passed on as it is. The rest goes this way: neighbours get one common
border (`seams`); the same polygon twice is one; ground that two inputs give to different classes goes to the input
named first (`conflicts`); polygons of one class and of different inputs that share an edge, or overlap, hang together,
and what hangs together becomes one polygon, however many it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.vector.conflicts import first_wins, overlapping, without_repetitions
from geoseg.vector.groups import grouped
from geoseg.vector.redrawn import redrawn
from geoseg.vector.rings import Rings
from geoseg.vector.seams import Pieces, Strips, near_pairs, snapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMERIC = 1e-9  # of the largest coordinate; nothing is known more exactly
_CUT = 1e-3  # of the tolerance; how far a computed crossing may lie off the edges that cross


@dataclass(frozen=True, slots=True)
class Joined:
    """Polygons of one map, and what they are made of."""

    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons, exteriors counter-clockwise, from the north to the south in each class."""
    values: NDArray[np.uint8]
    """Shape (n,), classes, ascending."""
    anew: NDArray[np.bool_]
    """Shape (n,), whether a polygon differs from the one polygon it is made of."""
    part: NDArray[np.intp]
    """Shape (parts,), index of a given polygon."""
    whole: NDArray[np.intp]
    """Shape (parts,), index of the polygon it has become a part of."""
    share: NDArray[np.float64]
    """Shape (parts,), how much of the given polygon that part is, 0 to 1."""
    cut: int
    """Polygons that lost ground to inputs named before."""


def join_polygons(
    geometry: NDArray[np.object_], values: NDArray[np.uint8], source: NDArray[np.intp], tolerance: float
) -> Joined:
    """Join polygons of one class across the borders of inputs.

    Args:
        geometry: shape (n,), valid shapely Polygons; those of one input do not overlap.
        values: shape (n,), their classes.
        source: shape (n,), numbers of the inputs they are from, in the order in which these win.
        tolerance: how wide gaps and overlaps along common borders may be, in units of the CRS.
    """
    pieces = Pieces(geometry, values, source, np.arange(len(geometry)))
    if not len(geometry):
        return _finished(pieces, pieces, pieces, pieces.origin, 0)
    tolerance = max(tolerance, _NUMERIC * float(np.abs(shapely.bounds(geometry)).max()))
    strips = Strips.of(pieces, tolerance)
    near = np.zeros(len(geometry), bool)
    near[np.concatenate(near_pairs(pieces, strips, tolerance))] = True
    seam, met = snapped(pieces.chosen(near), strips, tolerance)
    pairs = overlapping(seam, strips, tolerance)
    kept = without_repetitions(seam, pairs, tolerance)
    if not kept.all():
        seam = seam.chosen(kept)
        pairs = overlapping(seam, strips, tolerance)
    seam, cut = first_wins(seam, pairs, tolerance)
    if cut:  # neighbours get vertices where cuts end
        seam, more = snapped(seam, strips, _CUT * tolerance)
        met = np.concatenate([met, more])
        pairs = overlapping(seam, strips, tolerance)
    united, whole = _united(seam, _groups(seam, pairs, tolerance), tolerance)
    united = united.replaced(_straightened(united.geometry, met, tolerance), np.arange(len(united.geometry)))
    rest = pieces.chosen(~near)
    whole = np.concatenate([np.arange(len(rest.geometry)), whole + len(rest.geometry)])
    return _finished(pieces, rest.with_more(seam), rest.with_more(united), whole, cut)


def _groups(seam: Pieces, pairs: tuple[NDArray[np.intp], NDArray[np.intp]], tolerance: float) -> NDArray[np.intp]:
    """Return a number for every piece, the same for all that hang together; shape (n,).

    Args:
        seam: polygons with the same vertices along common borders.
        pairs: those that overlap.
        tolerance: polygons that share no longer edge meet in a point only, in units of the CRS.
    """
    first, second = (np.concatenate(part) for part in zip(pairs, _edge_to_edge(seam, tolerance), strict=True))
    alike = (seam.values[first] == seam.values[second]) & (seam.source[first] != seam.source[second])
    return grouped(len(seam.geometry), first[alike], second[alike])


def _edge_to_edge(seam: Pieces, shortest: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of pieces that share an edge longer than `shortest`."""
    if not len(seam.geometry):
        return seam.origin, seam.origin
    rings = Rings.of(seam.geometry)
    ends = np.stack([rings.xy, rings.xy[rings.following]])
    long = np.linalg.norm(ends[1] - ends[0], axis=1) > shortest
    ends, owner = ends[:, long], rings.owner[long]
    swapped = (ends[0, :, 0] > ends[1, :, 0]) | ((ends[0, :, 0] == ends[1, :, 0]) & (ends[0, :, 1] > ends[1, :, 1]))
    ends[:, swapped] = ends[::-1, swapped]
    edge = np.hstack([ends[0], ends[1]])
    order = np.lexsort(edge.T)
    edge, owner = edge[order], owner[order]
    found = [np.empty((0, 2), np.intp)]
    step = 1
    while (same := (edge[step:] == edge[:-step]).all(axis=1)).any():
        found.append(np.column_stack([owner[:-step][same], owner[step:][same]]))
        step += 1
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _united(seam: Pieces, group: NDArray[np.intp], tolerance: float) -> tuple[Pieces, NDArray[np.intp]]:
    """Return one polygon for each group, and which of them every piece has become a part of, shape (n,)."""
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []
    shapes: list[object] = []
    of: list[int] = []
    whole = np.empty(len(group), np.intp)
    for together in members:
        if len(together) == 1:
            parts = seam.geometry[together]
        else:
            parts = _without_slits(shapely.get_parts(shapely.union_all(seam.geometry[together])), tolerance)
        whole[together] = len(shapes)
        if len(parts) > 1:  # they overlapped by next to nothing
            inside = shapely.point_on_surface(seam.geometry[together])
            whole[together] += shapely.distance(inside[:, None], parts).argmin(axis=1)
        shapes += list(parts)
        of += [int(together[0])] * len(parts)
    geometry = np.empty(len(shapes), object)
    geometry[:] = shapes
    return seam.replaced(geometry, np.array(of, np.intp)), whole


def _without_slits(parts: NDArray[np.object_], tolerance: float) -> NDArray[np.object_]:
    """Return the polygons among parts, without holes that are no wider than a tolerance."""
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not shapely.get_num_interior_rings(parts).any():
        return parts
    filled = []
    for polygon in parts:
        holes = np.array([shapely.Polygon(ring) for ring in polygon.interiors], object)
        wide = 2 * shapely.area(holes) > tolerance * shapely.length(holes)
        filled.append(shapely.Polygon(polygon.exterior, [holes[i].exterior for i in np.flatnonzero(wide)]))
    return np.array(filled, object)


def _straightened(polygons: NDArray[np.object_], met: NDArray[np.float64], tolerance: float) -> NDArray[np.object_]:
    """Leave out vertices where inputs met, if only two edges are left there and these go straight on.

    All polygons that share such a vertex lose it, so neighbours stay neighbours.

    Args:
        polygons: shape (n,).
        met: shape (m, 2), the vertices in question.
        tolerance: how far such a vertex may lie off the line between its neighbours, in units of the CRS.
    """
    if not len(polygons) or not len(met):
        return polygons
    rings = Rings.of(polygons)
    after = rings.following
    before = np.empty_like(after)
    before[after] = np.arange(len(after))
    places, number = np.unique(np.concatenate([met, rings.xy]), axis=0, return_inverse=True)
    number = number.reshape(-1)
    candidate = np.zeros(len(places), bool)
    candidate[number[: len(met)]] = True
    number = number[len(met) :]
    arms = np.concatenate([np.column_stack([number, number[to]]) for to in (after, before)])
    arms = np.unique(arms[candidate[arms[:, 0]]], axis=0)
    at, begin, degree = np.unique(arms[:, 0], return_index=True, return_counts=True)
    at, begin = at[degree == 2], begin[degree == 2]
    one, other = places[arms[begin, 1]], places[arms[begin + 1, 1]]
    off = shapely.distance(shapely.points(places[at]), shapely.linestrings(np.stack([one, other], axis=1)))
    straight = np.zeros(len(places), bool)
    straight[at[off <= tolerance]] = True
    # Of a row of them none goes: together they may be a curve.
    lonely = at[~straight[arms[begin, 1]] & ~straight[arms[begin + 1, 1]]]
    gone = np.zeros(len(places), bool)
    gone[lonely[straight[lonely]]] = True
    stays = ~gone[number]
    changed = np.zeros(len(polygons), bool)
    changed[rings.owner[~stays]] = True
    ring = np.repeat(np.arange(len(rings.first)), np.diff(np.append(rings.first, len(number))))
    drawn, of = redrawn(polygons, changed, rings.xy[stays], ring[stays], rings.polygon)
    result = polygons.copy()
    sole = np.bincount(of, minlength=len(polygons))[of] == 1
    result[of[sole]] = drawn[sole]
    return result


def _finished(given: Pieces, parts: Pieces, results: Pieces, whole: NDArray[np.intp], cut: int) -> Joined:
    """Put polygons in an order that does not depend on that of the inputs, and account for their parts."""
    left, bottom, right, top = shapely.bounds(results.geometry).reshape(-1, 4).T
    order = np.lexsort((shapely.area(results.geometry), right, bottom, left, -top, results.values))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    members = np.bincount(whole, minlength=len(order))
    anew = members != 1
    single = np.flatnonzero(members[whole] == 1)
    before = given.geometry[parts.origin[single]]
    anew[whole[single]] = ~shapely.equals_exact(results.geometry[whole[single]], before, tolerance=0.0)
    geometry = results.geometry.copy()
    geometry[anew] = shapely.normalize(geometry[anew])  # begin at the same vertex, whichever input came first
    share = shapely.area(parts.geometry) / shapely.area(given.geometry[parts.origin])
    return Joined(
        shapely.orient_polygons(geometry[order]),
        results.values[order],
        anew[order],
        parts.origin,
        place[whole],
        np.minimum(share, 1.0),
        cut,
    )
