"""From a finished edge of the network to a smooth line on the ground, its width and its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.roads.axis import Axis, refined
from geoseg.roads.legs import outside
from geoseg.roads.traced import Traced
from geoseg.vector.measure import Ruler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from geoseg.roads.meeting import Link
    from geoseg.roads.network import Edge
    from geoseg.roads.places import Place
    from geoseg.roads.scale import Scale
    from geoseg.vocabulary import Grid

_TOLERANCE_PX = 0.5  # how far simplifying may move a line
_FULL = 0.85  # of the usual half width; where a dead end is narrower, its skeleton leads into a corner
_SAME_M = 1e-6  # places nearer than this are one
_BACK = 2.0  # half widths; how much of a dead end is looked at for its direction, and for corners
_FRAME = 2.5  # half widths; a dead end whose last full width is so near the scene's frame goes on to it


def drawn(edges: Iterable[tuple[Edge, Place, Place]], links: Iterable[Link], grid: Grid, scale: Scale) -> Traced:
    """Return the lines of some edges, each given with the places of its two ends, and of links.

    Args:
        edges: edges and places.
        links: what is drawn as it is.
        grid: where the scene's pixels lie.
        scale: of the edges' pixels.
    """
    frame = np.array((grid.width * scale.width_m, grid.height * scale.height_m)) / scale.factor
    ready = [_forward(*some) for some in edges]
    pieces = [(shapely.LineString(link.ends), link.width_m) for link in links]
    found = [_line(*some, frame, scale) for some in ready]
    for number in _crossing([line for line, _ in found + pieces], len(found)):
        found[number] = _line(*ready[number], frame, scale, near=True)
    for number in _crossing([line for line, _ in found + pieces], len(found)):
        found[number] = _plain(*ready[number], scale), found[number][1]
    # A junction of noise may lie where even that meets itself.
    found = [
        (line if line.is_simple else shapely.LineString((line.coords[0], line.coords[-1])), width)
        for line, width in found
    ] + pieces
    plane = np.array([line for line, _ in found], object)
    width = np.array([width for _, width in found], np.float64)
    pixel = np.array((scale.width_m, scale.height_m)) / scale.factor
    a, b, c, d, e, f = grid.transform[:6]

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        col, row = (xy / pixel).T
        return np.column_stack((a * col + b * row + c, d * col + e * row + f))

    ground = shapely.transform(plane, place)
    clings = np.array([edge.near[:, 9].mean() for edge, *_ in ready] + [0.0] * len(pieces), np.float64)
    cut = np.zeros((len(plane), 3), np.bool_)
    for number, (edge, *_) in enumerate(ready):
        cut[number] = edge.near[0, 10], edge.near[-1, 10], edge.near[:, 10].any()
    return Traced(ground, width, Ruler.of(grid).lengths(ground), clings, cut)


def _forward(edge: Edge, begin: Place, end: Place) -> tuple[Edge, Place, Place]:
    """Return an edge in the one direction that does not depend on how it was put together."""
    there, back = ((pixels[0].tolist(), pixels[1].tolist()) for pixels in (edge.pixels, edge.pixels[::-1]))
    return (edge, begin, end) if there < back else (edge.turned(), end, begin)


def _line(
    edge: Edge, begin: Place, end: Place, frame: NDArray[np.float64], scale: Scale, *, near: bool = False
) -> tuple[shapely.LineString, float]:
    """Return the line of an edge in metres right and down, and its mean width."""
    tolerance = _TOLERANCE_PX * scale.pixel_m
    if begin is end and begin.is_end:
        axis = refined(edge.pixels, edge.near, scale, ring=True)
        return shapely.LineString(axis.xy).simplify(tolerance), float(axis.width_m[:-1].mean())
    axis = refined(edge.pixels, edge.near, scale)
    back = Axis(axis.xy[::-1], axis.width_m[::-1], axis.half_m[::-1])
    first, head = _end(axis, frame, scale) if begin.is_end else _led(axis, begin, edge, near=near)
    last, tail = _end(back, frame, scale) if end.is_end else _led(back, end, edge.turned(), near=near)
    stop = len(axis.xy) - last
    if stop <= first and begin is not end and not near:
        first = stop = len(axis.xy) // 2
    elif stop <= first:  # its junctions leave nothing of it, but of two edges each must still go its own way
        first, stop = (1, len(axis.xy) - 1) if begin is end else (len(axis.xy) // 2, len(axis.xy) // 2 + 1)
    xy = np.concatenate((head, axis.xy[first:stop], tail[::-1]))
    widths = axis.width_m[first:stop] if stop > first else axis.width_m
    return shapely.LineString(xy).simplify(tolerance), float(widths.mean())


def _plain(edge: Edge, begin: Place, end: Place, scale: Scale) -> shapely.LineString:
    """Return a line that keeps as close to the skeleton as it can, in metres right and down."""
    xy = (edge.pixels[:, ::-1] + 0.5) * (scale.width_m, scale.height_m)
    ends = [
        xy[at] if place.is_end else place.lead(some).end[0]
        for at, place, some in ((0, begin, edge), (-1, end, edge.turned()))
    ]
    return shapely.LineString(np.concatenate((ends[:1], xy[1:-1], ends[1:])))


def _crossing(lines: list[shapely.LineString], count: int) -> list[int]:
    """Return which of the first lines meet themselves, or others elsewhere than at an end that both have."""
    shapes = np.array(lines, object)
    wrong = set(np.flatnonzero(~shapely.is_simple(shapes)).tolist())
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, other = pairs[:, pairs[0] < pairs[1]]
    meeting = shapely.intersection(shapes[one], shapes[other])
    ends = [{tuple(line.coords[0]), tuple(line.coords[-1])} for line in lines]
    spots = np.column_stack((shapely.get_x(meeting), shapely.get_y(meeting))).tolist()  # of single points
    for a, b, shape, spot in zip(one.tolist(), other.tolist(), meeting, spots, strict=True):
        if tuple(spot) in ends[a] & ends[b]:
            continue
        shared = shapely.MultiPoint(sorted(ends[a] & ends[b]))
        if not shapely.difference(shape, shapely.buffer(shared, _SAME_M)).is_empty:
            wrong |= {a, b}
    return sorted(number for number in wrong if number < count)


def _led(axis: Axis, place: Place, edge: Edge, *, near: bool) -> tuple[int, NDArray[np.float64]]:
    """Return the first point used of an axis that begins at a junction, and the line before it."""
    lead = place.lead(edge)
    return outside(axis.xy, place.core) if near else lead.first, lead.end


def _end(axis: Axis, frame: NDArray[np.float64], scale: Scale) -> tuple[int, NDArray[np.float64]]:
    """Return the first point used of an axis that begins at a dead end, and the line before it, shape (1, 2)."""
    usual = float(np.median(axis.half_m))
    away = np.hypot(*(axis.xy - axis.xy[0]).T)
    full = (axis.half_m >= _FULL * usual) & (away <= _BACK * usual)
    start = int(full.argmax())
    away = np.hypot(*(axis.xy[start:] - axis.xy[start]).T)
    near, far = (start + _reaching(away, share * usual) for share in (0.5, 0.5 + _BACK))
    direction = axis.xy[near] - axis.xy[far]
    length = float(np.hypot(*direction))
    if length < scale.pixel_m:
        return 1, axis.xy[:1]
    direction /= length
    ahead = float(away[near - start]) + float(axis.half_m[start]) - scale.pixel_m / 2
    to_frame = _until_frame(axis.xy[near], direction, frame)
    if to_frame < ahead + (_FRAME - 1) * usual:
        ahead = to_frame
    return near, (axis.xy[near] + ahead * direction)[None]


def _reaching(away: NDArray[np.float64], distance: float) -> int:
    """Return the first index where a distance is reached, or the last index."""
    beyond = away >= distance
    return int(beyond.argmax()) if beyond.any() else len(away) - 1


def _until_frame(xy: NDArray[np.float64], direction: NDArray[np.float64], frame: NDArray[np.float64]) -> float:
    """Return how far it is from a point to the scene's frame in a direction."""
    return min(
        float(((frame[k] if direction[k] > 0 else 0.0) - xy[k]) / direction[k])
        for k in (0, 1)
        if abs(direction[k]) > 1e-9
    )
