"""Centrelines that were cut where two inputs meet, joined end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.vector.groups import grouped
from geoseg.vocabulary import Lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.measure import Ruler


def join_lines(lines: Lines, source: NDArray[np.intp], reach: NDArray[np.float64], ruler: Ruler) -> Lines:
    """Join lines of different inputs whose ends meet, where exactly two ends do; where more do, they get one end.

    Args:
        lines: centrelines, as read.
        source: shape (n,), numbers of the inputs they are from.
        reach: shape (n,), how far the end of a line may be from the one it goes on as, in units of the CRS; of two
            lines, the shorter reach counts.
        ruler: measures what is joined.

    Returns:
        The lines, sorted by place; joined ones have the mean width by length.
    """
    if not len(lines.geometry):
        return lines
    coordinates = [shapely.get_coordinates(line) for line in lines.geometry]
    ends = np.array([xy[end] for xy in coordinates for end in (0, -1)])
    meeting, across = _meetings(ends, np.repeat(source, 2), np.repeat(reach, 2))
    partner = np.full(len(ends), -1)
    for together in meeting:
        if not across[together].any():
            continue
        place = np.unique(ends[together], axis=0).mean(axis=0)
        for end in together.tolist():
            coordinates[end // 2] = coordinates[end // 2].copy()
            coordinates[end // 2][-(end % 2)] = place
        one, other = together[0], together[-1]
        if len(together) == 2 and source[one // 2] != source[other // 2]:
            partner[one], partner[other] = other, one
    chains = _chains(partner)
    geometry = np.empty(len(chains), object)
    geometry[:] = [shapely.LineString(_strung(coordinates, chain)) for chain in chains]
    moved = np.array([any(across[end] for way in chain for end in (way, way ^ 1)) for chain in chains], bool)
    members = [np.array([end // 2 for end in chain]) for chain in chains]
    length = np.array([lines.length_m[mine].sum() for mine in members])
    width = np.array([np.average(lines.width_m[mine], weights=lines.length_m[mine] + 1e-9) for mine in members])
    length[moved] = ruler.lengths(geometry[moved])
    order = np.lexsort((length, *shapely.bounds(geometry).T[::-1]))
    return Lines(geometry[order], width[order], length[order])


def _meetings(
    ends: NDArray[np.float64], source: NDArray[np.intp], reach: NDArray[np.float64]
) -> tuple[list[NDArray[np.intp]], NDArray[np.bool_]]:
    """Return groups of two or more ends that are one place, and which ends meet those of other inputs, shape (n,)."""
    points = shapely.points(ends)
    one, other = shapely.STRtree(points).query(points, predicate="dwithin", distance=reach)
    one, other = one[one != other], other[one != other]
    apart = np.linalg.norm(ends[one] - ends[other], axis=1)
    different = source[one] != source[other]
    near = (different & (apart <= np.minimum(reach[one], reach[other]))) | (apart == 0)
    one, other, different = one[near], other[near], different[near]
    group = grouped(len(ends), one, other)
    across = np.isin(group, group[one[different]])
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [part for part in parts if len(part) > 1], across


def _chains(partner: NDArray[np.intp]) -> list[list[int]]:
    """Return rows of lines to walk along: for each line, the end where it is entered; 2 k and 2 k + 1 are those of k.

    Args:
        partner: shape (2 n,), the end that an end goes on as, -1 for none.
    """
    chains = []
    seen = np.zeros(len(partner) // 2, bool)
    # Rings have no free end: what is left is begun anywhere.
    for start in [*np.flatnonzero(partner < 0).tolist(), *range(0, len(partner), 2)]:
        chain: list[int] = []
        end = start
        while end >= 0 and not seen[end // 2]:
            seen[end // 2] = True
            chain.append(end)
            end = int(partner[end ^ 1])
        if chain:
            chains.append(chain)
    return chains


def _strung(coordinates: list[NDArray[np.float64]], chain: list[int]) -> NDArray[np.float64]:
    """Return the vertices along a row of lines; of joined ones the smaller end comes first, whoever named it first."""
    ways = [coordinates[end // 2][:: -1 if end % 2 else 1] for end in chain]
    xy = np.concatenate([ways[0], *(way[1:] for way in ways[1:])])
    if len(chain) > 1 and tuple(xy[-1]) < tuple(xy[0]):
        return xy[::-1]
    return xy
