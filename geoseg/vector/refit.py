"""Give faces other outlines without tearing the map: arcs move, and what meets them moves along.

An outline is taken only if nothing lies on it or between it and the old one, and if the borders that end at it can
follow. Outlines are taken one after the other, each among those before it, so what was a coverage stays one.
All coordinates are whole numbers, so every test is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.nearby import indexed, insert
from geoseg.vector.shares import leaves_enough
from geoseg.vector.tears import end_of, tears_nothing

_CORNER = 45  # units; a node this near to a corner is put there


@compiled
def place_nodes(shape: Any, xy: Any, pins: Any) -> Any:
    """Return a ring with some vertices set on it, and where in it these are; both empty where their order would change.

    Args:
        shape: (vertices, 2) the ring, not closed.
        xy: (nodes, 2) where the nodes lie now, in the order of the ring.
        pins: (nodes,) the vertex a node belongs to, or -1 where any place will do.
    """
    count = len(shape)
    nodes = len(xy)
    at = np.empty(nodes + 1, np.float64)
    places = np.empty((nodes, 2), np.int64)
    for i in range(nodes):
        if pins[i] >= 0:
            at[i], places[i, 0], places[i, 1] = float(pins[i]), shape[pins[i], 0], shape[pins[i], 1]
        else:
            at[i], places[i, 0], places[i, 1] = _nearest(shape, xy[i, 0], xy[i, 1])
    ring = np.empty((count + nodes, 2), np.int64)
    positions = np.empty(nodes + 1, np.int64)
    n = 0
    if nodes == 0:
        ring[:count] = shape
        return ring[:count].copy(), positions[:0].copy()
    at[nodes] = at[0]
    around = 0.0
    for i in range(1, nodes + 1):
        at[i] += around
        while at[i] <= at[i - 1] and around <= count:
            at[i] += count
            around += count
    if at[nodes] > at[0] + count + 1e-6:
        return ring[:0].copy(), positions[:0].copy()
    for i in range(nodes):
        positions[i] = n
        ring[n] = places[i]
        n += 1
        corner = int(np.floor(at[i])) + 1
        while corner < at[i + 1]:
            ring[n] = shape[corner % count]
            n += 1
            corner += 1
    positions[nodes] = n
    return ring[:n].copy(), positions


@compiled
def _nearest(shape: Any, x: Any, y: Any) -> Any:
    """Return the place of a ring nearest to (x, y): edge and share of it, column, row."""
    count = len(shape)
    least = np.inf
    at = 0.0
    for k in range(count):
        p, q = shape[k], shape[(k + 1) % count]
        dx, dy = float(q[0] - p[0]), float(q[1] - p[1])
        share = ((x - p[0]) * dx + (y - p[1]) * dy) / (dx * dx + dy * dy)
        share = min(1.0, max(0.0, share))
        away = (p[0] + share * dx - x) ** 2 + (p[1] + share * dy - y) ** 2
        if away < least:
            least = away
            at = k + share
    k = int(at)
    if k == count:
        k = count - 1
    p, q = shape[k], shape[(k + 1) % count]
    length = np.hypot(float(q[0] - p[0]), float(q[1] - p[1]))
    share = at - k
    if share * length <= _CORNER:
        return float(k), p[0], p[1]
    if (1 - share) * length <= _CORNER:
        return float((k + 1) % count), q[0], q[1]
    column = int(np.round(p[0] + share * (q[0] - p[0])))
    return at, column, int(np.round(p[1] + share * (q[1] - p[1])))


@compiled
def refitted(arcs: Any, nodes: Any, rings: Any, shapes: Any, faces: Any, box: Any) -> Any:
    """Give rings other shapes, one after the other, where that tears nothing.

    Args:
        arcs: xy (vertices, 2), first (arcs + 1,), and whether each is near enough to matter (arcs,).
        nodes: number of each arc's first and last node (arcs, 2), -1 without one; half arcs' ends at each node: first
            (nodes + 1,), arc · 2 + 1 if it ends there (ends,); whether a node is only an anchor (nodes,); whether it
            must not move (nodes,), which becomes true for those of rings that are taken.
        rings: half arcs (n,), first of each ring (rings + 1,), and where a ring's last half arcs run along the scene's
            frame the number of those before them, else 0 (rings,).
        shapes: xy (m, 2), first of each ring (rings + 1,); none for a ring that stays. They turn as the rings do.
        faces: to the left and to the right of each arc (arcs,), the doubled area of each face, and the least it may
            come to (faces + 1,), the last one that of the outside.
        box: left, top, right, bottom of all rings, a little widened.

    Returns:
        xy with moved ends; whether an arc stays as it is (arcs,); new vertices; for each new arc its first vertex, the
        half arc where it begins and the one where it ends, -1 where it is a loop; and the rings taken (rings,).
    """
    xy, first, near = arcs
    node_of, end_first, ends, anchor, frozen = nodes
    halves, ring_first, free = rings
    shape_xy, shape_first = shapes
    xy = xy.astype(np.int64)
    index = indexed(xy, first, near, box)
    own = np.zeros(len(first) - 1, np.bool_)  # arcs of the ring being looked at
    stays = np.ones(len(first) - 1, np.bool_)
    taken = np.zeros(len(ring_first) - 1, np.bool_)
    drawn = [(np.int64(0), np.int64(0))]
    chains = [(np.int64(0), np.int64(0), np.int64(0))]
    drawn.pop()  # it only told numba the type
    chains.pop()
    for ring in range(len(ring_first) - 1):
        shape = shape_xy[shape_first[ring] : shape_first[ring + 1]].astype(np.int64)
        if len(shape) < 3:
            continue
        walk = halves[ring_first[ring] : ring_first[ring + 1]]
        old = _vertices(xy, first, walk)
        begins = _true_nodes(walk, node_of, anchor)
        fits = True
        for k in begins:
            node = node_of[walk[k] // 2, walk[k] & 1]
            fits = fits and (not frozen[node] or (free[ring] > 0 and k in (0, free[ring])))
            for other in begins:
                fits = fits and (other == k or node_of[walk[other] // 2, walk[other] & 1] != node)
        if not fits:
            continue
        where = np.empty((len(begins), 2), np.int64)
        for i in range(len(begins)):
            half = walk[begins[i]]
            where[i] = xy[first[half // 2 + 1] - 1] if half & 1 else xy[first[half // 2]]
        pins = np.full(len(begins), -1, np.int64)
        if free[ring] > 0:
            for i in range(len(begins)):
                if begins[i] == 0:
                    pins[i] = 0
                elif begins[i] == free[ring]:
                    pins[i] = len(shape) - 1
        new, positions = place_nodes(shape, where, pins)
        if len(new) < 3:
            continue
        for half in walk:
            own[half // 2] = True
        others = _others(walk, begins, node_of, end_first, ends, own)
        aside = _take_out(index, walk, others)
        before = _move_ends(xy, first, others, new, positions)
        whole = tears_nothing(index, xy, first, old, new, others, before)
        if whole and leaves_enough(faces, xy, first, (walk, begins), (new, positions), (others, before)):
            taken[ring] = True
            for half in walk:
                stays[half // 2] = False
            for k in begins:
                frozen[node_of[walk[k] // 2, walk[k] & 1]] = True
            _put_in(index, xy, first, new, others)
            _draw(drawn, chains, walk, begins, new, positions)
        else:
            for piece in aside[1:]:
                index[1][piece] = True
            for i in range(len(others)):
                xy[end_of(first, others[i, 0])[0]] = before[i]
        for half in walk:
            own[half // 2] = False
    vertices = np.empty((len(drawn), 2), np.int32)
    for i in range(len(drawn)):
        vertices[i, 0], vertices[i, 1] = drawn[i]
    table = np.empty((len(chains), 3), np.int64)
    for i in range(len(chains)):
        table[i, 0], table[i, 1], table[i, 2] = chains[i]
    return xy.astype(np.int32), stays, vertices, table, taken


@compiled
def _vertices(xy: Any, first: Any, walk: Any) -> Any:
    """Return the ring of some half arcs, not closed."""
    count = 0
    for half in walk:
        count += first[half // 2 + 1] - first[half // 2] - 1
    ring = np.empty((count, 2), np.int64)
    n = 0
    for half in walk:
        a, b = first[half // 2], first[half // 2 + 1] - 1
        for i in range(b - a):
            ring[n] = xy[b - i] if half & 1 else xy[a + i]
            n += 1
    return ring


@compiled
def _true_nodes(walk: Any, node_of: Any, anchor: Any) -> Any:
    """Return which half arcs begin where other borders meet the ring."""
    found = np.empty(len(walk), np.int64)
    n = 0
    for k in range(len(walk)):
        node = node_of[walk[k] // 2, walk[k] & 1]
        if node >= 0 and not anchor[node]:
            found[n] = k
            n += 1
    return found[:n].copy()


@compiled
def _others(walk: Any, begins: Any, node_of: Any, end_first: Any, ends: Any, own: Any) -> Any:
    """Return the ends of other arcs at a ring's nodes, shape (n, 2): arc · 2 + 1 if it ends there, and the node."""
    found = np.empty((4 * len(begins), 2), np.int64)
    n = 0
    for i in range(len(begins)):
        node = node_of[walk[begins[i]] // 2, walk[begins[i]] & 1]
        for k in range(end_first[node], end_first[node + 1]):
            if not own[ends[k] // 2]:
                found[n] = ends[k], i
                n += 1
    return found[:n].copy()


@compiled
def _take_out(index: Any, walk: Any, others: Any) -> Any:
    """Let the pieces of a ring, and those of other arcs that meet it, count no more; return them."""
    _, counts, _, _, _, piece_first, at_ends = index
    aside = [np.int64(0)]  # a piece that never counts
    for half in walk:
        for piece in range(piece_first[half // 2], piece_first[half // 2 + 1]):
            if counts[piece]:
                aside.append(np.int64(piece))
                counts[piece] = False
    for code in others[:, 0]:
        piece = at_ends[code // 2, code & 1]
        if counts[piece]:
            aside.append(piece)
            counts[piece] = False
    return aside


@compiled
def _move_ends(xy: Any, first: Any, others: Any, new: Any, positions: Any) -> Any:
    """Move the ends of other arcs to where their nodes lie in a new ring; return where they were."""
    before = np.empty((len(others), 2), np.int64)
    for i in range(len(others)):
        end, _ = end_of(first, others[i, 0])
        before[i] = xy[end]
        xy[end] = new[positions[others[i, 1]]]
    return before


@compiled
def _put_in(index: Any, xy: Any, first: Any, new: Any, others: Any) -> None:
    """Add a new ring and the moved end pieces of other arcs."""
    at_ends = index[6]
    for i in range(len(new)):
        insert(index, new[i - 1], new[i])
    for i in range(len(others)):
        arc = others[i, 0] // 2
        end, beside = end_of(first, others[i, 0])
        if first[arc + 1] - first[arc] > 2:
            at_ends[arc, others[i, 0] & 1] = insert(index, xy[end], xy[beside])
            continue
        already = False
        for k in range(i):
            already = already or others[k, 0] // 2 == arc
        if not already:
            at_ends[arc] = insert(index, xy[end], xy[beside])


@compiled
def _draw(drawn: Any, chains: Any, walk: Any, begins: Any, new: Any, positions: Any) -> None:
    """Append the arcs of a new ring: one between each two nodes, or a loop."""
    if len(begins) == 0:
        chains.append((np.int64(len(drawn)), walk[0], np.int64(-1)))
        for i in range(len(new) + 1):
            drawn.append((new[i % len(new), 0], new[i % len(new), 1]))
    for i in range(len(begins)):
        after = begins[(i + 1) % len(begins)]
        chains.append((np.int64(len(drawn)), walk[begins[i]], walk[after - 1]))
        for k in range(positions[i], positions[i + 1] + 1):
            drawn.append((new[k % len(new), 0], new[k % len(new), 1]))
