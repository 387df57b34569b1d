"""Follow cracks from node to node: every border between two faces becomes one arc, stored once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.cracks import EAST, OPEN, OUTSIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.cracks import Cracks

UNITS = 128
"""Parts of a pixel that coordinates of simplified arcs count; before, they count half pixels."""

LOOP = -1
"""Start and end of an arc that meets no node."""


@dataclass(frozen=True, slots=True)
class Arcs:
    """Borders between two faces. Walking along an arc, rows counted downwards, its left face lies on the left."""

    xy: NDArray[np.int32]
    """Shape (vertices, 2), columns and rows of all arcs one after the other, in half pixels or ``UNITS``."""
    first: NDArray[np.int64]
    """Shape (arcs + 1,), index of each arc's first vertex, and at the end the number of vertices."""
    left: NDArray[np.int64]
    """Shape (arcs,), faces, or ``OUTSIDE``."""
    right: NDArray[np.int64]
    """Shape (arcs,), faces, or ``OUTSIDE``."""
    start: NDArray[np.int64]
    """Shape (arcs,), the node an arc comes from: row · (width + 1) + column of its corner; or ``LOOP``."""
    end: NDArray[np.int64]
    """Shape (arcs,), the node it leads to, or ``LOOP``."""
    leaves: NDArray[np.uint8]
    """Shape (arcs,), direction of its first crack."""
    arrives: NDArray[np.uint8]
    """Shape (arcs,), direction of its last crack."""
    start_anchored: NDArray[np.bool_]
    """Shape (arcs,), whether it starts there only because its belt does."""
    end_anchored: NDArray[np.bool_]
    """Shape (arcs,), whether it ends there only because its belt does."""

    @property
    def on_frame(self) -> NDArray[np.bool_]:
        """Whether an arc runs along the raster's frame, shape (arcs,)."""
        return np.asarray((self.left == OUTSIDE) | (self.right == OUTSIDE))


def follow(cracks: Cracks, width: int) -> Arcs:
    """Return the arcs of a belt, in an order that depends on nothing but the belt.

    Args:
        cracks: the belt's graph.
        width: pixels of a row.
    """
    vertices, first, sides, ends, ways = _follow(cracks.xy, cracks.ways, cracks.sides, cracks.is_node)
    key = cracks.xy[:, 1].astype(np.int64) * (width + 1) + cracks.xy[:, 0]
    loop = ends[:, 0] == OPEN
    start, end = (np.where(loop, LOOP, key[ends[:, i]]) for i in (0, 1))
    anchored = [~loop & cracks.is_anchor[ends[:, i]] for i in (0, 1)]
    xy = cracks.xy[vertices] * 2
    return Arcs(xy, first, sides[:, 0], sides[:, 1], start, end, ways[:, 0], ways[:, 1], *anchored)


def renumbered(arcs: Arcs, number: NDArray[np.int64]) -> Arcs:
    """Return arcs whose faces have other numbers; OUTSIDE stays."""
    table = np.append(number, OUTSIDE)
    columns = {field.name: getattr(arcs, field.name) for field in fields(Arcs)}
    return Arcs(**columns | {"left": table[arcs.left], "right": table[arcs.right]})


def concatenated(parts: list[Arcs]) -> Arcs:
    """Return the arcs of all parts."""
    offsets = np.cumsum([0, *(len(part.xy) for part in parts)])
    columns = {field.name: np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Arcs)}
    first = [part.first[:-1] + offset for part, offset in zip(parts, offsets, strict=False)]
    return Arcs(**columns | {"first": np.concatenate([*first, offsets[-1:]])})


def chosen(arcs: Arcs, kept: NDArray[np.bool_]) -> Arcs:
    """Return some of the arcs."""
    counts = np.diff(arcs.first)
    columns = {f.name: getattr(arcs, f.name)[kept] for f in fields(Arcs) if f.name not in ("xy", "first")}
    first = np.concatenate(([0], np.cumsum(counts[kept])))
    return Arcs(xy=arcs.xy[np.repeat(kept, counts)], first=first, **columns)


@compiled
def _follow(xy: Any, ways: Any, sides: Any, is_node: Any) -> Any:
    count = len(xy)
    node_ways = 0
    for v in range(count):
        if is_node[v]:
            for way in range(4):
                node_ways += ways[v, way] != OPEN
    # Every crack of a node begins or ends an arc; a loop has at least four vertices, its first one twice.
    most = node_ways // 2 + count // 4 + 1
    vertices = np.empty(count + node_ways + most, np.int32)
    first = np.empty(most + 1, np.int64)
    faces = np.empty((most, 2), np.int64)
    ends = np.empty((most, 2), np.int64)
    turns = np.empty((most, 2), np.uint8)
    seen = np.zeros((count, 4), np.bool_)  # cracks of nodes that an arc has taken
    passed = np.zeros(count, np.bool_)
    arcs = 0
    n = 0
    for loops in (False, True):
        for v in range(count):
            if is_node[v] == loops or (loops and passed[v]):
                continue
            for way in range(4):
                if ways[v, way] == OPEN or seen[v, way] or (loops and way != EAST):
                    continue
                # Going north, east, south, west: the sides of v that lie on the left and on the right.
                if way == 0:
                    faces[arcs, 0], faces[arcs, 1] = sides[v, 0], sides[v, 1]
                elif way == 1:
                    faces[arcs, 0], faces[arcs, 1] = sides[v, 1], sides[v, 3]
                elif way == 2:
                    faces[arcs, 0], faces[arcs, 1] = sides[v, 3], sides[v, 2]
                else:
                    faces[arcs, 0], faces[arcs, 1] = sides[v, 2], sides[v, 0]
                first[arcs] = n
                ends[arcs, 0] = OPEN if loops else v
                turns[arcs, 0] = way
                vertices[n] = v
                n += 1
                seen[v, way] = True
                at = v
                going = way
                while True:
                    at = ways[at, going]
                    vertices[n] = at
                    n += 1
                    back = (going + 2) % 4
                    if is_node[at] or at == v:
                        break
                    passed[at] = True
                    for other in range(4):
                        if other != back and ways[at, other] != OPEN:
                            going = other
                            break
                passed[v] = True
                seen[at, back] = True
                ends[arcs, 1] = OPEN if loops else at
                turns[arcs, 1] = going
                arcs += 1
    first[arcs] = n
    return (
        vertices[:n].copy(),
        first[: arcs + 1].copy(),
        faces[:arcs].copy(),
        ends[:arcs].copy(),
        turns[:arcs].copy(),
    )
